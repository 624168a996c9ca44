"""A world to measure in: servers, a config repository, a folder for what the product keeps; it grows to as many services as asked for."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import process, servers, town
from benchmarks.process import Run
from benchmarks.servers import Servers
from lab import plugins, tool

_PASSPHRASE = "bench"


@dataclass
class World:
    """One account, one cluster, one checkout. *count* services are live exactly as declared."""

    folder: Path
    servers: Servers
    count: int = field(default=0)
    most: int = field(default=1_000_000)  # services that a benchmark may have where it makes a world of its own

    @property
    def repository(self) -> Path:
        return self.folder / "config"

    @property
    def engine(self) -> Path:
        """What the engine keeps: its checkpoints."""
        return self.folder / ".reconcile" / town.ENVIRONMENT / "engine"

    @property
    def _cache(self) -> Path:
        """Where the product keeps parsed documents."""
        return self.folder / "cache"

    def environment(self, user: str = "reconciler") -> dict[str, str]:
        """What a process of *user* is started with; of the caller's own only what Python and the shell need."""
        kept = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
        return kept | {
            "PATH": f"{self.folder / 'plugins'}:{tool.path()}",
            "PYTHONPATH": str(tool.root()),
            "RECONCILE_DIR": str(self.folder / ".reconcile"),
            "RECONCILE_REPO": str(self.repository),
            "RECONCILE_CACHE": str(self._cache),
            "AWS_ACCESS_KEY_ID": servers.key(user),
            "AWS_SECRET_ACCESS_KEY": "made-up",
            "AWS_EC2_METADATA_DISABLED": "true",
            "KUBECONFIG": str(self.servers.kubeconfig(user)),
            "PULUMI_CONFIG_PASSPHRASE": _PASSPHRASE,
        }

    def grow(self, count: int) -> None:
        """Declare *count* services and have them live: the first by the product itself, the others made as that one is."""
        self.servers.ease()
        if not self.count:
            town.write(self.repository, 1)
            self.reconcile("apply", "--auto-approve", "--no-wait")
        town.write(self.repository, count)
        process.run((sys.executable, "-m", "benchmarks.seed", str(self.count), str(count)), self.environment("seeder"), self.folder)
        self.count = count
        self.servers.harden()

    def reconcile(self, *words: str, code: int = 0) -> Run:
        """The product's command, in a process of its own."""
        return process.run((sys.executable, "-m", "reconciler", *words), self.environment(), self.folder, code=code)

    def plan(self, *, cold: bool = True) -> Run:
        """A plan with nothing to do; anything else is no number but a fault. *cold*: nothing is kept from earlier ones."""
        if cold:
            shutil.rmtree(self._cache, ignore_errors=True)
        run = self.reconcile("plan", "--detailed-exitcode")
        if "No changes." not in run.output:
            raise process.UnexpectedError(f"the plan of a world as declared is not empty:\n{run.output[-3000:]}")
        return run


@contextlib.contextmanager
def world() -> Iterator[World]:
    """An empty one, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="bench-") as place, contextlib.ExitStack() as running:
        folder = Path(place)
        (folder / "servers").mkdir()
        at = running.enter_context(servers.serving(folder / "servers"))
        made = World(folder, at)
        plugins.install(folder / "plugins", sys.executable)
        _defaults(made)
        yield made


def _defaults(made: World) -> None:
    """What the environment leaves to the machine: where AWS is."""
    own = made.folder / ".reconcile" / town.ENVIRONMENT
    own.mkdir(parents=True)
    spec = {"aws": {"endpoint": made.servers.endpoint, "region": "us-east-1"}}
    document = {"spec": spec, "process": {}, "path": {"first": [str(made.folder / "plugins")], "last": []}}
    (own / "defaults.json").write_text(json.dumps(document))
