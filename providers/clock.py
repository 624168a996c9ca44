"""Port `Clock`: this machine's time, and sleeps that an interruption cuts short."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SystemClock:
    """*stop* ends every sleep at once."""

    stop: threading.Event

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        if self.stop.wait(seconds):
            time.sleep(0.05)  # a loop that goes on until its work has ended must not spin
