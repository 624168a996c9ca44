"""How long it takes to read and check 10,000 specs: with nothing kept from earlier runs, again, and again with one changed.

Each time a fresh process: `reconcile validate` from the command line. `python -m benchmarks.load` runs this alone.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks import process, town
from benchmarks.figure import Figure
from benchmarks.process import Run
from benchmarks.world import World

AT = (0,)
SPECS = 10_000
_COLD, _CHANGED = 5.0, 0.5  # seconds: the aims
_RUNS = 3
_ALL = f"from reconciler import reading; found = reading.load('.', None, '{town.ENVIRONMENT}'); len(found.services); len(found.resources)"


def measure(world: World | None = None) -> Iterator[Figure]:
    """The figures; no world is needed, only git."""
    del world
    with tempfile.TemporaryDirectory(prefix="reconcile-load-") as top:
        repository = Path(top) / "config"
        town.write(repository, SPECS)
        yield from _measured(repository, Path(top) / "cache")


def _measured(repository: Path, cache: Path) -> Iterator[Figure]:
    cold = [_cold(repository, cache) for _ in range(_RUNS)]
    yield _figure(f"loading {SPECS:,} specs", cold, _COLD)
    yield _figure("… again", [_validated(repository, cache) for _ in range(_RUNS)], _CHANGED)
    yield _figure("… again with one changed", [_changed(repository, cache, number) for number in range(_RUNS)], _CHANGED)
    whole = [process.run((sys.executable, "-c", _ALL), _environment(cache), repository) for _ in range(_RUNS)]
    yield _figure("… again, with every resource made that a plan of all would start from", whole, None)


def _cold(repository: Path, cache: Path) -> Run:
    shutil.rmtree(cache, ignore_errors=True)
    return _validated(repository, cache)


def _changed(repository: Path, cache: Path, number: int) -> Run:
    path = repository / "specs" / town.ENVIRONMENT / "services" / f"{town.name(number)}.yaml"
    path.write_text(path.read_text().replace("replicas: 1", "replicas: 2"))
    return _validated(repository, cache)


def _validated(repository: Path, cache: Path) -> Run:
    command = (sys.executable, "-m", "reconciler", "validate", "-e", town.ENVIRONMENT)
    return process.run(command, _environment(cache), repository)


def _environment(cache: Path) -> Mapping[str, str]:
    here = str(Path(__file__).resolve().parent.parent)
    return {**os.environ, "PYTHONPATH": here, "RECONCILE_CACHE": str(cache)}


def _figure(work: str, runs: list[Run], aim: float | None) -> Figure:
    return Figure(work, process.best(runs).seconds, "s", aim=aim, raw=[run.numbers for run in runs])


if __name__ == "__main__":
    print(json.dumps({one.work: one.document for one in measure()}))
