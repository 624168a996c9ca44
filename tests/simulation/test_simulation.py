"""Members under any interleaving: controllers, crashes, retries, late lists and lost replies, out of a seed; invariants after every step.

10,000 by default. `make simulate N=100000 SEED=7` runs N from a seed; what fails says its own, and `make simulate N=1 SEED=…` repeats it.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.interleaving import Interleaving

ROOT = Path(__file__).parents[2]
INTERLEAVINGS = int(os.environ.get("SIMULATE_N", "10000"))
SEED = int(os.environ.get("SIMULATE_SEED", "20261122"))
SHARDS = min(10, INTERLEAVINGS)  # so that workers can share them
TOLD = 100  # lines of what led to a failure


def traced(seed: int) -> list[str]:
    """What happens in the interleaving of *seed*, a line a step; the last says what does not hold, if anything does not."""
    trace: list[str] = []
    try:
        Interleaving(seed, trace).run()
    except Exception as error:  # noqa: BLE001 - a failure of any kind is what one wants to read about
        trace.append(f"     {type(error).__name__}: {error}")
    return trace


def replayed(seed: int) -> str:
    trace = traced(seed)
    skipped = [f"({len(trace) - TOLD} steps before)"] if len(trace) > TOLD else []
    return "\n".join([f"make simulate N=1 SEED={seed}", *skipped, *trace[-TOLD:]])


@pytest.mark.parametrize("shard", range(SHARDS))
def test_no_interleaving_breaks_an_invariant_and_each_ends_in_place(shard: int) -> None:
    for seed in range(SEED + shard, SEED + INTERLEAVINGS, SHARDS):
        try:
            Interleaving(seed).run()
        except Exception:  # noqa: BLE001 - told whole, by a replay
            pytest.fail(replayed(seed), pytrace=False)


def test_a_seed_tells_everything() -> None:
    seeds = range(SEED, SEED + 30)
    program = f"from tests.simulation.test_simulation import digest\nprint(digest(range({seeds.start}, {seeds.stop})))"
    environment = {**os.environ, "PYTHONHASHSEED": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == digest(seeds)


def digest(seeds: range) -> str:
    return hashlib.sha256("\n".join(line for seed in seeds for line in traced(seed)).encode()).hexdigest()


def test_the_interleavings_have_what_they_are_about() -> None:
    """A simulator in which nothing happens finds nothing."""
    told = "\n".join(line for seed in range(SEED, SEED + 400) for line in traced(seed))
    for words in (
        "dies, and begins anew",
        "throttled",
        "as it was earlier",
        "no answer, done later",
        "no answer, done)",
        "no answer, not done",
        "late ",
        "is to end",
        "is terminated",
        "joins",
        "is cut off",
        "is heard of again",
        "is deleted by force",
        "is out of service",
        "is pulled out",
        "is elsewhere",
        "revision bad",
        "attach_network_interface",
        "detach_network_interface",
        "DELETE kv-0",
        "delete pods",
        " at once",
    ):
        assert words in told, words
