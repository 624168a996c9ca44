"""The component side: components, configurations and sessions, listed and shown; a session's log."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import click

from reconciler import bootstrap, errors
from reconciler.cli import table
from reconciler.cli.options import Common, common
from reconciler.components import status
from reconciler.model.componentstate import ComponentState
from reconciler.model.session import Session
from reconciler.render import shapes

_FOLLOWS_EVERY = 1.0
_COUNTS = ("configuration", "total", "configured", "pending", "failed", "layers")


@click.group()
def components() -> None:
    """Components and what is configured on them."""


@components.command("list")
@click.option("--status", "wanted", default="", help="Only those of this status: configured, pending, failed, unconfigured.")
@common()
def list_components(options: Common, wanted: str) -> None:
    """List components with their status, computed now."""
    rows = [_component(one) for environment in options.environments() for one in _states(environment, options)]
    shown = [row for row in rows if not wanted or row["status"] == wanted]
    table.show(shown, ("id", "configuration", "status", "error_count", "enabled"), options.form, _none(wanted if rows else ""))


def _none(wanted: str) -> str:
    return f"no component is {wanted}" if wanted else "no components are known yet"


@components.command("show")
@click.argument("id")
@common()
def show_component(options: Common, id: str) -> None:
    """Show one component: what it shall have, and what was applied, layer by layer."""
    found = next((one for environment in options.environments() for one in _states(environment, options) if one.id == id), None)
    if found is None:
        raise errors.UsageError(f"no component {id} is known", hint="`reconcile components list` names them; `apply` hands them over")
    rows: list[shapes.LayerState] = [
        {"playbook": entry.playbook, "commit": entry.commit[:7], "status": entry.status, "session": entry.session, "message": entry.message}
        for entry in found.state
    ]
    if options.form == "json":
        click.echo(json.dumps({**_component(found), "state": rows}, indent=1, default=str))
        return
    click.echo(f"{found.id}: {status.configuration_status(found)}, desired {found.configuration}, {found.error_count} failures in a row")
    table.show(rows, ("playbook", "commit", "status", "session", "message"), "text", "nothing was applied yet")


@click.group()
def configurations() -> None:
    """Configurations and how far they are."""


@configurations.command("list")
@common()
def list_configurations(options: Common) -> None:
    """List configurations with the counts of their components."""
    rows = []
    for environment in options.environments():
        with bootstrap.home(environment) as home:
            world, desired = home.world(options.repo, options.ref)
            rows += [{column: getattr(one, column) for column in _COUNTS} for one in world.summarise(desired)]
    table.show(rows, _COUNTS, options.form, "no configurations")


@click.group()
def sessions() -> None:
    """Ansible sessions and their logs."""


@sessions.command("list")
@click.option("--limit", default=50, show_default=True)
@common()
def list_sessions(options: Common, limit: int) -> None:
    """List sessions, newest first."""
    rows = [_session(one) for environment in options.environments() for one in _sessions(environment, options, limit)]
    table.show(rows, ("name", "configuration", "status", "succeeded", "components", "layers"), options.form, "no sessions yet")


@sessions.command("show")
@click.argument("name")
@common()
def show_session(options: Common, name: str) -> None:
    """Show one session."""
    click.echo(json.dumps(_session(_named(options, name)), indent=1, default=str))


@sessions.command("logs")
@click.argument("name")
@click.option("-f", "--follow", is_flag=True, help="Go on until the session has ended.")
@common(("text",))
def logs(options: Common, name: str, follow: bool) -> None:
    """Print what Ansible said in a session."""
    told = 0
    while True:
        session = _named(options, name)
        with bootstrap.home(options.only()) as home:
            home.world(options.repo, options.ref)
            lines = list(home.sessions.log(session))
        for line in lines[told:]:
            click.echo(line)
        told = len(lines)
        if not follow or session.status == "complete":
            return
        time.sleep(_FOLLOWS_EVERY)


def _states(environment: str, options: Common) -> Iterator[ComponentState]:
    with bootstrap.home(environment) as home:
        home.world(options.repo, options.ref)
        remembered = home.remembered()
        yield from (remembered[id] for id in sorted(remembered))


def _sessions(environment: str, options: Common, limit: int) -> tuple[Session, ...]:
    with bootstrap.home(environment) as home:
        home.world(options.repo, options.ref)
        known = home.known_records()
        return known.sessions(limit=limit) if known else ()


def _named(options: Common, name: str) -> Session:
    for environment in options.environments():
        with bootstrap.home(environment) as home:
            home.world(options.repo, options.ref)
            known = home.known_records()
            found = known.session(name) if known else None
            if found:
                return found
    raise errors.UsageError(f"no session {name} is known", hint="`reconcile sessions list` names them")


def _component(one: ComponentState) -> shapes.Component:
    word = status.configuration_status(one)
    return {"id": one.id, "configuration": one.configuration, "status": word, "error_count": one.error_count, "enabled": one.enabled}


def _session(one: Session) -> shapes.Session:
    return {
        "name": one.name,
        "configuration": one.configuration,
        "status": one.status,
        "succeeded": one.succeeded,
        "components": len(one.members),
        "layers": list(one.layers),
        "created": one.created.isoformat(timespec="seconds"),
        "completed": one.completed.isoformat(timespec="seconds") if one.completed else None,
    }
