"""The engine's own record: what it holds, what a dead run left in it, and that a run which takes over clears that away."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from providers.checkpoints import Checkpoints
from reconciler import loop
from reconciler.model.address import ResourceId
from reconciler.model.observation import Observed
from tests.memory_world import MemoryWorld, desired

VOLUME = ResourceId("volume", "lab", "kv", "kv-0/data")
KV = """\
apiVersion: reconciler/v1
kind: Service
metadata: {name: kv}
spec: {type: redis, replicas: 1, volumes: {data: {size: 1Gi}}}
"""
URN = f"urn:pulumi:lab.kv::reconciler::aws:ebs/volume:Volume::{VOLUME}"


@pytest.fixture
def record(tmp_path: Path) -> Checkpoints:
    return Checkpoints(f"file://{tmp_path}?metadata=skip")


def path_of(record: Checkpoints, stack: str) -> Path:
    return record.root / "stacks" / "reconciler" / f"{stack}.json"


def write(record: Checkpoints, stack: str, *, pending: bool) -> None:
    operations = [{"type": "creating", "resource": {"urn": URN}}] if pending else []
    path = path_of(record, stack)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"version": 3, "checkpoint": {"latest": {"resources": [], "pending_operations": operations}}}))


def lock(record: Checkpoints, stack: str) -> Path:
    path = record.root / "locks" / "organization" / "reconciler" / stack / "4c8e1c80.json"
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    return path


def test_what_a_dead_run_left_is_found_also_where_it_died_before_the_stack_was_made(record: Checkpoints) -> None:
    write(record, "lab.kv", pending=True)
    write(record, "lab.zk", pending=False)
    lock(record, "lab.new")
    lock(record, "other.kv")
    assert record.left("lab") == ("lab.kv", "lab.new")
    assert record.pending("lab") == {VOLUME}


def test_a_lock_is_removed_from_its_stack_only(record: Checkpoints) -> None:
    mine, other = lock(record, "lab.kv"), lock(record, "lab.zk")
    record.unlock("lab.kv")
    record.unlock("lab.kv")
    assert (mine.exists(), other.exists()) == (False, True)


def test_only_what_was_being_made_may_still_turn_up(record: Checkpoints) -> None:
    write(record, "lab.kv", pending=True)
    path = path_of(record, "lab.kv")
    for kind, expected in (("creating", {VOLUME}), ("importing", {VOLUME}), ("updating", set()), ("deleting", set())):
        path.write_text(path.read_text().replace('"type": "creating"', f'"type": "{kind}"'))
        record.stacks("lab")
        assert Checkpoints(f"file://{record.root.parent}").pending("lab") == expected
        assert record.left("lab") == ("lab.kv",)
        path.write_text(path.read_text().replace(f'"type": "{kind}"', '"type": "creating"'))


@pytest.mark.parametrize(("age", "expected"), [(1.0, {VOLUME}), (-5.0, {VOLUME}), (40.0, set())])
def test_what_was_made_a_moment_ago_may_not_be_told_of_yet(record: Checkpoints, age: float, expected: set[ResourceId]) -> None:
    made = datetime.fromtimestamp(time.time() - age, UTC).strftime("%Y-%m-%dT%H:%M:%S.123456789Z")
    service = "urn:pulumi:lab.kv::reconciler::kubernetes:core/v1:Service::kubernetes/lab/kv/Service/default/kv"
    resources = [{"urn": URN, "created": made}, {"urn": service, "created": made}, {"urn": URN.replace("kv-0", "kv-1")}]
    path = path_of(record, "lab.kv")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"version": 3, "checkpoint": {"latest": {"resources": resources}}}))
    assert record.pending("lab") == expected


def deployment(*members: str) -> str:
    held = [{"urn": URN.replace("kv-0", member)} for member in members]
    return json.dumps({"version": 3, "checkpoint": {"latest": {"resources": held}}})


BROKEN = ["", "{", '{"version": 3, "check', "null", "[]", '{"checkpoint": 3}', "\x00" * 40]


@pytest.mark.parametrize("text", BROKEN)
@pytest.mark.parametrize(
    ("backup", "history", "expected", "taken"),
    [
        (deployment("kv-0", "kv-1"), [deployment("kv-0")], 2, "lab.kv.json.bak is taken instead"),
        ("{", [deployment(), deployment("kv-0")], 1, "lab.kv-2.checkpoint.json is taken instead"),
        (None, ["{"], 0, "what is live is imported anew"),
    ],
)
def test_a_broken_record_is_mended_with_the_newest_that_can_be_read_and_kept(
    tmp_path: Path, text: str, backup: str | None, history: list[str], expected: int, taken: str
) -> None:
    said: list[str] = []
    record = Checkpoints(f"file://{tmp_path}", said.append)
    path = path_of(record, "lab.kv")
    path.parent.mkdir(parents=True)
    path.write_text(text)
    if backup is not None:
        path.with_name("lab.kv.json.bak").write_text(backup)
    past = record.root / "history" / "reconciler" / "lab.kv"
    past.mkdir(parents=True)
    for number, older in enumerate(history, 1):
        (past / f"lab.kv-{number}.checkpoint.json").write_text(older)

    for _ in range(2):  # a plan only reads
        assert len(record.stacks("lab")["kv"]) == expected
    assert path.read_text() == text
    assert len(said) == 1
    assert taken in said[0]

    record.mend("lab")
    record.mend("lab")
    assert sum(map(len, record.stacks("lab").values())) == expected
    assert path.exists() == bool(expected)
    (aside,) = path.parent.glob("lab.kv.json.broken-*")
    assert aside.read_text() == text
    assert str(aside) in said[1]
    assert len(said) == 2
    again = Checkpoints(f"file://{tmp_path}", said.append)
    again.stacks("lab")
    again.mend("lab")
    assert len(said) == 2


def test_an_emptied_layout_of_the_backend_is_not_taken_for_that_of_long_ago(record: Checkpoints) -> None:
    record.root.mkdir(parents=True)
    (record.root / "meta.yaml").write_text("")
    record.mend("lab")
    assert (record.root / "meta.yaml").read_text() == "version: 1\n"


def test_a_volume_keeps_the_mark_of_the_commit_that_gave_it_up_first() -> None:
    world = MemoryWorld()
    world.converge(KV)
    prepared = world.plan(desired(""))
    (volume,) = (change for change in prepared.plan.changes if change.id.kind == "volume")
    marked: list[str] = []
    outside = replace(world.world(prepared.desired.environment), retain=lambda volumes, _: marked.extend(volumes))
    live = prepared.observed.live[volume.id][0]
    for retained, expected in (("", [volume.live_id]), ("9b8bcbe", [])):
        marked.clear()
        known = Observed({**prepared.observed.live, volume.id: (replace(live, retained=retained),)})
        loop.converge(replace(outside, run=lambda *_: {}), replace(prepared, observed=known), loop.Options(timeout=0.1))
        assert marked == expected
