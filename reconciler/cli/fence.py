"""`reconcile fence NODE`: a person says that a node that does not answer is to be ended, so that its members can live elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

import click

from reconciler import bootstrap, errors
from reconciler.cli import approval, ending
from reconciler.cli.options import Common, common, seconds
from reconciler.members import order, unreachable
from reconciler.members.order import Case
from reconciler.model import duration
from reconciler.model.outcome import Done, spell


@click.command()
@click.argument("node")
@click.option("--auto-approve", is_flag=True, help="Do it without asking.")
@click.option("--timeout", default="10m", help="How long to wait until the instance has stopped.", show_default=True)
@common(("text",))
def fence(options: Common, node: str, auto_approve: bool, timeout: str) -> int:
    """End NODE, which does not answer: stop its instance if it runs, and once EC2 says that it is off, let Kubernetes move its Pods."""
    within = seconds("--timeout", timeout)
    with bootstrap.home(options.only()) as home:
        home.world(options.repo, options.ref)
        fence = order.Fence(home.members_cluster, home.members_cloud, home.clock, home.stopping)
        case = order.look(fence.cluster, fence.cloud, node)
        for line in _told(case, unreachable.seconds(case.node, home.clock.now())):
            click.echo(line)
        if case.off and case.node.out_of_service:
            click.echo("It is fenced already.")
            return 0
        if not auto_approve:
            approval.ask("Only 'yes' fences it")
        with home.interruptible():
            outcome = order.carry_out(_again(fence, node), lambda: _again(fence, node), fence, within)
        if isinstance(outcome, Done):
            click.echo(f"Fenced. The members role takes the taint off once {node} answers again.")
            return 0
        click.echo(f"Not fenced yet: {spell(outcome)}.")
        return ending.PARTLY


def _told(case: Case, age: float) -> Iterator[str]:
    node = case.node
    yield f"Node {node.name} in zone {node.zone} has not been ready for {duration.age(age)}; its instance {node.instance} is {case.state}."
    yield f"Members there: {', '.join(case.members) or 'none'}."
    yield f"Every Pod there ends by force{'' if case.off else f', after {node.instance} is stopped by force'}, and Kubernetes moves them."


def _again(fence: order.Fence, node: str) -> Case:
    """The node as it is now, in the middle of it all."""
    try:
        return order.look(fence.cluster, fence.cloud, node)
    except errors.UsageError as error:
        raise errors.StalePlan(error.message, hint="it is back, or gone: look again whether there is anything to do") from error
