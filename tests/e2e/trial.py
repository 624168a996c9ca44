"""Many replicas, each killed in its own way and healed by the next apply; several at a time, since some of them only wait."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from concurrent import futures
from dataclasses import dataclass
from typing import Any

from tests.e2e import kill, run
from tests.e2e.kill import Kill, Killed
from tests.e2e.replica import APPLY, NO_CHANGES, Replica, Replicas

AT_ONCE = 4
LETS_GO_WITHIN = 30.0  # seconds within which a node has let go of what a Pod that is gone had


@dataclass(frozen=True)
class Reference:
    """What an apply that nobody kills does, and how its environment stands then."""

    log: tuple[str, ...]
    standing: Any

    @property
    def creates(self) -> int:
        return sum(what.removeprefix("engine ") in kill.CALLS for what in self.log)


@dataclass(frozen=True)
class Verdict:
    """How a replica stands once it was killed and applied again; no *faults* where it stands as if nothing had happened."""

    name: str
    kill: Kill
    killed: Killed
    faults: tuple[str, ...]
    seconds: float

    def __str__(self) -> str:
        at = self.killed.where
        where = f"{self.killed.died} died at {at.who} {at.what}" if at else "it had ended before"
        between = ", between an AWS create and its checkpoint" if self.killed.between else ""
        told = "ok" if not self.faults else f"{len(self.faults)} faults"
        return f"{self.name}: {self.kill} ({where}{between}): {told} after {self.seconds:.0f} s"


def refer(replicas: Replicas, name: str, *, changed: bool = False) -> Reference:
    """Apply the replica *name* in peace, or its next commit once it was applied."""
    with replicas.open(name) as first:
        replica = _begun(first) if changed else first
        applied = replica.reconcile(*APPLY)
        assert applied.returncode == 0, applied.stdout
        effects = tuple(f"{one.who} {one.what}" for one in replica.effects.log)
        time.sleep(LETS_GO_WITHIN / 3)  # beside the applies to come it is taken at rest
        return Reference(effects, replica.standing())


def run_all(replicas: Replicas, kills: Mapping[str, Kill], reference: Reference, *, changed: bool = False) -> Iterator[Verdict]:
    """The verdicts on *kills*, a replica each, as they come; where *changed*, they are of an apply of its next commit."""
    with futures.ThreadPoolExecutor(AT_ONCE) as pool:
        running = [pool.submit(one, replicas, name, wanted, reference, changed=changed) for name, wanted in kills.items()]
        try:
            for done in futures.as_completed(running):
                yield done.result()
        finally:
            pool.shutdown(cancel_futures=True)


def one(replicas: Replicas, name: str, wanted: Kill, reference: Reference, *, changed: bool = False) -> Verdict:
    """Kill the apply of *name*, apply again, judge."""
    began = time.monotonic()
    with replicas.open(name) as first:
        replica = _begun(first) if changed else first
        killed = kill.carry_out(replica, wanted)
        faults = tuple(heal(replica, reference))
    told = (f"the first apply said:\n{killed.said}",) if faults else ()
    return Verdict(name, wanted, killed, faults + told, time.monotonic() - began)


def _begun(replica: Replica) -> Replica:
    """*replica*, applied in peace, before its next commit."""
    applied = replica.reconcile(*APPLY)
    assert applied.returncode == 0, applied.stdout
    replica.effects.forget()
    return replica.later()


def heal(replica: Replica, reference: Reference, runs: int = 1) -> Iterator[str]:
    """Apply *replica* as after any kill; everything that is not as if nothing had happened. A playbook may begin *runs* times."""
    replica.effects.forget()
    again = replica.reconcile(*APPLY)
    if again.returncode or "Apply complete!" not in again.stdout:
        yield f"the next apply ended with {again.returncode}:\n{again.stdout}"
    if left := run.alive(replica.mark):
        yield f"processes {left} are left"
    plan = replica.reconcile("plan", "--detailed-exitcode")
    if plan.returncode or NO_CHANGES not in plan.stdout:
        yield f"the next plan ended with {plan.returncode}:\n{plan.stdout}"
    found, wanted = _rested(replica, reference), reference.standing
    if runs > 1:
        yield from _too_often(found.pop("runs"), runs)
        found, wanted = _but_sessions(found), _but_sessions(wanted)
    yield from differing(found, wanted)


def _rested(replica: Replica, reference: Reference) -> dict[str, Any]:
    """How *replica* stands, once its nodes have let go of volumes as they had for *reference*."""
    end = time.monotonic() + LETS_GO_WITHIN
    while (found := replica.standing())["volumes"] != reference.standing["volumes"] and time.monotonic() < end:
        time.sleep(0.5)
    return found


def differing(found: Any, wanted: Any) -> Iterator[str]:
    """Where *found* stands otherwise than *wanted*."""
    for what in sorted({*found, *wanted}):
        if found.get(what) != wanted.get(what):
            yield f"{what} are {found.get(what)}\n    instead of {wanted.get(what)}"


def _too_often(counted: Mapping[str, Mapping[str, int]], runs: int) -> Iterator[str]:
    """Components that were configured too often, or not at all."""
    for component, steps in counted.items():
        if steps.get("mark begins", 0) > runs or not steps.get("mark ends"):
            yield f"of {component}'s playbook {dict(steps)}, which may begin {runs} times and has to end"


def _but_sessions(standing: Mapping[str, Any]) -> dict[str, Any]:
    """*standing* without sessions' Jobs and Pods, and how often they ran."""
    objects = [one for one in standing["objects"] if one[0] != "Job" and one[:2] != ["Pod", "of a session"]]
    return {name: seen for name, seen in standing.items() if name != "runs"} | {"objects": objects}
