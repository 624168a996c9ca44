"""The plan held against what the real engine would do: what it only shows, what it stops, and what it tells before anything is applied."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from providers.pulumi import Pulumi
from reconciler.model import allowance
from reconciler.model.address import ResourceId
from reconciler.model.change import Action, Change, FieldChange
from reconciler.model.outcome import Done, Failed
from reconciler.model.resource import Resource
from reconciler.model.value import Ref
from reconciler.ports import StackRun
from tests.integration.engine_bench import REVISION, Bench, bench, volume

pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore")]  # the SDK warns of itself
FIRST, SECOND = volume("kv-0"), volume("kv-1")


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    (tmp_path / "aws").mkdir()
    with bench(tmp_path, monkeypatch) as made:
        yield made


def planned(*changes: Change, resources: tuple[Resource, ...] = (FIRST, SECOND)) -> StackRun:
    return StackRun(REVISION, "kv", resources, changes)


def change(of: Resource, action: Action, *fields: FieldChange) -> Change:
    return Change(of.id, action, "engine", "", "kv", fields)


def drift(engine: Bench, of: Resource, size: int) -> None:
    """Somebody resizes the volume behind our back."""
    engine.ec2.modify_volume(VolumeId=engine.volumes()[str(of.id)]["VolumeId"], Size=size)
    end = time.monotonic() + 30
    while engine.volumes()[str(of.id)]["Size"] != size:
        assert time.monotonic() < end
        time.sleep(0.1)


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_view_of_the_engine_changes_nothing_and_says_how_it_compares(engine: Bench) -> None:
    new = engine.engine.view(planned(change(FIRST, "create"), change(SECOND, "create")))
    assert [(step.op, step.planned, step.verdict) for step in new.steps] == [("create", "create", "planned")] * 2
    assert (engine.volumes(), engine.record.stacks("lab")) == ({}, {})

    engine.up((FIRST, SECOND))
    drift(engine, FIRST, 3)
    before, live = everything(engine.folder / "engine"), engine.volumes()
    grown = volume("kv-0", size="5Gi", tags={"team": "x"})
    run = planned(change(grown, "update", FieldChange(("size",), "1Gi", "5Gi")), change(SECOND, "update"), resources=(grown, SECOND))
    view = engine.engine.view(run)
    assert view.message == ""
    assert {(step.address, step.op, step.fields, step.verdict) for step in view.steps} == {
        (str(FIRST.id), "update", ("size", "tags.team"), "differs"),
        (str(SECOND.id), "same", (), "differs"),
    }
    harmless = tuple(map(allowance.parse, ("update volume/*/kv/*/* tags", "same volume/*/kv/*/*")))
    settings = replace(engine.engine.settings, allowed=harmless)
    allowed = Pulumi(settings, engine.engine.kinds, engine.engine.providers).view(run)
    assert {step.verdict for step in allowed.steps} == {"allowed"}
    worse = engine.engine.view(planned(resources=(SECOND,)))
    assert [(step.op, step.planned, step.verdict) for step in worse.steps] == [("delete", "keep", "worse")]
    assert (everything(engine.folder / "engine"), engine.volumes()) == (before, live)


def test_a_view_of_what_leans_on_another_stack_that_is_not_there_yet_is_possible(engine: Bench) -> None:
    zone = ResourceId("volume", "lab", "-", "x/data")
    leaning = replace(FIRST, fields={**FIRST.fields, "zone": Ref(zone, "zone")})
    view = engine.engine.view(planned(change(FIRST, "create"), resources=(leaning,)))
    assert (view.message, [step.verdict for step in view.steps]) == ("", ["planned"])


def test_what_the_engine_cannot_tell_is_said(engine: Bench) -> None:
    broken = volume("kv-0", zone=7)
    view = engine.engine.view(planned(change(broken, "create"), resources=(broken,)))
    assert view.message
    assert "planned" not in {step.verdict for step in view.steps}


def test_differences_that_take_nothing_away_are_done_and_told(engine: Bench) -> None:
    engine.up((FIRST, SECOND))
    drift(engine, FIRST, 3)
    engine.said.clear()
    grown = volume("kv-0", size="5Gi", tags={"team": "x"})
    changes = (
        change(grown, "update", FieldChange(("size",), "1Gi", "5Gi")),
        change(SECOND, "update", FieldChange(("type",), "gp2", "gp3")),
    )
    result = engine.engine.up(planned(*changes, resources=(grown, SECOND)), lambda *step: engine.said.append(step))
    assert result.outcomes == {FIRST.id: Done(), SECOND.id: Done()}
    assert {words for where, _, words in engine.said if where == "kv"} == {
        f"the engine also did: update {FIRST.id} (tags.team)",
        f"{FIRST.id}: size was 1Gi, is 3Gi since it was planned",
        f"the engine saw nothing to do for {SECOND.id}; the plan says update (type)",
    }
    assert engine.volumes()[str(FIRST.id)]["Size"] == 5


def test_a_loss_stops_the_stack_with_all_of_both_lists_and_registers_nothing(engine: Bench) -> None:
    engine.up((FIRST, SECOND))
    live = engine.volumes()
    grown = volume("kv-0", size="5Gi")
    run = planned(change(grown, "update", FieldChange(("size",), "1Gi", "5Gi")), resources=(grown,))
    outcome = engine.engine.up(run, lambda *_: None).outcomes[FIRST.id]
    assert isinstance(outcome, Failed)
    assert outcome.message.splitlines() == [
        f"the engine would delete {SECOND.id}; the plan says keep {SECOND.id}",
        "  all that the plan says:",
        f"    update {FIRST.id} (size)",
        "  all that the engine would do:",
        f"    update {FIRST.id} (size)",
        f"    delete {SECOND.id}",
    ]
    assert engine.volumes() == live
    assert engine.record.stacks("lab") == {"kv": {FIRST.id, SECOND.id}}


def test_a_lost_record_makes_no_second_one_of_what_the_plan_has_seen(engine: Bench) -> None:
    engine.up((FIRST,))
    live = engine.volumes()
    (engine.record.root / "stacks" / "reconciler" / "lab.kv.json").unlink()
    grown = volume("kv-0", size="5Gi")
    seen = Change(FIRST.id, "update", "engine", "", "kv", (), live_id=live[str(FIRST.id)]["VolumeId"])
    outcome = engine.engine.up(planned(seen, resources=(grown,)), lambda *_: None).outcomes[FIRST.id]
    assert isinstance(outcome, Failed)
    assert "the engine would create" in outcome.message
    assert engine.volumes() == live


def test_what_was_not_reached_is_not_told_as_done(engine: Bench) -> None:
    engine.up((FIRST,))
    broken = volume("kv-1", needs=(FIRST.id,), type="no-such-type")
    last = volume("kv-2", needs=(broken.id,))
    changes = (change(broken, "create"), change(last, "create"), change(FIRST, "keep"))
    result = engine.engine.up(planned(*changes, resources=(FIRST, broken, last)), lambda *_: None)
    assert all(isinstance(outcome, Failed) for outcome in result.outcomes.values())
