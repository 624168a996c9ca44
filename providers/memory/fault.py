"""Faults that tests order of a fake: which operation fails, with what, how often; what befalls a run at its n-th effect.

Counted, never random.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from reconciler import errors

Blow = Literal["kill-before", "kill-after", "error-before", "error-after", "stop"]


class Killed(BaseException):
    """The process has ended at this place: what it has written stays, and nothing that would follow happens."""


@dataclass(slots=True)
class Fate:
    """What a run meets at its effects, counted from one: every write to the cloud, the cluster or the engine's record is an effect.

    After a kill nothing can be read or written any more until `heal`: what unwinds is no process. *stopped* turns true at a `stop`, as
    when a person interrupts; the effect itself still happens.
    """

    ordered: dict[int, Blow] = field(default_factory=dict)
    effects: list[str] = field(default_factory=list)
    dead: bool = False
    stopped: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def order(self, blow: Blow, number: int) -> None:
        """Let *blow* fall at the effect that is *number* from now, counted from one."""
        self.ordered[len(self.effects) + number] = blow

    def heal(self) -> None:
        """From now on everything works, for a new process."""
        with self._lock:
            self.ordered.clear()
            self.dead = self.stopped = False

    def require_alive(self) -> None:
        if self.dead:
            raise Killed

    @contextmanager
    def effect(self, name: str) -> Iterator[None]:
        """Around one effect."""
        with self._lock:
            self.require_alive()
            self.effects.append(name)
            blow = self.ordered.pop(len(self.effects), None)
        self._fall(blow, "before", name)
        yield
        self._fall(blow, "after", name)

    def _fall(self, blow: Blow | None, when: str, name: str) -> None:
        if blow == "stop":
            self.stopped = True
        elif blow == f"kill-{when}":
            self.dead = True
            raise Killed
        elif blow == f"error-{when}":
            raise errors.TransientError(f"no answer came to {name}", code="RequestTimeout")


class Faults:
    """What is to go wrong, by operation; every call is counted, also those that fail. Fakes of one world share their *fate*."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.fate = Fate()
        self._ordered: dict[str, tuple[errors.ProviderError, int]] = {}
        self._lock = threading.Lock()

    def fail(self, operation: str, error: errors.ProviderError | None = None, *, times: int = 1_000_000) -> None:
        """Let the next *times* calls of *operation* fail."""
        told = error or errors.ProviderError(f"{operation} was told to fail", code="Told")
        self._ordered[operation] = (told, times)

    def heal(self) -> None:
        """From now on everything works."""
        self._ordered.clear()

    def strike(self, *operations: str) -> None:
        """Count a call that goes by *operations*, and fail it if one of them was told to fail."""
        self.fate.require_alive()
        with self._lock:
            self.calls.update(operations)
            for operation in operations:
                error, left = self._ordered.get(operation, (None, 0))
                if error and left > 0:
                    self._ordered[operation] = (error, left - 1)
                    raise error
