"""What is to be asked of a service, or done to it, next; pure, and from nothing but the Jobs that there are.

Looks and steps take turns. What a step has done counts by the look after it alone, so a step that was killed, failed, or was taken twice
needs no memory: the next look says what is lacking.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from reconciler.members.initial.job import Turn
from reconciler.model.initialise import LOOK, Initialisation, Next, Said, Script
from reconciler.model.outcome import Done, Outcome, Waiting

PAUSE = 2.0  # seconds after a turn that brought nothing, doubled by each
LONGEST = 60.0
_KEPT = 6  # turns, for people who ask what was done


@dataclass(frozen=True, slots=True)
class Verdict:
    """The script to start at turn *number*, if any; Jobs to delete; and how the service stands.

    *answered* is when the answer was given by which it stands well, in seconds since the epoch.
    """

    outcome: Outcome
    start: Script | None = None
    number: int = 0
    outdated: tuple[Turn, ...] = ()
    answered: float = 0.0


def decide(wanted: Initialisation, situation: str, turns: Iterable[Turn], now: float) -> Verdict:
    """The next turn of a service whose members all run. *now* is in seconds since the epoch."""
    every = sorted(turns, key=lambda one: one.number)
    running = next((one for one in every if one.state == "running"), None)
    if running:  # of whatever situation: never two at once
        return Verdict(Waiting(f"its initialisation goes on: {running.does} ({running.name})"))
    mine = [one for one in every if one.situation == situation]
    others = tuple(one for one in every if one.situation != situation)
    if not mine:
        return Verdict(Waiting("its application says how it is"), wanted.look, 0, others)
    last = mine[-1]
    outdated = (*others, *mine[:-_KEPT])
    if last.does == LOOK and last.said is not None:
        return _after_look(wanted, mine, now, outdated)
    words = f": {last.message}" if last.message else ""
    until = f"{last.does} succeeds{words}" if last.state == "failed" else "its application says how it is"
    fruitless = last.state == "failed" or last.does == LOOK
    return _again(wanted, mine, now, until, outdated) if fruitless else Verdict(Waiting(until), wanted.look, last.number + 1, outdated)


def _after_look(wanted: Initialisation, mine: list[Turn], now: float, outdated: tuple[Turn, ...]) -> Verdict:
    last = mine[-1]
    match _next(wanted, last.said or {}):
        case None:
            return Verdict(Done(), outdated=(*outdated, *mine[-_KEPT:-1]), answered=last.ended)
        case Script() as step:
            until = f"its initialisation goes on: {step.does}"
            before = sum(one.does == step.does for one in mine)
            if before and now - last.ended < _pause(before):
                return Verdict(Waiting(f"{until} (again: it was done and is lacking still)"), outdated=outdated)
            return Verdict(Waiting(until), step, last.number + 1, outdated)
        case lacking:
            return _again(wanted, mine, now, lacking, outdated)


def _next(wanted: Initialisation, said: Said) -> Next:
    """What the type makes of the answer; one that it did not expect, from another version of itself perhaps, is asked for again."""
    try:
        return wanted.next(said)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        return f"its application says how it is: its answer cannot be read ({type(error).__name__}: {error})"


def _again(wanted: Initialisation, mine: list[Turn], now: float, until: str, outdated: tuple[Turn, ...]) -> Verdict:
    """Look again, the later the oftener it was in vain."""
    if now - mine[-1].ended < _pause(mine[-1].number):
        return Verdict(Waiting(until), outdated=outdated)
    return Verdict(Waiting(until), wanted.look, mine[-1].number + 1, outdated)


def _pause(times: int) -> float:
    return min(PAUSE * 2.0 ** min(times, 8), LONGEST)
