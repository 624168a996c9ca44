"""A branch that is served: a commit is picked up and carried out, members are placed with no apply running, and the end is orderly."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import run
from tests.e2e.judge import Judge
from tests.e2e.lab_world import judge
from tests.e2e.run import Run
from tests.e2e.workshop import Ended, Repository, Workshop

pytestmark = pytest.mark.e2e
WITHIN = 120.0
ENVIRONMENT = """\
apiVersion: reconciler/v1
kind: Environment
metadata: {{name: lab}}
spec:
  zones: [us-east-1a, us-east-1b, us-east-1c]
  {more}
"""
SERVICE = """\
apiVersion: reconciler/v1
kind: Service
metadata: {{name: kv}}
spec:
  type: redis
  version: "8.0"
  replicas: {replicas}
  volumes: {{data: {{size: 1Gi}}}}
"""
PATH, OURS = "specs/lab/kv.yaml", "specs/lab/environment.yaml"
ROLES = ("branch", "reconcile", "members", "components", "api")
LEASES = {"reconcile", "members", "batcher", "operator", "api"}


@dataclass
class Server:
    """A `serve` that runs beside a test, and how outsiders see it."""

    running: Run
    url: str

    def ready(self) -> tuple[int, dict[str, Any]]:
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def until(self, holds: Callable[[], object]) -> float:
        """Wait until *holds* comes true; for how many seconds."""
        began = time.monotonic()
        while not holds():
            assert time.monotonic() < began + WITHIN, self.running.said
            assert not self.running.over, self.running.said
            time.sleep(0.1)
        return time.monotonic() - began


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="module")
def config(workshop: Workshop) -> Repository:
    """A repository whose branch `served` is not there yet."""
    return workshop.repository("config", {OURS: ENVIRONMENT.format(more=""), PATH: SERVICE.format(replicas=1)})


@pytest.fixture(scope="module")
def looking(workshop: Workshop, config: Repository) -> Judge:
    return judge(workshop)


@pytest.fixture(scope="module")
def served(workshop: Workshop, config: Repository) -> Iterator[Server]:
    listen = f"127.0.0.1:{free_port()}"
    words = ("serve", "-e", "lab", "--repo", str(config.bare), "--ref", "served", "--interval", "1s", "--listen", listen)
    server = Server(run.start(words, workshop.directory, workshop.environment, f"serve-{os.getpid()}"), f"http://{listen}")
    server.running.until(lambda: "listens at" in server.running.said)
    yield server
    if not server.running.over:
        server.running.signal(signal.SIGTERM, group=False)
        server.running.end()


def pods(looking: Judge) -> dict[str, str]:
    """The address of each Pod of the service that has one, and is to stay."""
    found = looking.objects("pods", "reconciler/service=kv")
    staying = {name: one["status"] for name, one in found.items() if "deletionTimestamp" not in one["metadata"]}
    return {name: status["podIP"] for name, status in staying.items() if status.get("podIP")}


def records(looking: Judge) -> dict[str, str]:
    """The address that each member's name has in Route53."""
    return {name.partition(".")[0]: one["ResourceRecords"][0]["Value"] for name, one in looking.records("db.internal").items()}


def holders(workshop: Workshop) -> dict[str, str]:
    leases = json.loads(workshop.kubectl("get", "leases", "-n", "default", "-o", "json"))["items"]
    return {one["metadata"]["name"]: one["spec"].get("holderIdentity", "") for one in leases}


def test_it_is_alive_and_not_ready_as_long_as_it_has_nothing_to_serve(served: Server, config: Repository) -> None:
    with urllib.request.urlopen(f"{served.url}/healthz", timeout=10) as answer:
        assert answer.status == 200
    assert served.ready() == (503, {"ready": False, "roles": {}})
    served.until(lambda: "has no served" in served.running.said)


def test_a_commit_is_carried_out_and_its_members_are_placed(served: Server, config: Repository, workshop: Workshop, looking: Judge) -> None:
    config.push("main:served")
    served.until(lambda: "serves lab at" in served.running.said)
    served.until(lambda: pods(looking) and records(looking) == pods(looking))
    served.until(lambda: served.ready()[0] == 200)
    assert {name: role["state"] for name, role in served.ready()[1]["roles"].items()} == dict.fromkeys(ROLES, "held")
    assert {name for name, holder in holders(workshop).items() if holder} >= LEASES
    assert workshop.reconcile("history", "--repo", config.bare, "--ref", "served").stdout.count("converged") == 1


def test_the_next_commit_is_picked_up(served: Server, config: Repository, looking: Judge) -> None:
    config.commit("Two of them", {PATH: SERVICE.format(replicas=2)})
    config.push("main:served")
    served.until(lambda: set(pods(looking)) == {"kv-0", "kv-1"} and records(looking) == pods(looking))


def test_a_pod_that_comes_up_elsewhere_gets_its_name_with_no_apply_running(served: Server, workshop: Workshop, looking: Judge) -> None:
    before = pods(looking)
    workshop.kubectl("delete", "pod", "kv-1", "--wait=false")
    served.until(lambda: pods(looking).get("kv-1", before["kv-1"]) != before["kv-1"])
    took = served.until(lambda: records(looking) == pods(looking))
    assert took < 30
    workshop.kubectl("wait", "pod/kv-1", "--for=condition=Ready", "--timeout=60s")


DRILL = """\
apiVersion: reconciler/v1
kind: Service
metadata: {{name: drill}}
spec:
  type: redis
  version: "8.0"
  replicas: 2
  volumes: {{data: {{size: 2Gi}}}}
  restoreFrom: {{service: kv, snapshotTime: "{time}"}}
"""


def redis(workshop: Workshop, pod: str, *words: str) -> str:
    """What the server of *pod* answers."""
    address = json.loads(workshop.kubectl("get", "pod", pod, "-o", "json"))["status"]["podIP"]
    return workshop.reconcile("lab", "exec", "--", "redis-cli", "-h", address, *words).stdout.strip()


def snapshots(workshop: Workshop, config: Repository) -> list[dict[str, Any]]:
    told = workshop.reconcile("snapshots", "--repo", config.bare, "--ref", "served", "--format", "json").stdout
    return [one for one in json.loads(told) if one["state"] == "complete"]


def disks(looking: Judge) -> dict[str, int]:
    """The volumes of the drill, with their sizes."""
    found = looking.volumes()
    return {one["VolumeId"]: one["Size"] for address, each in found.items() if address.startswith("volume/lab/drill/") for one in each}


def test_a_restore_drill_reads_back_a_row_that_was_written_before_the_snapshot(
    served: Server, config: Repository, workshop: Workshop
) -> None:
    """And none that was written after it."""
    assert redis(workshop, "kv-0", "set", "row", "before") == "OK"
    config.commit("Take snapshots", {PATH: f"{SERVICE.format(replicas=2)}  snapshots: {{every: 1h, keep: 2}}\n"})
    config.push("main:served")
    served.until(lambda: snapshots(workshop, config))
    (taken,) = snapshots(workshop, config)
    assert {f"{one['member']}/{one['name']}" for one in taken["volumes"]} == {"kv-0/data", "kv-1/data"}
    (row,) = json.loads(workshop.reconcile("status", "--repo", config.bare, "--ref", "served", "--format", "json").stdout)
    assert [(one["type"], one["status"], one["since"]) for one in row["conditions"]] == [("SnapshotRecent", "True", taken["taken"])]

    assert redis(workshop, "kv-0", "set", "row", "after") == "OK"
    config.commit("Drill", {"specs/lab/drill.yaml": DRILL.format(time=taken["taken"])})
    config.push("main")
    planned = workshop.reconcile("plan", "--repo", config.bare, "--ref", "main").stdout
    assert f"(from snapshot {taken['volumes'][0]['id']} of kv-0/data, taken {taken['taken']})" in planned
    config.push("main:served")
    served.until(lambda: "drill-0" in workshop.kubectl("get", "pods", "-o", "name"))
    workshop.kubectl("wait", "pod/drill-0", "pod/drill-1", "--for=condition=Ready", "--timeout=120s")
    assert redis(workshop, "drill-0", "get", "row") == "before"
    assert redis(workshop, "kv-0", "get", "row") == "after"


@pytest.fixture(scope="module")
def runner(workshop: Workshop) -> Path:
    """A directory as a CI runner has it: it reaches the same lab, and has nothing of what others applied."""
    own = workshop.directory / "runner" / ".reconcile" / "lab"
    own.mkdir(parents=True)
    told = json.loads((workshop.directory / ".reconcile" / "lab" / "defaults.json").read_text())
    told["spec"]["engine"]["backend"], told["spec"]["store"] = f"file://{own}/engine", f"sqlite:///{own}/store.db"
    (own / "defaults.json").write_text(json.dumps(told))
    return workshop.directory / "runner"


def test_a_runners_apply_is_handed_over_where_the_environment_names_the_server(
    served: Server, config: Repository, workshop: Workshop, looking: Judge, runner: Path
) -> None:
    """Beside it, the restored service grows without the words that brought it."""
    restored = disks(looking)
    named = ENVIRONMENT.format(more=f"api: {served.url}\n  policy: approval")
    grown = "\n".join(line for line in DRILL.format(time="").replace("2Gi", "3Gi").splitlines() if "restoreFrom" not in line)
    config.commit("Let people approve", {OURS: named, PATH: SERVICE.format(replicas=3), "specs/lab/drill.yaml": grown})
    config.push("main:served")
    served.until(lambda: "policy: approval leaves" in served.running.said)
    at = ("--repo", str(config.bare), "--ref", "served")

    def reconcile(*words: str, code: int = 0) -> Ended:
        return workshop.run(sys.executable, "-m", "reconciler", *words, *at, code=code, cwd=runner)

    plan = reconcile("plan").stdout
    assert "Plan: " in plan
    assert "import" not in plan  # the engine's record lies with the server
    refused = reconcile("apply", "--digest", "0" * 64, code=4)
    assert "was approved" in refused.stderr
    applied = reconcile("apply", "--auto-approve", "--timeout", "2m")
    assert "Apply complete! Resources:" in applied.stdout
    assert "kubernetes/lab/kv/StatefulSet/default/kv: updated after" in applied.stderr
    assert "pod/kv-2" in workshop.kubectl("get", "pods", "-o", "name")
    assert not list((runner / ".reconcile").rglob("*.db"))  # neither its engine nor its store were used
    assert reconcile("plan", "--detailed-exitcode").stdout.startswith("No changes.")
    assert disks(looking) == dict.fromkeys(restored, 3), "nothing is made anew for want of them"


def test_sigterm_ends_it_with_everything_given_back(served: Server, config: Repository, workshop: Workshop) -> None:
    served.running.signal(signal.SIGTERM, group=False)
    assert served.running.end() == 0
    assert "ended" in served.running.said
    assert not {name for name, holder in holders(workshop).items() if holder and name in LEASES}
    assert not run.alive(f"serve-{os.getpid()}")


def test_once_nobody_serves_any_more_plan_warns_and_apply_asks_to_be_told(config: Repository, workshop: Workshop) -> None:
    long_ago = {"spec": {"renewTime": "2026-01-01T00:00:00.000000Z"}}
    workshop.kubectl("patch", "lease", "members", "--type=merge", "-p", json.dumps(long_ago))
    at = ("--repo", config.bare, "--ref", "served")
    assert "warning: nobody has placed members of lab for" in workshop.reconcile("plan", *at).stderr
    refused = workshop.reconcile("apply", *at, "--auto-approve", code=1)
    assert "error: nobody has placed members of lab for" in refused.stderr
    assert "--allow-unattended" in refused.stderr
    assert "Apply complete!" in workshop.reconcile("apply", *at, "--auto-approve", "--allow-unattended").stdout


# Behind a Service there are Pods, or the API server's proxy leads nowhere: one that passes on to where the test runs `serve`.
DOOR = """
import asyncio
async def pipe(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()
async def come_in(reader, writer):
    there = await asyncio.open_connection("10.200.0.2", 8080)
    await asyncio.gather(pipe(reader, there[1]), pipe(there[0], writer))
async def main():
    await (await asyncio.start_server(come_in, "0.0.0.0", 8080)).serve_forever()
asyncio.run(main())
"""


def behind_a_service() -> list[dict[str, Any]]:
    """A Service `reconciler`, and the Pod that it leads to."""
    metadata = {"name": "reconciler", "namespace": "default", "labels": {"app": "reconciler"}}
    door = {"name": "door", "image": "python:3.11", "command": ["python3", "-c", DOOR]}
    return [
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"selector": metadata["labels"], "ports": [{"port": 8080}]}},
        {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [door]}},
    ]


@pytest.fixture(scope="module")
def inside(workshop: Workshop, config: Repository, looking: Judge) -> Iterator[Run]:
    """A `serve` that nobody reaches but through the API server."""
    named = ENVIRONMENT.format(more="api: kubernetes://default/reconciler\n  policy: approval")
    config.commit("Serve it in the cluster", {OURS: named, PATH: SERVICE.format(replicas=2)})
    config.push("main:served")
    looking.create(behind_a_service())
    workshop.kubectl("wait", "pod/reconciler", "--for=condition=Ready", "--timeout=60s")
    serve = ("serve", "-e", "lab", "--repo", str(config.bare), "--ref", "served", "--interval", "1s", "--listen", "10.200.0.2:8080")
    words = ("lab", "exec", "--", sys.executable, "-u", "-m", "reconciler", *serve)
    running = run.start(words, workshop.directory, workshop.environment, f"inside-{os.getpid()}")
    try:
        Server(running, "").until(lambda: "policy: approval leaves" in running.said)
        yield running
    finally:
        running.signal(signal.SIGTERM, group=True)
        running.end()


def test_an_apply_reaches_it_through_the_api_server(inside: Run, config: Repository, workshop: Workshop, runner: Path) -> None:
    words = ("apply", "--repo", str(config.bare), "--ref", "served", "--auto-approve", "--allow-deletes", "9", "--timeout", "2m")
    applied = workshop.run(sys.executable, "-m", "reconciler", *words, cwd=runner)
    assert "Apply complete! Resources:" in applied.stdout, inside.said
    assert "applies" in inside.said
    assert "pod/kv-2" not in workshop.kubectl("get", "pods", "-o", "name")
    assert json.loads(workshop.kubectl("get", "--raw", "/api/v1/namespaces/default/services/reconciler/proxy/readyz"))["ready"]
