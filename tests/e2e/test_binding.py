"""The plan binds, and what a run left broken is mended by the next: plan files, the engine's view, a broken record, a lock of the dead."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.one_service import ENVIRONMENT, PATH, SERVICE
from tests.e2e.workshop import Repository, Workshop

pytestmark = pytest.mark.e2e
HOLD = """
import os, sys
from reconciler import bootstrap
with bootstrap.home("lab") as home:
    home.world(sys.argv[1], None)
    held = home.leases.hold("apply", duration=60)
    print(home.leases.token, flush=True)
    if sys.argv[2] == "die":
        os._exit(9)
    input()
"""


@pytest.fixture(scope="module")
def config(workshop: Workshop) -> Repository:
    return workshop.repository("config", {"specs/lab/environment.yaml": ENVIRONMENT, PATH: SERVICE})


@pytest.fixture(scope="module")
def applied(workshop: Workshop, config: Repository) -> Repository:
    workshop.reconcile("apply", "--repo", config.bare, "--auto-approve")
    return config


def seen(workshop: Workshop, config: Repository, *words: str) -> list[dict[str, Any]]:
    """What `plan --engine` says that the engine would do, over all stacks."""
    document = json.loads(workshop.reconcile("plan", "--repo", config.bare, "--engine", "--format", "json", *words).stdout)
    return [step for view in document["engine"] for step in view["operations"]]


def stored(workshop: Workshop) -> dict[str, bytes]:
    folder = workshop.directory / ".reconcile" / "lab" / "reconciler" / "engine"
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def disturb(workshop: Workshop, most: int) -> None:
    """Somebody lets more Pods be evicted than is declared."""
    workshop.kubectl("patch", "poddisruptionbudget", "kv", "--type=merge", "-p", json.dumps({"spec": {"maxUnavailable": most}}))


def record(workshop: Workshop) -> Path:
    (found,) = (workshop.directory / ".reconcile").rglob("stacks/reconciler/lab.kv.json")
    return found


def test_before_anything_is_there_the_engine_sees_what_the_plan_says(workshop: Workshop, config: Repository) -> None:
    before = stored(workshop)
    steps = seen(workshop, config)
    assert {(step["op"], step["planned"], step["verdict"]) for step in steps} == {("create", "create", "planned")}
    assert len(steps) == 9  # all but the record, which the members make
    assert stored(workshop) == before


def test_a_file_is_applied_once_and_not_after_something_has_moved(workshop: Workshop, applied: Repository) -> None:
    saved = workshop.directory / "plan.json"
    applied.commit("Grow", {PATH: SERVICE.replace("3Gi", "4Gi")})
    applied.push("main")
    workshop.reconcile("plan", "--repo", applied.bare, "--out", saved)
    assert {step["verdict"] for step in seen(workshop, applied)} == {"planned"}
    workshop.kubectl("label", "persistentvolumeclaim", "data-kv-0", "moved=yes")
    refused = workshop.reconcile("apply", saved, "--repo", applied.bare, code=4)
    assert "kubernetes/lab/kv/PersistentVolumeClaim/default/data-kv-0: metadata.labels.moved differs from what was read" in refused.stderr
    workshop.kubectl("label", "persistentvolumeclaim", "data-kv-0", "moved-")
    workshop.reconcile("apply", saved, "--repo", applied.bare)
    again = workshop.reconcile("apply", saved, "--repo", applied.bare, code=4)
    assert "nothing is to be done any more" in again.stderr
    assert workshop.aws.volume("volume/lab/kv/kv-0/data")["Size"] == 4
    assert "nothing is to be done" in workshop.reconcile("plan", "--repo", applied.bare, "--engine", "--service", "kv").stdout
    assert "not asked" in workshop.reconcile("plan", "--repo", applied.bare, "--engine").stdout


def test_what_moves_while_a_person_thinks_is_refused(workshop: Workshop, applied: Repository) -> None:
    disturb(workshop, 3)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "reconciler", "apply", "--repo", str(applied.bare)]
    pipes: dict[str, Any] = {"stdin": theirs, "stdout": theirs, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=workshop.directory, env=dict(workshop.environment), text=True, **pipes) as asking:
        os.close(theirs)
        said = ""
        while "Only 'yes'" not in said:
            said += os.read(ours, 4096).decode()
        disturb(workshop, 2)
        os.write(ours, b"yes\n")
        told = asking.stderr.read() if asking.stderr else ""
    os.close(ours)
    assert asking.returncode == 4, told
    assert "PodDisruptionBudget/default/kv: spec.maxUnavailable was 3 live when it was approved, it is 2" in told
    workshop.reconcile("apply", "--repo", applied.bare, "--auto-approve")


@pytest.mark.parametrize("backup", [True, False])
def test_a_broken_record_is_mended_and_nothing_is_made_twice(workshop: Workshop, applied: Repository, *, backup: bool) -> None:
    volume = workshop.aws.volume("volume/lab/kv/kv-0/data")["VolumeId"]
    path = record(workshop)
    path.write_bytes(path.read_bytes()[:1000])
    if not backup:
        path.with_name(f"{path.name}.bak").unlink()
        for older in path.parents[2].rglob("history/reconciler/lab.kv/*"):
            older.unlink()
    planned = workshop.reconcile("plan", "--repo", applied.bare)
    assert f"Note: the engine's record {path} cannot be read" in planned.stderr
    assert ("No changes." in planned.stdout) == backup
    workshop.reconcile("apply", "--repo", applied.bare, "--auto-approve")
    assert workshop.aws.volume("volume/lab/kv/kv-0/data")["VolumeId"] == volume
    after = workshop.reconcile("plan", "--repo", applied.bare)
    assert ("No changes." in after.stdout, "cannot be read" in after.stderr) == (True, False)
    assert len(list(path.parent.glob("lab.kv.json.broken-*"))) == (1 if backup else 2)


def test_a_lock_is_taken_from_the_dead_only_and_from_the_one_that_was_named(workshop: Workshop, applied: Repository) -> None:
    unlock = ("unlock", "--repo", applied.bare)
    assert "Nothing is locked." in workshop.reconcile(*unlock).stdout
    command = [sys.executable, "-c", HOLD, str(applied.bare), "live"]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=workshop.directory, env=dict(workshop.environment), text=True, **pipes) as holder:
        token = (holder.stdout.readline() if holder.stdout else "").strip()
        locked = workshop.reconcile("apply", "--repo", applied.bare, "--auto-approve", code=3)
        assert f"apply is held by process {holder.pid} on " in locked.stderr
        assert "it is alive" in locked.stderr
        assert f"(lock id {token})" in locked.stderr
        assert "is alive" in workshop.reconcile(*unlock, token, "--auto-approve", code=3).stderr
        holder.kill()
    wrong = workshop.reconcile(*unlock, "f00", "--auto-approve", code=1)
    assert "the lock f00 is no longer held" in wrong.stderr
    assert "nobody approved" in workshop.reconcile(*unlock, token, code=1).stderr
    assert "Unlocked." in workshop.reconcile(*unlock, token, "--auto-approve").stdout
    workshop.run(sys.executable, "-c", HOLD, applied.bare, "die", code=9)
    began = time.monotonic()
    workshop.reconcile("apply", "--repo", applied.bare, "--auto-approve")  # without anybody's help, and at once
    assert time.monotonic() - began < 60
