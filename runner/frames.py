"""The file of frames: numbered lines, each written whole under a lock, so that several processes may write and one may follow."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reconciler.model.frame import Frame, Kind, parse


def append(path: Path, kind: Kind, **fields: Any) -> Frame:
    """Write the next frame. A line that a dying process left unfinished is closed first, and counts."""
    with path.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        written = file.read()
        lines = written.splitlines()
        frame = Frame(number=len(lines) + 1, kind=kind, **fields)
        torn = b"" if not written or written.endswith(b"\n") else b"\n"
        file.write(torn + frame.line().encode() + b"\n")
    return frame


def lines(path: Path, start: int = 0) -> tuple[list[str], int]:
    """The whole lines from byte *start* on, and the byte after them."""
    if not path.exists():
        return [], start
    with path.open("rb") as file:
        file.seek(start)
        text = file.read()
    whole = text[: text.rfind(b"\n") + 1]
    return whole.decode(errors="replace").splitlines(), start + len(whole)


def read(path: Path) -> Iterator[Frame]:
    """Every frame so far."""
    return (frame for line in lines(path)[0] if (frame := parse(line)))
