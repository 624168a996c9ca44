"""The repository that a verification applies: the user's own Environment document under a name of this run, and services without Pods."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

SERVICE = """\
apiVersion: reconciler/v1
kind: Service
metadata: {{name: {name}}}
spec:
  type: redis
  replicas: {replicas}
  stopped: true
  addresses: {addresses}
  volumes: {{data: {{size: 1Gi}}}}
"""
_GIT = {f"GIT_{who}_{what}": "verify@localhost" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
Ended = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class Place:
    """*folder* is a git repository with the one environment *name*."""

    folder: Path
    name: str

    def declare(self, services: Mapping[str, str]) -> None:
        """Commit just these services, each its document's text by its name."""
        folder = self.folder / "specs" / self.name / "services"
        folder.mkdir(exist_ok=True)
        for path in folder.iterdir():
            path.unlink()
        for service, text in services.items():
            (folder / f"{service}.yaml").write_text(text)
        self._git("add", "--all")
        self._git("commit", "-q", "--allow-empty", "-m", f"Declare {', '.join(services) or 'nothing'}")

    def reconcile(self, *words: str, codes: tuple[int, ...] = (0,)) -> str:
        """What `reconcile` says on standard output; RuntimeError with all that it said unless it ends with one of *codes*."""
        ended = subprocess.run(self.command(*words), cwd=self.folder, capture_output=True, text=True, check=False)
        if ended.returncode not in codes:
            raise RuntimeError(f"reconcile {' '.join(words)} ended with {ended.returncode}:\n{ended.stdout}\n{ended.stderr}")
        return ended.stdout

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "reconciler", *words, "-e", self.name]

    def _git(self, *words: str) -> None:
        environment = {**os.environ, **_GIT, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        subprocess.run(["git", *words], cwd=self.folder, env=environment, check=True)


def make(folder: Path, name: str, document: Mapping[str, Any]) -> Place:
    """A repository in the empty *folder* with *document* as its environment, which is called *name* whatever it was called."""
    target = folder / "specs" / name
    target.mkdir(parents=True)
    with (target / "environment.yaml").open("w") as file:
        YAML(typ="safe").dump({**document, "metadata": {"name": name}}, file)
    made = Place(folder, name)
    made._git("init", "-q", "-b", "main")
    made.declare({})
    return made


def service(name: str, *, replicas: int, addresses: str) -> str:
    """The document of a service whose members don't run: volumes, interfaces, records and objects are what is verified."""
    return SERVICE.format(name=name, replicas=replicas, addresses=addresses)
