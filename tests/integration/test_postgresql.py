"""PostgreSQL under Patroni in the lab: written to all the time, its leader stopped and killed, scaled, nothing acknowledged gone."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lab.layout import Layout
from tests.integration.ledgers import APPLY, WITHIN, Ledger, Writing, copied, eventually, opened

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

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


@pytest.fixture
def ledger(lab: Layout, tmp_path: Path) -> Iterator[Ledger]:
    with opened(lab, tmp_path, "ledgers", "ledger") as work:
        found = Ledger(work, "ledgers", "ledger", Path(__file__).with_name("ledger.py"), "superuser")
        found.declare(SERVICE)
        yield found


def leader(ledger: Ledger) -> str:
    told = json.loads(ledger.work.kubectl("get", "configmap", "ledger.patroni-leader", "-o", "json"))
    return str(told["metadata"]["annotations"].get("leader", ""))


def heirs(ledger: Ledger) -> str:
    """Who has everything that was acknowledged, and only so takes over, as Patroni says a moment after they stream."""
    told = json.loads(ledger.work.kubectl("get", "configmap", "ledger.patroni-sync", "-o", "json"))
    return str(told["metadata"]["annotations"].get("sync_standby") or "")


def asked(ledger: Ledger) -> list[str]:
    """What was asked of the leader, and done, before its restart."""
    told = json.loads(ledger.work.kubectl("get", "jobs", "-l", "reconciler/service=ledger,reconciler/leader", "-o", "json"))
    return [one["metadata"]["annotations"]["reconciler/does"] for one in told["items"]]


def secrets(ledger: Ledger) -> list[str]:
    """The names of its generated secrets."""
    told = json.loads(ledger.work.kubectl("get", "secrets", "-l", "reconciler/service=ledger", "-o", "json"))
    return sorted(one["metadata"]["name"] for one in told["items"])


def test_postgresql_fails_over_and_scales_and_loses_nothing_that_was_acknowledged(ledger: Ledger) -> None:
    """A client writes through the members' names from the first apply to the last; `apply` itself waits until all is well again."""
    ledger.reconcile(*APPLY)
    assert ledger.reconcile("plan", "--detailed-exitcode").startswith("No changes.")
    writing = Writing(ledger)
    try:
        assert eventually(lambda: heirs(ledger) != "")
        ledger.delete(former := leader(ledger))
        assert eventually(lambda: leader(ledger) not in {"", former})
        ledger.reconcile(*APPLY)
        assert eventually(lambda: heirs(ledger) != "")
        with ledger.dead([killed := leader(ledger)]):
            assert eventually(lambda: leader(ledger) not in {"", killed})
        ledger.delete(killed)  # in the lab a Pod on a node that comes back lacks what its init containers wrote
        ledger.reconcile(*APPLY)
        ledger.declare(f"{SERVICE.replace('replicas: 3', 'replicas: 2')}  rotation: 1\n")  # with the former password the client goes on
        assert "stops ledger-2, drained first" in ledger.reconcile(*APPLY)
        assert "have another member lead" in asked(ledger)  # who led handed over before it was restarted
        assert secrets(ledger) == ["ledger-auth-1"]
        ledger.declare(
            f"{SERVICE}  rotation: 1\n  restoreFrom: {{retained: true}}\n"
        )  # what member 2 left behind, older than the others by now
        ledger.reconcile(*APPLY)
    finally:
        acknowledged = writing.stop()
    kept, told = replace(ledger, secret="ledger-auth-1").numbers(), {number for number, _ in acknowledged}
    turned = f"{SERVICE}  rotation: 1\n"
    copy = copied(ledger, turned).replace("  rotation: 1\n", "")  # whose members come to each other as others than those of the data
    ledger.declare(f"{turned}---\n{copy}")
    ledger.reconcile(*APPLY)
    assert told - ledger.copy.numbers() == set()
    assert len(told) > 100
    assert told - kept == set()
    longest = max(after[1] - before[1] for before, after in itertools.pairwise(acknowledged))
    assert longest < WITHIN, f"nothing was acknowledged for {longest:.0f} s"
    assert ledger.reconcile("plan", "--detailed-exitcode").startswith("No changes.")
