"""Changes that take time: put down with the moment they are due, done by whoever comes first then, a request or the clock's thread."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable


class Later:
    """A heap of changes that are due; all of it under *lock*, which whoever calls must hold."""

    def __init__(self, lock: threading.RLock, before: Callable[[float], None]) -> None:
        self._wake = threading.Condition(lock)
        self._before = before
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def add(self, delay: float, change: Callable[[], None]) -> None:
        """Do *change* in *delay* seconds."""
        heapq.heappush(self._due, (time.monotonic() + delay, next(self._order), change))
        self._wake.notify_all()

    def settle(self) -> None:
        """Do what is due by now, in order."""
        while self._due and self._due[0][0] <= time.monotonic():
            due, _, change = heapq.heappop(self._due)
            self._before(due)
            change()

    def start(self) -> None:
        """Let a thread of its own settle what is due when nobody asks."""
        threading.Thread(target=self._keep, name="later", daemon=True).start()

    def _keep(self) -> None:
        with self._wake:
            while True:
                self.settle()
                self._wake.wait(self._due[0][0] - time.monotonic() if self._due else None)
