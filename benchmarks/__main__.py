"""`python -m benchmarks [NAME …]`: runs all benchmarks or the named ones, prints their figures, and writes them with what they came from.

One world grows through them, so that its making is paid once; each benchmark says at which numbers of services it wants it.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from benchmarks import growth, machine, plan, town
from benchmarks import world as worlds
from benchmarks.figure import Figure, table
from benchmarks.growth import Line
from benchmarks.world import World

NAMES = ("startup", "load", "plan", "peer", "diff", "change", "passes", "apply", "moves", "silence")
_ALL = 1_000_000
RESULTS = Path(__file__).with_name("results")


def measure(names: Iterable[str], most: int) -> Iterator[tuple[str, Figure]]:
    """Every figure of the benchmarks *names*, as it is known, with *most* services where a benchmark would have more."""
    modules = {name: importlib.import_module(f"benchmarks.{name}") for name in names}
    with worlds.world() as world:
        world.most = most
        for count in sorted({min(at, most) for module in modules.values() for at in module.AT}):
            if count:
                world.grow(count)
            for name, module in modules.items():
                if count in {min(at, most) for at in module.AT}:
                    yield from _measured(name, module, world)


def _measured(name: str, module: Any, world: World) -> Iterator[tuple[str, Figure]]:
    before = machine.load()
    for one in module.measure(world):
        print(f"{name}: {one.work}: {one.measured:g} {one.unit} (load average {before})", flush=True)
        yield name, one


def write(name: str, figures: list[Figure]) -> None:
    """What a benchmark measured, and on what."""
    document = {"benchmark": name, "machine": machine.facts(), "figures": [one.document for one in figures]}
    (RESULTS / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")


def draw(figures: list[Figure]) -> None:
    """How the plan's seconds and calls grow."""
    aims = tuple((float(count), aim) for count, aim in plan.AIMS.items())
    limit = ((0.0, plan.MOST_CALLS), (max(plan.AIMS), plan.MOST_CALLS))
    clock, cpu = Line("on the clock", "#1f77b4", _points(figures, "s")), Line("CPU", "#2ca02c", _points(figures, "CPU-s"))
    _draw("growth", "seconds", clock, cpu, Line("aim", "#7f7f7f", aims, dashed=True))
    calls = Line("calls to AWS and the API server", "#d62728", _points(figures, "calls"))
    _draw("calls", "calls", calls, Line("limit", "#7f7f7f", limit, dashed=True))


def _points(figures: list[Figure], unit: str) -> tuple[tuple[float, float], ...]:
    """By the number of services, the first figure in *unit*."""
    found: dict[float, float] = {}
    for one in figures:
        if one.unit == unit:
            found.setdefault(one.raw["count"], one.measured)
    return tuple(found.items())


def _draw(name: str, unit: str, *lines: Line) -> None:
    picture = growth.svg(f"A no-op plan: {unit}", f"services of {town.RESOURCES} resources each", unit, lines)
    RESULTS.with_name(f"{name}.svg").write_text(picture)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one or several of {', '.join(NAMES)}; all without it")
    parser.add_argument("--most", type=int, help="no more services than this: a quick look, of which nothing is written")
    asked = parser.parse_args()
    names = [name for argument in asked.names for name in argument.split(",")] or list(NAMES)
    if unknown := set(names) - set(NAMES):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    found: dict[str, list[Figure]] = {name: [] for name in names}
    for name, one in measure(names, asked.most or _ALL):
        found[name].append(one)
    if not asked.most:
        _keep(found)
    print(table([one for figures in found.values() for one in figures]))
    if any(one.requirement and not one.met for figures in found.values() for one in figures):
        sys.exit("error: a requirement does not hold: see the table")


def _keep(found: dict[str, list[Figure]]) -> None:
    for name, figures in found.items():
        write(name, figures)
    if "plan" in found:
        draw(found["plan"])
    (RESULTS / "table.md").write_text("".join(_told()))


def _told() -> Iterator[str]:
    """What is known of every benchmark, also of those that another run measured."""
    for name in NAMES:
        path = RESULTS / f"{name}.json"
        if path.exists():
            document = json.loads(path.read_text())
            on = document["machine"]
            yield f"## {name}\n{on['date']}, {on['cores']} cores, load average {on['load_average']}\n\n"
            yield table([Figure(**{key: value for key, value in one.items() if key != "met"}) for one in document["figures"]]) + "\n\n"


if __name__ == "__main__":
    main()
