"""Who leads a service, and whether they hand over before they go; pure, and from nothing but the Jobs that there are."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from reconciler.members.initial.job import Turn
from reconciler.members.rollout import Leaders
from reconciler.model.initialise import LEADER, LOOK, Said, Script

TRIES = 2  # hand-overs that are asked for before a leader goes all the same: the others then elect one


@dataclass(frozen=True, slots=True)
class Lead:
    """Who leads; the script to start at turn *number*, if any."""

    leaders: Leaders
    start: Script | None = None
    number: int = 0


def decide(look: Script, turns: Iterable[Turn], hand_over: Callable[[frozenset[str]], Script | None]) -> Lead:
    """What the *turns* of one situation say. *hand_over* gives the step that is due, given who leads; what it did, the next look says."""
    every = sorted(turns, key=lambda one: one.number)
    if not every:
        return Lead(None, look)
    last = every[-1]
    if last.state == "running":
        return Lead(None)
    if last.does != LOOK:
        return Lead(None, look, last.number + 1)
    leaders = _named(last.said or {})
    step = hand_over(leaders)
    if step and sum(one.does != LOOK for one in every) < TRIES:
        return Lead(None, step, last.number + 1)
    return Lead(leaders)


def _named(said: Said) -> frozenset[str]:
    """One name or several, as the type answers; none where nobody leads or nobody can say."""
    found = said.get(LEADER) or ()
    return frozenset([found] if isinstance(found, str) else map(str, found))
