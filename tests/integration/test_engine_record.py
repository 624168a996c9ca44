"""The engine's record under the real engine: what is struck out of it, and what a dead run left in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.model.address import ResourceId
from reconciler.model.outcome import Done
from tests.contract.conftest import wait_for
from tests.integration.engine_bench import Bench, bench, volume

pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore")]  # the SDK warns of itself


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    (tmp_path / "aws").mkdir()
    with bench(tmp_path, monkeypatch) as made:
        yield made


def test_what_is_forgotten_lives_on_and_what_leant_on_it_stays(engine: Bench) -> None:
    first = volume("kv-0")
    second = volume("kv-1", needs=(first.id,))
    engine.up((first, second))
    live = engine.volumes()
    assert engine.record.stacks("lab") == {"kv": {first.id, second.id}}

    engine.engine.forget("lab", "kv", [first.id])
    assert engine.record.stacks("lab") == {"kv": {second.id}}
    assert engine.volumes() == live
    engine.engine.forget("lab", "kv", [first.id])  # again, as after a kill
    assert engine.record.stacks("lab") == {"kv": {second.id}}

    engine.said.clear()
    engine.up((second,), {second.id: "keep"})  # what is left is whole: the engine works with it and misses nothing
    assert engine.said == []
    assert engine.volumes() == live

    engine.engine.forget("lab", "kv", [second.id])
    assert engine.record.stacks("lab") == {}
    assert engine.volumes() == live
    engine.engine.forget("lab", "kv", [second.id])
    engine.engine.forget("lab", "never-made", [ResourceId("volume", "lab", "never-made", "x/data")])


def test_forgetting_after_a_kill_does_what_is_left(engine: Bench) -> None:
    one = volume("kv-0")
    engine.up((one,))
    path = engine.record.root / "stacks" / "reconciler" / "lab.kv.json"
    document = json.loads(path.read_text())
    latest = document["checkpoint"]["latest"]
    (held,) = (entry for entry in latest["resources"] if entry["urn"].endswith(str(one.id)))
    latest["pending_operations"] = [{"resource": held, "type": "updating"}]
    path.write_text(json.dumps(document))
    lock = engine.record.root / "locks" / "organization" / "reconciler" / "lab.kv" / "4c8e1c80.json"
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.write_text("{}")
    assert engine.record.pending("lab") == {one.id}

    engine.engine.forget("lab", "kv", [one.id])
    assert (engine.record.left("lab"), engine.record.stacks("lab")) == ((), {})
    assert str(one.id) in engine.volumes()


def test_what_was_forgotten_can_be_taken_into_another_stack(engine: Bench) -> None:
    one = volume("kv-0")
    engine.up((one,))
    before = engine.volumes()
    engine.engine.forget("lab", "kv", [one.id])
    engine.up((one,), {one.id: "adopt"}, live={one.id: before[str(one.id)]["VolumeId"]})
    assert ("import" in {words for _, _, words in engine.said}, engine.volumes()) == (True, before)


def latest(engine: Bench) -> tuple[Path, dict[str, Any], dict[str, Any]]:
    """The record's file, its document, and the resource in it that is no provider."""
    path = engine.record.root / "stacks" / "reconciler" / "lab.kv.json"
    document = json.loads(path.read_text())
    (held,) = (entry for entry in document["checkpoint"]["latest"]["resources"] if "::pulumi:" not in entry["urn"])
    return path, document, held


def test_a_replacement_that_died_after_its_delete_is_only_still_to_be_made(engine: Bench) -> None:
    one = volume("kv-0")
    engine.up((one,))
    path, document, held = latest(engine)
    held["pendingReplacement"] = True
    path.write_text(json.dumps(document))
    engine.ec2.delete_volume(VolumeId=held["id"])
    wait_for(lambda: not engine.volumes())
    assert engine.record.left("lab") == ("lab.kv",)
    result = engine.up((one,))
    assert result.outcomes == {one.id: Done()}
    assert list(engine.volumes()) == [str(one.id)]
    assert engine.record.left("lab") == ()


def test_a_replacement_that_died_before_its_delete_ends_without_a_hand(engine: Bench) -> None:
    one = volume("kv-0")
    engine.up((one,))
    path, document, held = latest(engine)
    made = engine.ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)
    document["checkpoint"]["latest"]["resources"].append({**held, "id": made["VolumeId"], "delete": True})
    path.write_text(json.dumps(document))
    engine.said.clear()
    grown = volume("kv-0", size="2Gi")
    result = engine.up((grown,), {one.id: "update"}, live={one.id: held["id"]})
    assert result.outcomes == {one.id: Done()}
    assert engine.volumes()[str(one.id)]["VolumeId"] == held["id"]
    assert latest(engine)[2]["id"] == held["id"]  # and it is the only one left


def test_the_record_tells_nothing_of_the_machine_that_wrote_it(engine: Bench) -> None:
    engine.up((volume("kv-0"),))
    path, _, held = latest(engine)
    assert "site-packages" not in path.read_text()
    assert not held.get("stackTrace")
