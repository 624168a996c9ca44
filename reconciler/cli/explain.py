"""`reconcile explain ADDRESS`: why one resource is as it is."""

from __future__ import annotations

import difflib
import json

import click

from reconciler import account, bootstrap, errors, loop
from reconciler.account import Case
from reconciler.bootstrap import Home
from reconciler.cli.options import Common, common
from reconciler.loop import Prepared
from reconciler.model import address
from reconciler.model.address import SHARED, ResourceId
from reconciler.model.value import Fields
from reconciler.ports import Payload, Recorded
from reconciler.render import account as render
from reconciler.world import World

NEAREST = 3  # names in a hint


@click.command()
@click.argument("address_", metavar="ADDRESS")
@common()
def explain(options: Common, address_: str) -> None:
    """Say why one resource is as it is: what declares it, whose each field is, what would happen to it and when something last did."""
    id = _parsed(address_)
    if id.environment not in options.environments():
        known = ", ".join(options.environments())
        raise errors.UsageError(f"{address_} is of the environment {id.environment}", hint=f"there is {known}")
    with bootstrap.home(id.environment) as home:
        case = _case(id, home, options)
        if options.form == "json":
            click.echo(json.dumps(render.document(case), indent=1, default=str))
        else:
            click.echo("\n".join(render.lines(case)))


def _parsed(text: str) -> ResourceId:
    try:
        return address.parse(text)
    except ValueError as error:
        hint = "`reconcile plan --format json` names every address: volume/ENVIRONMENT/SERVICE/MEMBER/VOLUME and so on"
        raise errors.UsageError(str(error), hint=hint) from error


def _case(id: ResourceId, home: Home, options: Common) -> Case:
    """All that is known of *id*; UsageError with the nearest names where that is nothing."""
    world, desired = home.world(options.repo, options.ref)
    prepared = loop.prepare(world, desired)
    return of(id, world, prepared)


def of(id: ResourceId, world: World, prepared: Prepared) -> Case:
    """The case of *id* in a world that was planned for."""
    desired, observed = prepared.desired, prepared.observed
    known = account.known(desired, observed, prepared.plan)
    if id not in known:
        near = difflib.get_close_matches(str(id), sorted(map(str, known)), n=NEAREST, cutoff=0.5)
        raise errors.UsageError(f"there is no {id}, neither declared nor live", hint=f"there is {', '.join(near)}" if near else "")
    live = observed.live.get(id, ())
    payload = world.look(id) if id.kind == "kubernetes" and live else None
    applied = world.history.touched(id.environment, str(id))
    return Case(id, desired, observed, prepared.plan, world.kinds[id.kind], _recorded(id, world, prepared), payload, applied)


def _recorded(id: ResourceId, world: World, prepared: Prepared) -> Recorded | None:
    def recall(id: ResourceId, inputs: Payload) -> Fields:
        return world.kinds[id.kind].recall(inputs)

    resource, live = prepared.desired.resources.get(id), prepared.observed.live.get(id, ())
    stack = resource.stack if resource else live[0].stack if live else id.service
    return world.checkpoints.recorded(id.environment, stack or SHARED, recall).get(id)
