"""What init starts: a command, when it may start, and what its end means."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

End = Literal["restart", "done", "lost"]
Condition = Callable[[], bool]


def at_once() -> bool:
    return True


def listening(host: str, port: int) -> Condition:
    """Whether something accepts connections there; asked again and again, so it gives up at once."""

    def condition() -> bool:
        with socket.socket() as probe:
            probe.settimeout(0.2)
            return probe.connect_ex((host, port)) == 0

    return condition


def exists(path: Path) -> Condition:
    return path.exists


@dataclass(frozen=True, slots=True)
class Child:
    """*end*: `restart` keeps its memory on disk and is started again; `done` ends by itself; `lost` takes the lab's memory with it."""

    name: str
    argv: tuple[str, ...]
    after: Condition = at_once
    end: End = "restart"
    env: Mapping[str, str] = field(default_factory=dict)
    pass_fds: tuple[int, ...] = ()
