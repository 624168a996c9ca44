"""Whether somebody places members: a Pod that has to move waits for whoever holds the role, and for ever where nobody does. Pure."""

from __future__ import annotations

from reconciler.model.environment import Environment
from reconciler.model.observation import Observed

MEMBERS = "members"  # the Lease of those who place members
LATELY = 300.0  # seconds without a holder after which members count as unattended
_HOUR, _DAY = 3600, 86400


def has_members(observed: Observed) -> bool:
    """Whether any member is live: a set of theirs, or a volume or an interface in use."""
    for id, found in observed.live.items():
        mine = id.kind in {"volume", "interface"} or (id.kind == "kubernetes" and id.name.startswith("StatefulSet/"))
        if mine and any(live.marked and not live.retained for live in found):
            return True
    return False


def unattended(environment: Environment, heard: float | None) -> str:
    """Why the members that exist are left alone; "" where they are not, or where nobody ever promised otherwise.

    A server is promised where the environment names its `api`, or where one has ever held the role: *heard* are the seconds since, None
    where none has. Who has only ever run `apply`, which places members itself while it runs, is not stopped by what was never there.
    """
    if heard is None and not environment.api:
        return ""
    if heard is not None and heard <= LATELY:
        return ""
    since = f"for {_spell(heard)}" if heard is not None else "so far"
    return f"nobody has placed members of {environment.name} {since}: one whose Pod has to move waits"


def _spell(seconds: float) -> str:
    if seconds < 2 * _HOUR:
        return f"{seconds // 60:.0f} minutes"
    return f"{seconds // _HOUR:.0f} hours" if seconds < 2 * _DAY else f"{seconds // _DAY:.0f} days"
