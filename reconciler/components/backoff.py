"""When a configuration whose sessions all fail may be tried again; pure, the clock comes as an argument.
One configuration never holds up another.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

TOLERATED = 20  # failed sessions in a row
FIRST = 60.0
LONGEST = 3600.0


@dataclass(frozen=True, slots=True)
class Backoff:
    """*failures* in a row; once there are too many, nothing is sent *until*, then one session as a probe."""

    failures: int = 0
    delay: float = 0.0
    until: float = 0.0


def after(backoff: Backoff, now: float, *, ok: bool) -> Backoff:
    """Having seen one more session end. Any success opens the gate; a failure while it is shut does not make the wait longer."""
    if ok:
        return Backoff()
    failed = replace(backoff, failures=backoff.failures + 1)
    if failed.failures < TOLERATED or now < backoff.until:
        return failed
    delay = min(LONGEST, backoff.delay * 2) if backoff.delay else FIRST
    return replace(failed, delay=delay, until=now + delay)


def allowance(backoff: Backoff, now: float, in_flight: int) -> int | None:
    """How many sessions may be sent; None for as many as there are."""
    if backoff.failures < TOLERATED:
        return None
    return 1 if now >= backoff.until and not in_flight else 0
