"""How far `serve` may go without a person; pure."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model.address import SHARED
from reconciler.model.change import Change
from reconciler.model.environment import Policy
from reconciler.model.plan import Plan

_HARMLESS = frozenset({"create", "adopt", "update"})


@dataclass(frozen=True, slots=True)
class Permit:
    """What of a plan may be done: all of it, that of *only* these services, or, where *why* is told and they are none, nothing."""

    only: frozenset[str] = frozenset()
    why: str = ""

    @property
    def nothing(self) -> bool:
        return bool(self.why) and not self.only


def work(plan: Plan) -> tuple[Change, ...]:
    """What a pass is needed for. A record that follows its Pod is made and put right by whoever places members, all the time."""
    return tuple(change for change in plan.acting if change.owner != "members" or change.action in {"delete", "forget"})


def permit(plan: Plan, policy: Policy) -> Permit:
    """What *policy* lets pass of *plan*; a service of which anything would be taken away is left to a person as a whole."""
    todo = work(plan)
    if policy == "automatic" or not todo:
        return Permit()
    if policy == "approval":
        return Permit(why=f"policy: approval leaves {len(todo)} changes to a person")
    left = {change.stack for change in todo if change.action not in _HARMLESS}
    if not left:
        return Permit()
    why = f"policy: creations leaves to a person what takes something away: {', '.join(sorted(left - {SHARED}) or ['what services share'])}"
    return Permit(frozenset(change.stack for change in todo) - left, why)
