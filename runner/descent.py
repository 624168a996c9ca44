"""Ending whatever a session began: Ansible's workers leave their process group, but every one of them inherits the environment."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

GRACE = 3.0  # seconds between asking and making
_STEP = 0.05


def carriers(name: str, value: str) -> list[int]:
    """The other processes of this machine, or container, that run with *name* set to *value*."""
    mark = f"{name}={value}".encode()
    return [pid for pid in _processes() if pid != os.getpid() and mark in _environment(pid)]


def end(name: str, value: str) -> None:
    """End them all: asked first, so that Ansible can end its workers, made to after GRACE."""
    until = time.monotonic() + GRACE
    asked: set[int] = set()
    while left := carriers(name, value):
        late = time.monotonic() >= until
        for pid in left:
            if late or pid not in asked:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL if late else signal.SIGTERM)
        asked.update(left)
        time.sleep(_STEP)


def _processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]


def _environment(pid: int) -> list[bytes]:
    """Empty for those that have ended and for those of other users."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []
