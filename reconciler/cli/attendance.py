"""Tells, and where nobody allows it refuses, what would leave members without anybody who places them."""

from __future__ import annotations

from contextlib import suppress

import click

from reconciler import errors
from reconciler.loop import Prepared
from reconciler.serving import attendance
from reconciler.serving.attendance import MEMBERS
from reconciler.world import World

HINT = "start `reconcile serve`, or `reconcile install` it; or --allow-unattended, and members are placed for as long as this command runs"


def unattended(world: World, prepared: Prepared) -> str:
    """Why the members that are live are left alone; "" where they are not."""
    if not attendance.has_members(prepared.observed):
        return ""
    return attendance.unattended(prepared.desired.environment, world.leases().heard(MEMBERS))


def warn(world: World, prepared: Prepared) -> None:
    """Say so beside a plan; where it cannot be read, the plan says already what could not."""
    with suppress(errors.ProviderError):
        if not prepared.observed.unread and (why := unattended(world, prepared)):
            click.echo(f"warning: {why}; apply will stop ({HINT})", err=True)


def require(world: World, prepared: Prepared, *, allowed: bool) -> None:
    """Raise UsageError where nobody places the members that are live, and nobody allows that."""
    if why := unattended(world, prepared):
        if not allowed:
            raise errors.UsageError(why, hint=HINT)
        click.echo(f"warning: {why}", err=True)
