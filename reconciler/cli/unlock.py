"""`reconcile unlock`: take the environment's lock from a run that is known to be dead."""

from __future__ import annotations

from typing import Any

import click

from reconciler import bootstrap, errors
from reconciler.cli import approval
from reconciler.cli.options import Common, common

LOCK = "apply"


@click.command()
@click.argument("lock_id", required=False, default="")
@click.option("--auto-approve", is_flag=True, help="Take it without asking.")
@common(("text",))
def unlock(options: Common, lock_id: str, auto_approve: bool) -> int:
    """Take the lock away from a run that is known to be dead: from the one of LOCK_ID, which the refused command named, and no other."""
    with bootstrap.home(options.only()) as home:
        home.world(options.repo, options.ref)
        leases = home.leases
        holder = leases.holder(LOCK)
        if holder is None:
            click.echo("Nothing is locked.")
            return 0
        held = holder.run.token if holder.run else ""
        click.echo(f"{LOCK} is held by {holder}, last heard of {holder.age:.0f} s ago" + (f" (lock id {held})." if held else "."))
        if lock_id and lock_id != held:
            raise errors.UsageError(f"the lock {lock_id} is no longer held; another run has it now", hint="look again who it is")
        _require_dead(leases, holder)
        if not auto_approve:
            approval.ask("Only 'yes' takes the lock away")
        leases.unlock(LOCK, held)
        click.echo("Unlocked. What that run left half done is taken up by the next apply.")
        return 0


def _require_dead(leases: Any, holder: Any) -> None:
    """Raise LockHeld where the holder can be seen or heard."""
    if leases.standing(holder) == "dead":
        return
    if leases.standing(holder) == "alive":
        raise errors.LockHeld(f"{holder} is alive", hint="end that process; its lock then counts no more")
    click.echo("It runs where its process cannot be seen; listening for a heartbeat …", err=True)
    if not leases.silent(LOCK):
        raise errors.LockHeld(f"{holder} was heard of just now: it is alive", hint="end that process where it runs")
