"""What we are about to make by calls that AWS cannot recognise as the same when they come twice: written down before, struck out after.

A file an address, beside the engine's own record; what a run leaves there when it dies may still turn up.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from reconciler.model import address
from reconciler.model.address import ResourceId

FOLDER = "making"
_SLASH = "+"  # in a file's name; no address has one


@dataclass(frozen=True, slots=True)
class Intents:
    """The intents in *folder*."""

    folder: Path

    def begin(self, id: ResourceId) -> None:
        """Durable once this returns."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._path(id).touch()
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def end(self, id: ResourceId) -> None:
        self._path(id).unlink(missing_ok=True)

    def pending(self, environment: str) -> frozenset[ResourceId]:
        """What was begun and not ended."""
        return frozenset(id for id in self._all() if id.environment == environment)

    def clear(self, environment: str) -> None:
        """Strike everything out; whoever asks has looked for it."""
        for id in self.pending(environment):
            self.end(id)

    def _all(self) -> Iterator[ResourceId]:
        if self.folder.is_dir():
            yield from (address.parse(path.name.replace(_SLASH, "/")) for path in self.folder.iterdir())

    def _path(self, id: ResourceId) -> Path:
        return self.folder / str(id).replace("/", _SLASH)
