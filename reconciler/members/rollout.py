"""Which member of a service is restarted next; pure.

A StatefulSet of ours deletes no Pod by itself (`OnDelete`): its own order knows neither primary nor quorum, and its rollout would stop at a
member that waits for one that comes later. The cursor is the revision that each Pod runs, so a rollout goes on wherever it stood.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from reconciler.members.live import Live, Pod
from reconciler.members.member import Member
from reconciler.members.readiness import outdated
from reconciler.model.outcome import Done, Outcome, spell


@dataclass(frozen=True, slots=True)
class Rollout:
    """The Pod to make anew, or what has to be so before the next one is; neither once it is through."""

    renew: Pod | None = None
    until: str = ""


Leaders: TypeAlias = frozenset[str] | None  # the members who lead; None: nobody has said yet who that is
NOBODY: frozenset[str] = frozenset()  # nobody leads, or nobody can say


def following(members: Sequence[Member], works: Mapping[str, Outcome], live: Live, leaders: Leaders = NOBODY) -> Rollout:
    """The next step of the rollout among *members* of one service, in the order of their turns. *works* says how each stands.

    The *leaders* come last; while nobody has said who they are, nobody goes.

    One at a time: nobody goes before those who went work, so a bad revision costs one member and what runs keeps its quorum. Among
    those of the old revision, one that does not work comes first, since it loses nothing.
    """
    last = leaders or NOBODY
    ordered = sorted(members, key=lambda one: (one.name in last, one.turn))
    old = {member.name: pod for member in ordered if (pod := outdated(member, live))}
    if not old:
        return Rollout()
    leaving = next((pod for member in members for pod in live.running(member.name) if pod.terminating), None)
    if leaving:
        return Rollout(until=f"the old Pod of {leaving.name} on {leaving.node} has ended")
    first = next((name for name, pod in old.items() if not pod.ready), next(iter(old)))
    down = next((member.name for member in members if member.name not in old and not isinstance(works[member.name], Done)), "")
    if not down and old[first].ready:
        down = next((name for name in old if not isinstance(works[name], Done)), "")
    if down:
        return Rollout(until=f"{down} works, before {first} is restarted: {spell(works[down])}")
    if leaders is None:
        return Rollout(until="its application says who leads")
    return Rollout(old[first])
