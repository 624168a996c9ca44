"""How one process of a session tells that another still runs: by a lock that the kernel drops with it, even across containers."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO


def hold(path: Path, text: str = "") -> IO[str]:
    """Lock *path* until the file that is returned is closed, or this process ends. It appears locked: nobody sees it free before."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    file = fresh.open("w", encoding="utf-8")
    fcntl.flock(file, fcntl.LOCK_EX)
    file.write(text)
    file.flush()
    fresh.rename(path)
    return file


def held(path: Path) -> bool:
    """Whether who locked *path* still runs; FileNotFoundError where nobody did yet."""
    with path.open(encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False
