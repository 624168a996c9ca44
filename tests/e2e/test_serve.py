"""A branch that is served: a commit is picked up and carried out, members are placed with no apply running, and the end is orderly."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sqlite3
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
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
DOCUMENTS = """\
apiVersion: reconciler/v1
kind: Service
metadata: {name: documents}
spec:
  type: mongodb
  replicas: 1
  volumes: {data: {size: 1Gi}, journal: {size: 1Gi}}
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
    """The address that the name of each of its members has in Route53."""
    found = {name.partition(".")[0]: one["ResourceRecords"][0]["Value"] for name, one in looking.records("db.internal").items()}
    return {member: address for member, address in found.items() if member.startswith("kv-")}


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
    assert {one["type"]: (one["status"], one["since"]) for one in row["conditions"]}["SnapshotRecent"] == ("True", taken["taken"])

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


# Where Pods read the repository: nothing of the outer machine is reached from the lab.
MIRROR = "10.200.0.2"
SECRET = "reconciler-lab"


@dataclass(frozen=True)
class Inside:
    """The reconciler that runs in the lab, in a Pod."""

    workshop: Workshop
    looking: Judge

    @property
    def pod(self) -> dict[str, Any]:
        (found,) = self.looking.objects("pods", "app.kubernetes.io/name=reconciler").values()
        return found

    @property
    def said(self) -> str:
        return self.workshop.kubectl("logs", f"pod/{self.pod['metadata']['name']}")

    @property
    def restarts(self) -> int:
        """How often its container began anew; -1 while it is not ready."""
        (status,) = self.pod["status"]["containerStatuses"]
        return int(status["restartCount"]) if status["ready"] else -1

    def remembered(self) -> list[dict[str, int]]:
        """What it did, by the history on its volume: the summary of each pass, the oldest first."""
        claim = self.looking.objects("persistentvolumeclaims")["reconciler"]
        volume = self.looking.objects("persistentvolumes")[claim["spec"]["volumeName"]]["spec"]["csi"]["volumeHandle"]
        with tempfile.TemporaryDirectory() as folder:  # a reader of another user would leave files there that its owner cannot write
            for file in sorted((self.looking.volume_folder(volume) / "lab").glob("store.db*")):
                shutil.copy(file, folder)
            with closing(sqlite3.connect(Path(folder) / "store.db")) as database:
                tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
                told = database.execute("SELECT summary FROM history ORDER BY id") if "history" in tables else ()
                return [json.loads(summary) for (summary,) in told]

    def kill(self) -> None:
        """kill -9 its process, which is among those of this lab."""
        told = json.loads(self.workshop.reconcile("lab", "status", "--format", "json").stdout)
        serving = [pid for pid in told["pids"] if "\0serve\0" in Path(f"/proc/{pid}/cmdline").read_text()]
        assert len(serving) == 1, serving
        os.kill(serving[0], signal.SIGKILL)

    def until(self, holds: Callable[[], object]) -> float:
        """Wait until *holds* comes true; for how many seconds."""
        began = time.monotonic()
        while not holds():
            assert time.monotonic() < began + WITHIN, self.said
            time.sleep(0.5)
        return time.monotonic() - began


def install(workshop: Workshop, config: Repository, *more: str, code: int = 0) -> str:
    """What `reconcile install` says, with the rights of the judge."""
    own = workshop.running.kubernetes.kubeconfigs["judge"]
    followed = ("--repo", config.bare, "--ref", "served", "--url", f"git://{MIRROR}/{config.bare.name}", "--interval", "1s")
    return workshop.reconcile("install", *followed, "--settings-secret", SECRET, "--kubeconfig", own, *more, code=code).stdout


@pytest.fixture(scope="module")
def inside(workshop: Workshop, config: Repository, looking: Judge) -> Iterator[Inside]:
    """What a repository is served from, and what a Pod is told of this lab."""
    words = ("lab", "exec", "--", "git", "daemon", "--export-all", f"--base-path={config.bare.parent}", f"--listen={MIRROR}")
    mirror = run.start(words, workshop.directory, workshop.environment, f"mirror-{os.getpid()}")
    told = workshop.directory / ".reconcile" / "lab" / "inside"
    workshop.kubectl("create", "secret", "generic", SECRET, f"--from-file={told}")
    try:
        yield Inside(workshop, looking)
    finally:
        mirror.signal(signal.SIGTERM, group=True)
        mirror.end()


def named(policy: str) -> str:
    return ENVIRONMENT.format(more=f"api: kubernetes://default/reconciler\n  policy: {policy}\n  guard: {{maxDeletePercent: 100}}")


def test_it_is_installed_and_carries_the_branch_out(inside: Inside, config: Repository, workshop: Workshop, looking: Judge) -> None:
    config.commit("Serve it in the cluster", {OURS: named("automatic")})
    config.push("main:served")
    assert "Plan: 10 to add" in install(workshop, config, code=1)  # an approval never comes from silence
    assert "reconciler" not in looking.objects("deployments")
    assert "Apply complete! Resources: 10 added" in install(workshop, config, "--auto-approve")
    inside.until(lambda: inside.remembered() and "everything is as declared" in inside.said)
    assert install(workshop, config).startswith("No changes.")
    assert inside.remembered()[0]["import"] > 0  # until now the engine's record lay elsewhere


def test_an_apply_reaches_it_through_the_api_server(
    inside: Inside, config: Repository, workshop: Workshop, looking: Judge, runner: Path
) -> None:
    config.commit("Let people approve again", {OURS: named("approval"), PATH: SERVICE.format(replicas=2)})
    config.push("main:served")
    inside.until(lambda: "policy: approval leaves" in inside.said)
    words = ("apply", "--repo", str(config.bare), "--ref", "served", "--auto-approve", "--timeout", "2m")
    applied = workshop.run(sys.executable, "-m", "reconciler", *words, cwd=runner)
    assert "Apply complete! Resources:" in applied.stdout, inside.said
    assert set(pods(looking)) == {"kv-0", "kv-1"}
    assert json.loads(workshop.kubectl("get", "--raw", "/api/v1/namespaces/default/services/reconciler/proxy/readyz"))["ready"]


def test_a_member_that_moves_is_followed_after_the_apply_has_ended(inside: Inside, workshop: Workshop, looking: Judge) -> None:
    before = pods(looking)
    workshop.kubectl("delete", "pod", "kv-1", "--wait=false")
    inside.until(lambda: pods(looking).get("kv-1", before["kv-1"]) != before["kv-1"])
    assert inside.until(lambda: records(looking) == pods(looking)) < 30


def standing(workshop: Workshop, config: Repository, service: str) -> str:
    """Whether it is Ready, as everybody sees it."""
    told = workshop.reconcile("status", "--repo", config.bare, "--ref", "served", "--service", service, "--format", "json").stdout
    return next((str(row["ready"]) for row in json.loads(told)), "")


def test_killed_while_it_initialises_it_goes_on_with_what_it_remembers(
    inside: Inside, config: Repository, workshop: Workshop, looking: Judge
) -> None:
    before, restarts, held = inside.remembered(), inside.restarts, holders(workshop)
    config.commit("Add documents, and act by itself", {OURS: named("automatic"), "specs/lab/documents.yaml": DOCUMENTS})
    config.push("main:served")
    inside.until(lambda: looking.objects("jobs", "reconciler/service=documents"))
    inside.kill()
    inside.until(lambda: inside.restarts > restarts)
    took = inside.until(lambda: all(holders(workshop)[name] not in {"", held[name]} for name in LEASES))
    assert took < 30  # and not the time of leases whose holder nobody can see
    inside.until(lambda: standing(workshop, config, "documents") == "Ready" and "everything is as declared" in inside.said)
    after = inside.remembered()
    assert after[: len(before)] == before
    assert not any(summary.get("import") for summary in after[len(before) :])  # its engine knows what is there
