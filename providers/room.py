"""Room on the disk, looked for before anything is begun: the engine tries each write of its record for half a minute before it says so."""

from __future__ import annotations

import shutil
from pathlib import Path

from reconciler import errors

ROOM = 2 << 20  # bytes: some versions of a large stack's record


def require(folder: Path) -> None:
    """There is room in *folder*, which need not exist yet.

    Raises:
        ProviderError: its disk is full, or nearly so.
    """
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free
    if free < ROOM:
        text = f"{there} has {free >> 10} KiB left, too little for the engine's record: the disk is full"
        raise errors.ProviderError(text, hint="free some of it and run again; nothing was begun")
