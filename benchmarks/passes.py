"""Passes without change, one after the other in one process on one core: services a second, memory, and the calls they take."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator

from benchmarks import process
from benchmarks.figure import Figure
from benchmarks.world import World

AT = (1000,)
_PASSES = 4
_RATE = 100.0  # services a second that are wished for; at this rate calls are held against AWS's buckets
_LEAST = 10.0  # seconds between two passes of few services
_REFILLED = {"ec2": 20.0, "route53": 10.0}  # tokens a second, of each action of EC2 and of the whole account's Route53


def measure(world: World) -> Iterator[Figure]:
    world.servers.forget_calls()
    command = (sys.executable, "-m", "benchmarks.passes_program", str(_PASSES))
    run = process.run(command, world.environment(), world.folder, core=(os.cpu_count() or 1) - 1)
    told = json.loads(run.output.splitlines()[-1])
    calls = {name: count / _PASSES for name, count in world.servers.calls("reconciler").items()}
    steady = told["seconds"][1:]
    raw = {**told, "run": run.numbers, "calls_a_pass": calls}
    rate = world.count * len(steady) / sum(steady)
    yield Figure("continuous passes on one core", round(rate), "services/s", aim=_RATE, better="more", raw=raw)
    work = world.count * len(steady) / sum(told["cpu_seconds"][1:])
    yield Figure("continuous passes, were the core idle beside them", round(work), "services/CPU-s", aim=_RATE, better="more")
    yield Figure("continuous passes, memory", run.peak_mib, "MiB", aim=300)
    every = max(world.count / _RATE, _LEAST)
    used = _used(calls, every)
    yield Figure(f"fullest AWS bucket, a pass each {every:g} s", max(used.values()), "%", aim=10, requirement=True, raw=used)


def _used(calls: dict[str, float], every: float) -> dict[str, float]:
    """Of each bucket the share of what flows into it that is taken out, a pass *every* so many seconds."""
    taken: dict[str, float] = {}
    for name, count in calls.items():
        service = name.partition(":")[0]
        if service in _REFILLED:
            bucket = "route53 (account)" if service == "route53" else name
            taken[bucket] = taken.get(bucket, 0) + 100 * count / every / _REFILLED[service]
    return {bucket: round(share, 2) for bucket, share in sorted(taken.items())}
