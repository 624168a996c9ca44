"""The engine's record under the real engine: what is struck out of it, and what a dead run left in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.model.address import ResourceId
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
