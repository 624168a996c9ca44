"""Where a session has its things: a folder that its containers share, and the secrets that are mounted beside it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from reconciler.model.work import Work, parse

WORK = "RECONCILER_WORK"
MOUNTS = "RECONCILER_MOUNTS"
SESSION = "RECONCILER_SESSION"
DEFAULT_WORK = "/var/lib/reconciler"
DEFAULT_MOUNTS = "/etc/reconciler"


@dataclass(frozen=True, slots=True)
class Place:
    """*root* is shared and writable, *mounts* holds Secrets and ConfigMaps by purpose, read only."""

    root: Path
    mounts: Path

    @property
    def frames(self) -> Path:
        return self.root / "frames"

    @property
    def alive(self) -> Path:
        """Locked while the layers are run."""
        return self.root / "alive"

    @property
    def inventory(self) -> Path:
        return self.root / "inventory" / "01-reconciler.yaml"

    @property
    def additional(self) -> Path:
        return self.root / "additional"

    @property
    def limit(self) -> Path:
        return self.root / "limit"

    def layer(self, index: int) -> Path:
        return self.root / f"layer{index}"

    def work(self) -> Work:
        """The session to run, as `keep` left it."""
        return parse((self.root / "session.json").read_text(encoding="utf-8"))

    def keep(self, text: str) -> Work:
        self.root.mkdir(parents=True, exist_ok=True)
        (self.root / "session.json").write_text(text, encoding="utf-8")
        return parse(text)

    def mounted(self, purpose: str, *names: str) -> Path | None:
        """The file of *purpose* with the first of *names* that is there; without names, its first file."""
        folder = self.mounts / purpose
        found = {path.name: path for path in sorted(folder.iterdir()) if path.is_file()} if folder.is_dir() else {}
        return next((found[name] for name in names or found if name in found), None)


def here() -> Place:
    """The place of this process."""
    return Place(Path(os.environ.get(WORK, DEFAULT_WORK)), Path(os.environ.get(MOUNTS, DEFAULT_MOUNTS)))
