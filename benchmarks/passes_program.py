"""`python -m benchmarks.passes_program COUNT`: plans COUNT times in one process, from git and the world each time. Prints JSON."""

from __future__ import annotations

import json
import os
import resource
import sys
import time

from benchmarks import town
from reconciler import bootstrap, loop
from reconciler.bootstrap import Home


def look(home: Home) -> None:
    """One pass, of which nothing is kept."""
    prepared = loop.prepare(*home.world(os.environ["RECONCILE_REPO"], None))
    assert not prepared.plan, "a world as declared has nothing to do"


def main() -> None:
    seconds, cpu, memory = [], [], []
    with bootstrap.home(town.ENVIRONMENT) as home:
        for _ in range(int(sys.argv[1])):
            began, before = time.perf_counter(), time.process_time()
            look(home)
            seconds.append(round(time.perf_counter() - began, 3))
            cpu.append(round(time.process_time() - before, 3))
            memory.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
    print(json.dumps({"seconds": seconds, "cpu_seconds": cpu, "peak_mib": memory}))


if __name__ == "__main__":
    main()
