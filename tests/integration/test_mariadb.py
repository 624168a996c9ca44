"""MariaDB as a Galera cluster in the lab: written to all the time, a Pod deleted, all nodes dead at once, nothing acknowledged gone."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lab.layout import Layout
from tests.integration.ledgers import APPLY, WITHIN, Ledger, Writing, copied, opened

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

SERVICE = """\
apiVersion: reconciler/v1
kind: Service
metadata: {name: rows}
spec:
  type: mariadb
  replicas: 3
  volumes: {data: {size: 1Gi}}
  options: {bufferPool: 32Mi, writeSetCache: 32Mi}
"""


@pytest.fixture
def rows(lab: Layout, tmp_path: Path) -> Iterator[Ledger]:
    with opened(lab, tmp_path, "rows", "rows") as work:
        found = Ledger(work, "rows", "rows", Path(__file__).with_name("galera_client.py"), "root")
        found.declare(SERVICE)
        yield found


def test_a_cluster_begins_once_and_keeps_what_it_acknowledged_though_all_its_nodes_die_at_once(rows: Ledger) -> None:
    """`apply` itself waits until every member has what the others have and refuses strangers."""
    rows.reconcile(*APPLY)
    assert told_secrets(rows) == []
    assert rows.ask("strangers") == []
    before = {line.split()[0] for line in rows.ask("cluster")}
    writing = Writing(rows)
    try:
        rows.delete("rows-1")
        rows.reconcile(*APPLY)
        with rows.dead(f"rows-{n}" for n in range(3)):
            pass
        rows.reconcile(*APPLY)
    finally:
        acknowledged = writing.stop()
    assert rows.ask("cluster") == [f"{''.join(before)} 3 Primary"] * 3
    assert rows.ask("strangers") == []
    told = {number for number, _ in acknowledged}
    assert len(told) > 100
    assert told - rows.numbers() == set()
    longest = max(after[1] - before[1] for before, after in itertools.pairwise(acknowledged))
    assert longest < WITHIN, f"nothing was acknowledged for {longest:.0f} s"
    rows.declare(f"{SERVICE.replace('replicas: 3', 'replicas: 1')}---\n{copied(rows, SERVICE)}")
    assert "# stops rows-2, rows-1" in rows.reconcile(*APPLY)
    copy = rows.copy
    assert copy.ask("cluster") == [f"{''.join(before)} 3 Primary"] * 3  # one history up to the snapshot, each its own from there
    assert copy.ask("strangers") == []
    assert told - copy.numbers() == set()
    alone = replace(rows, members=1)
    assert alone.ask("cluster") == [f"{''.join(before)} 1 Primary"]
    assert told - alone.numbers() == set()
    assert rows.reconcile("plan", "--detailed-exitcode").startswith("No changes.")


def told_secrets(rows: Ledger) -> list[str]:
    """Where a secret of the service can be read: in a log of its Pods, or among the processes."""
    found = json.loads(rows.work.kubectl("get", "secrets", "rows-auth", "rows-cluster", "-o", "json"))["items"]
    secrets = [base64.b64decode(value) for one in found for value in one["data"].values()]
    assert len(secrets) == 4
    logs = list((Path(rows.work.running.dir) / "logs" / "pods").glob("default_rows-*/*/*.log"))
    assert logs
    return [str(path) for path in (*logs, *Path("/proc").glob("[0-9]*/cmdline")) if any(secret in content(path) for secret in secrets)]


def content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # a process that has ended
        return b""
