"""How a piece of work ended, or why it has not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Done:
    """It is as declared."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Under way; *until* says what for, in words that follow "waiting until". *said* is the whole in other words, with its age: no news."""

    until: str
    said: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Blocked:
    """Cannot start before *by* is done."""

    by: str


@dataclass(frozen=True, slots=True)
class Failed:
    """Refused by the world; *retryable* when the next pass may succeed."""

    message: str
    retryable: bool = False


Outcome: TypeAlias = Done | Waiting | Blocked | Failed


def first_lacking(*outcomes: Outcome | None) -> Outcome:
    """The first that is not done; Done where all are. None stands for what does not apply."""
    return next((one for one in outcomes if one is not None and not isinstance(one, Done)), Done())


def paused(outcome: Outcome) -> Outcome:
    """*outcome* of what a person has paused: nobody waits for it."""
    return Blocked(f"`paused: true` in its spec ({spell(outcome)})") if isinstance(outcome, Waiting) else outcome


def goes_on(outcome: Outcome) -> bool:
    """Whether another look may find it done."""
    return isinstance(outcome, Waiting) or (isinstance(outcome, Failed) and outcome.retryable)


def spell(outcome: Outcome) -> str:
    """An outcome as the reason why something is not as it should be; "" where it is."""
    match outcome:
        case Done():
            return ""
        case Waiting(until, said):
            return said or f"waiting until {until}"
        case Blocked(by):
            return f"blocked by {by}"
        case Failed(message):
            return f"failed: {message}"
