"""`python -m benchmarks.diff_program`: reads a world once, then plans it again and again from what was read. Prints JSON."""

from __future__ import annotations

import gc
import json
import os
import time
from dataclasses import replace

from benchmarks import town
from reconciler import bootstrap, loop

_TIMES = 5


def main() -> None:
    with bootstrap.home(town.ENVIRONMENT) as home:
        world, desired = home.world(os.environ["RECONCILE_REPO"], None)
        before = time.process_time()
        observed = world.observe()
        reading = time.process_time() - before
        spent = []
        for _ in range(_TIMES):
            gc.collect()
            before = time.process_time()
            prepared = loop.prepare(replace(world, observe=lambda: observed), desired)
            spent.append(round(time.process_time() - before, 4))
            assert not prepared.plan, "a world as declared has nothing to do"
    print(json.dumps({"objects": len(desired.resources), "cpu_seconds": spent, "cpu_of_reading": round(reading, 4)}))


if __name__ == "__main__":
    main()
