"""What was attached, detached, started and stopped, numbered, for those who would otherwise poll; readers may wait for the next.

In memory only.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Any

KEPT = 10_000


class Events:
    """A numbered log; the number only grows."""

    def __init__(self) -> None:
        self._log: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._number = 0
        self._news = threading.Condition()

    def publish(self, kind: str, **facts: str) -> None:
        """Add an event of *kind*, as `volume.attached`, and wake those who wait."""
        with self._news:
            self._number += 1
            self._log.append({"id": self._number, "kind": kind, "at": time.time(), **facts})
            self._news.notify_all()

    def after(self, number: int, patience: float) -> list[dict[str, Any]]:
        """The events after *number*; when there is none yet, wait up to *patience* seconds for one."""
        with self._news:
            self._news.wait_for(lambda: self._number > number, timeout=patience)
            return [event for event in self._log if event["id"] > number]
