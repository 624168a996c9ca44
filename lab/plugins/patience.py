"""Part of the stand-in plugins: waiting for the cloud, cut short when the engine cancels."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")


class Cancelled(Exception):
    """The engine asked the plugin to stop; what was begun is reported as begun."""

    def __init__(self) -> None:
        super().__init__("context canceled")


class OutOfTime(Exception):
    """The cloud did not become what was waited for."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Waits for one provider; *stop* is set by the engine's Cancel."""

    stop: threading.Event = field(default_factory=threading.Event)

    def sleep(self, seconds: float) -> None:
        if self.stop.wait(seconds):
            raise Cancelled

    def until(self, probe: Callable[[], T | None], seconds: float, waited_for: str) -> T:
        """The first answer of *probe* that is not None, asked for ever more seldom over *seconds* at most."""
        deadline, pause = time.monotonic() + seconds, 0.05
        while (answer := probe()) is None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise OutOfTime(f"timeout while waiting for {waited_for} ({seconds:.0f}s)")
            self.sleep(min(pause, left))
            pause = min(pause * 1.5, 2.0)
        return answer
