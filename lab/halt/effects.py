"""The effects of a run, in one order: each is let happen alone and counted, and at a chosen one the world stands still."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

Place = Literal["after", "before"]
"""Of a stop at effect n: *after* it has happened, its caller not told yet; or *before* the next call, which has been asked for."""


@dataclass(frozen=True, slots=True)
class Effect:
    """Something of the world that has changed: *who* did it (a role, `checkpoint` or `store`) and *what* it was."""

    who: str
    what: str
    at: float


@dataclass(slots=True)
class Stop:
    """Stand still at effect *number* of those that *of* fits, or before the next call that it fits; *then* is called once, in that thread.

    It gets the effect there: the one that has happened, or the one that was asked for.
    """

    number: int
    place: Place
    then: Callable[[Effect], None]
    of: str = ""

    def meets(self, place: Place, effect: Effect, log: list[Effect]) -> bool:
        """Whether this is where to stop, *log* being what has happened and *effect* the last of it or what was asked for."""
        if place != self.place or not re.search(self.of, effect.what):
            return False
        return sum(bool(re.search(self.of, one.what)) for one in log) >= self.number


@dataclass(slots=True)
class Effects:
    """Every writing call and every file written passes here. *files* count what was written meanwhile; they are asked under the lock.

    While the world stands still no call is let through: those that wait go on when it is released, or never, once they are dropped.
    """

    files: list[Callable[[], None]] = field(default_factory=list)
    log: list[Effect] = field(default_factory=list)
    stopped: bool = False
    _stop: Stop | None = None
    _drops: int = 0
    _due: float = 0.0
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _moved: threading.Condition = field(init=False)

    def __post_init__(self) -> None:
        self._moved = threading.Condition(self._lock)

    def stop_at(self, stop: Stop) -> None:
        """Count from zero, and stop there."""
        with self._lock:
            self._settle()
            self.log, self._stop = [], stop

    def forget(self) -> None:
        """Count from zero, and stop nowhere."""
        with self._lock:
            self._settle()
            self.log, self._stop = [], None

    def release(self, *, drop: bool = False, late: float = 0.0) -> None:
        """Let the world go on; *drop*: calls that have waited are never made; *late*: they are, so many seconds from now."""
        with self._moved:
            self.stopped, self._stop = False, None
            self._drops += drop
            self._due = time.monotonic() + late
            self._moved.notify_all()

    @contextmanager
    def passing(self, who: str, what: str) -> Iterator[Passage]:
        """Wait for a turn, alone. The caller says of the Passage whether anything was done; its answer may have to wait then."""
        with self._moved:
            drops = self._drops
            self._settle()
            self._look(Effect(who, what, time.monotonic()), "before")
            self._wait()
            passage = Passage(dropped=drops != self._drops)
            yield passage
            self._settle()
            if passage.done:
                self.count(who, what)
            self._wait()

    def count(self, who: str, what: str) -> None:
        """Something was done: stop here if that was ordered."""
        with self._lock:
            self.log.append(Effect(who, what, time.monotonic()))
            self._look(self.log[-1], "after")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nothing is counted meanwhile but by the caller."""
        with self._lock:
            yield

    def _settle(self) -> None:
        for count in self.files:
            count()

    def _look(self, effect: Effect, place: Place) -> None:
        """Stop if this is the boundary."""
        stop = self._stop
        if stop is not None and not self.stopped and stop.meets(place, effect, self.log):
            self.stopped, self._stop = True, None
            stop.then(effect)

    def _wait(self) -> None:
        """Until the world goes on, and what has waited until then is due."""
        if not self.stopped:
            return
        while self.stopped:
            self._moved.wait()
        while (left := self._due - time.monotonic()) > 0:
            self._moved.wait(left)


@dataclass(slots=True)
class Passage:
    """A call's turn: *dropped* where it is not to be made, *done* (said by the caller) where it has changed something."""

    dropped: bool
    done: bool = False
