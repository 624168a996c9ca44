"""When to look again: at once at what is new, at leisure where all is well, later each time where it is not. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

CALM = 60.0  # seconds between two looks where nothing was to be done: what others change is put right by then
LONGEST = 300.0

Turn = Literal["calm", "busy", "bad"]


@dataclass(frozen=True, slots=True)
class Pace:
    """The next turn is *due* at that time, or as soon as there is something other than *of* to look at. All in seconds."""

    first: float
    calm: float = CALM
    of: str = ""
    due: float = float("-inf")
    failures: int = 0

    def is_due(self, now: float, of: str = "") -> bool:
        return of != self.of or now >= self.due

    def after(self, now: float, turn: Turn, of: str = "") -> Pace:
        """As it is after a turn: with nothing to do (calm), with work that went well (busy), or a bad one, which doubles the pause."""
        failures = 0 if turn != "bad" else self.failures + 1 if of == self.of else 1
        pause = max(self.calm, self.first) if turn == "calm" else self.first * 2 ** max(failures - 1, 0)
        return replace(self, of=of, due=now + min(pause, max(LONGEST, self.first)), failures=failures)
