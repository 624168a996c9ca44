"""PostgreSQL under Patroni in the lab: written to all the time, its leader stopped and killed, scaled, nothing acknowledged gone."""

from __future__ import annotations

import base64
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lab import defaults, namespace
from lab.agent import control
from lab.layout import Layout
from tests.e2e.workshop import Workshop

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

CLIENT = Path(__file__).with_name("ledger.py")
WITHIN = 60.0
APPLY = ("apply", "--auto-approve", "--timeout", "300s")
ENVIRONMENT = """\
apiVersion: reconciler/v1
kind: Environment
metadata: {name: ledgers}
spec:
  zones: [us-east-1a, us-east-1b, us-east-1c]
  dns: {zone: ledgers.internal}
"""
SERVICE = """\
apiVersion: reconciler/v1
kind: Service
metadata: {name: ledger}
spec:
  type: postgresql
  replicas: 3
  volumes: {data: {size: 1Gi}, journal: {size: 1Gi}}
  options: {synchronousMode: on, ttl: 20, loopWait: 2, retryTimeout: 3, maxConnections: 40}
"""


class Ledger:
    """The service as its spec's author, its client and the judge see it."""

    def __init__(self, work: Workshop) -> None:
        self.work = work
        self.specs = work.directory / "specs" / "ledgers"

    def declare(self, text: str) -> None:
        (self.specs / "ledger.yaml").write_text(text)

    def reconcile(self, *words: str) -> str:
        return self.work.reconcile(*words, "-e", "ledgers").stdout

    def leader(self) -> str:
        told = json.loads(self.work.kubectl("get", "configmap", "ledger.patroni-leader", "-o", "json"))
        return str(told["metadata"]["annotations"].get("leader", ""))

    def delete(self, member: str) -> None:
        """Its Pod is deleted; the StatefulSet makes another."""
        self.work.kubectl("delete", "pod", member, "--wait=false")

    def asked(self) -> list[str]:
        """What was asked of the leader, and done, before its restart."""
        told = json.loads(self.work.kubectl("get", "jobs", "-l", "reconciler/service=ledger,reconciler/leader", "-o", "json"))
        return [one["metadata"]["annotations"]["reconciler/does"] for one in told["items"]]

    def client(self, does: str) -> subprocess.Popen[str]:
        """A client of the members by their names, in the lab's network."""
        hosts = ",".join(f"ledger-{n}.ledgers.internal" for n in range(3))
        secret = json.loads(self.work.kubectl("get", "secret", "ledger-auth", "-o", "json"))["data"]["superuser"]
        command = namespace.entering(self.work.running.pid, (sys.executable, str(CLIENT), does, hosts), directory="/")
        own = {**os.environ, "PGPASSWORD": base64.b64decode(secret).decode()}
        return subprocess.Popen(command, env=own, stdout=subprocess.PIPE, text=True, start_new_session=True)

    def numbers(self) -> list[int]:
        """What the service holds."""
        client = self.client("read")
        told, _ = client.communicate(timeout=90)
        assert client.returncode == 0
        return [int(line) for line in told.split()]


class Writing:
    """A client that writes until it is told to stop; what it was told is written, and when."""

    def __init__(self, ledger: Ledger) -> None:
        self._process = ledger.client("write")

    def stop(self) -> list[tuple[int, float]]:
        os.killpg(self._process.pid, signal.SIGTERM)
        told, _ = self._process.communicate(timeout=30)
        lines = [line.split() for line in told.splitlines(keepends=True) if line.endswith("\n")]
        return [(int(number), float(seconds)) for number, seconds in lines]


@pytest.fixture
def ledger(lab: Layout, tmp_path: Path) -> Iterator[Ledger]:
    """An environment of its own in the shared lab; its Pods end with the test."""
    own = tmp_path / ".reconcile" / "ledgers"
    own.mkdir(parents=True)
    found: dict[str, Any] = defaults.defaults(lab)
    found["spec"] |= {"store": f"sqlite:///{own}/store.db"}
    found["spec"]["engine"] |= {"backend": f"file://{own}/engine"}
    (own / defaults.FILE).write_text(json.dumps(found))
    made = Ledger(Workshop(tmp_path, lab))
    made.specs.mkdir(parents=True)
    (made.specs / "environment.yaml").write_text(ENVIRONMENT)
    made.declare(SERVICE)
    made.work.run("git", "init", "-q", "-b", "main", tmp_path)
    yield made
    made.work.kubectl("delete", "statefulset", "ledger", "--ignore-not-found")


def test_postgresql_fails_over_and_scales_and_loses_nothing_that_was_acknowledged(ledger: Ledger) -> None:
    """A client writes through the members' names from the first apply to the last; `apply` itself waits until all is well again."""
    ledger.reconcile(*APPLY)
    assert ledger.reconcile("plan", "--detailed-exitcode").startswith("No changes.")
    writing = Writing(ledger)
    try:
        ledger.delete(former := ledger.leader())
        assert eventually(lambda: ledger.leader() not in {"", former})
        ledger.reconcile(*APPLY)
        with dead(ledger, killed := ledger.leader()):
            assert eventually(lambda: ledger.leader() not in {"", killed})
        ledger.delete(killed)  # in the lab a Pod on a node that comes back lacks what its init containers wrote
        ledger.reconcile(*APPLY)
        ledger.declare(f"{SERVICE.replace('replicas: 3', 'replicas: 2')}  restartedAt: again\n")
        assert "stops ledger-2, drained first" in ledger.reconcile(*APPLY)
        assert "have another member lead" in ledger.asked()  # who led handed over before it was restarted
        ledger.declare(
            f"{SERVICE}  restartedAt: again\n  restoreFrom: {{retained: true}}\n"
        )  # what member 2 left behind, older than the others by now
        ledger.reconcile(*APPLY)
    finally:
        acknowledged = writing.stop()
    kept, told = set(ledger.numbers()), {number for number, _ in acknowledged}
    assert len(told) > 100
    assert told - kept == set()
    longest = max(after[1] - before[1] for before, after in itertools.pairwise(acknowledged))
    assert longest < WITHIN, f"nothing was acknowledged for {longest:.0f} s"
    assert ledger.reconcile("plan", "--detailed-exitcode").startswith("No changes.")


@contextmanager
def dead(ledger: Ledger, member: str) -> Iterator[None]:
    """The node of *member* dies, processes and all, without a word; and comes back."""
    node = ledger.work.kubectl("get", "pod", member, "-o", "jsonpath={.spec.nodeName}")
    lab = Path(ledger.work.running.dir)
    control.node_down(lab, node, "dead")
    try:
        yield
    finally:
        control.node_up(lab, node)


def eventually(what: Callable[[], bool]) -> bool:
    end = time.monotonic() + WITHIN
    while not what():
        if time.monotonic() > end:
            return False
        time.sleep(0.3)
    return True
