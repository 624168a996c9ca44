"""Sessions whose Pod, Job or processes are killed under a running apply: every host is configured, in no more runs than it takes."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab import namespace
from tests.e2e import replica
from tests.e2e.replica import APPLY, NO_CHANGES, Replica, Replicas
from tests.e2e.workshop import Workshop

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
SECONDS = 3.0  # that the playbook takes: long enough to be hit


@dataclass(frozen=True)
class Blow:
    """What dies once *comes* holds; the playbook may begin *runs* times on each host in all."""

    strike: Callable[[Replica], object]
    comes: Callable[[Replica], object]
    runs: int


def _jobs(one: Replica) -> list[str]:
    return one.all.workshop.kubectl("get", "jobs", "-n", one.name, "-o", "name").split()


def _pods(one: Replica) -> list[str]:
    return one.all.workshop.kubectl("get", "pods", "-n", one.name, "-o", "name").split()


def _runs(one: Replica) -> bool:
    """The playbook has begun on every host and ended on none."""
    counted = one.runs().values()
    return all(steps.get("mark begins") for steps in counted) and not any(steps.get("mark ends") for steps in counted)


def _has_ended(one: Replica) -> bool:
    return all(steps.get("mark ends") for steps in one.runs().values())


def _delete(kind: str) -> Callable[[Replica], object]:
    words = ("delete", kind, "--all", "--grace-period=0", "--force", "--wait=false")
    return lambda one: one.all.workshop.kubectl(*words, "-n", one.name)


def _kill(program: str) -> Callable[[Replica], object]:
    """Kill the processes of the lab, in whose Pods only one session runs, that were started as *program*."""

    def strike(one: Replica) -> None:
        found = [pid for pid in namespace.members(one.all.workshop.running.pid).values() if program in _command(pid)]
        assert found, f"{program} runs nowhere"
        for pid in found:
            os.kill(pid, signal.SIGKILL)

    return strike


def _command(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:  # it has ended
        return []


BLOWS = {
    "pod-just-made": Blow(_delete("pods"), _pods, 1),
    "pod-in-a-playbook": Blow(_delete("pods"), _runs, 2),
    "job-in-a-playbook": Blow(_delete("jobs"), _runs, 2),
    "runner-in-a-playbook": Blow(_kill("runner.session"), _runs, 2),
    "report-in-a-playbook": Blow(_kill("runner.report"), _runs, 2),
    "pod-after-the-playbook": Blow(_delete("pods"), _has_ended, 2),
}


@pytest.fixture(scope="module")
def replicas(workshop: Workshop) -> Replicas:
    return replica.settle(workshop, tuple(BLOWS), seconds=SECONDS, services=False)


@pytest.mark.parametrize("name", BLOWS)
def test_a_session_killed_is_run_again(replicas: Replicas, name: str) -> None:
    blow = BLOWS[name]
    with replicas.open(name) as one:
        started = one.start(*APPLY)
        assert started.until(lambda: blow.comes(one)), started.said
        blow.strike(one)
        assert started.end() == 0, started.said
        for component, steps in one.runs().items():
            assert 1 <= steps["mark begins"] <= blow.runs, f"{component}: {steps}\n{started.said}"
            assert steps["mark ends"] >= 1, f"{component}: {steps}\n{started.said}"
        assert NO_CHANGES in one.reconcile("plan", "--detailed-exitcode").stdout
        assert len(_jobs(one)) <= 2, "one that was killed, and one in its place"
