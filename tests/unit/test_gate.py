"""What the engine would do, held against the plan: more destructive stops the stack, other differences are only told."""

from __future__ import annotations

from typing import Any

import pytest

from providers.pulumi.events import Operation, operation
from providers.pulumi.gate import Gate
from reconciler.model import allowance
from reconciler.model.address import parse
from reconciler.model.change import Action, Change, FieldChange
from reconciler.model.value import Item

DISK = "volume/lab/kv/kv-0/data"
OTHER = "kubernetes/lab/kv/Service/default/kv"
SIGNATURE = "4dabf18193072939515e22adb298388d"  # by which the engine marks a secret


def gate(*allowed: str, **actions: Action) -> Gate:
    named = {"disk": DISK, "other": OTHER}
    changes = (Change(parse(named[name]), action, "engine", "", "kv") for name, action in actions.items())
    return Gate(changes, map(allowance.parse, allowed))


def update(address: str, *fields: FieldChange, action: Action = "update", live_id: str = "vol-1") -> Change:
    return Change(parse(address), action, "engine", "", "kv", fields, live_id=live_id)


@pytest.mark.parametrize("op", ["delete", "replace", "delete-replaced", "create-replacement", "a-word-of-a-later-engine"])
@pytest.mark.parametrize("planned", ["keep", "create", "update", "adopt"])
def test_a_loss_that_the_plan_does_not_say_stops_the_run(op: str, planned: Action) -> None:
    judging = gate(disk=planned)
    assert not judging.judge([Operation(op, DISK)])
    assert judging.refusal.splitlines()[0] == f"the engine would {op} {DISK}; the plan says {planned} {DISK}"
    assert judging.surprises == ()


def test_what_nobody_planned_is_kept_and_the_refusal_lists_all_of_both_sides() -> None:
    judging = gate(other="update")
    assert not judging.judge([Operation("update", OTHER, ("spec.ports",)), Operation("delete", DISK)])
    assert judging.refusal.splitlines() == [
        f"the engine would delete {DISK}; the plan says keep {DISK}",
        "  all that the plan says:",
        f"    update {OTHER}",
        "  all that the engine would do:",
        f"    update {OTHER} (spec.ports)",
        f"    delete {DISK}",
    ]


def test_what_nothing_was_planned_for_says_so_in_its_list() -> None:
    judging = gate(other="keep")
    assert not judging.judge([Operation("update", OTHER), Operation("delete", DISK)])
    assert judging.refusal.splitlines()[1:3] == ["  all that the plan says:", "    nothing"]


@pytest.mark.parametrize("planned", ["keep", "update", "adopt"])
def test_the_engine_never_makes_a_second_one_of_what_the_plan_has_seen(planned: Action) -> None:
    judging = Gate([update(DISK, action=planned)])
    assert not judging.judge([Operation("create", DISK)])
    assert f"the plan says {planned} {DISK}" in judging.refusal


@pytest.mark.parametrize(
    ("planned", "op"),
    [("delete", "delete"), ("forget", "delete"), ("replace", "delete"), ("create", "create"), ("adopt", "update"), ("adopt", "import")],
)
def test_what_the_plan_says_goes_on(planned: Action, op: str) -> None:
    judging = gate(disk=planned)
    assert judging.judge([Operation(op, DISK)])
    assert (judging.refusal, judging.surprises) == ("", ())


@pytest.mark.parametrize("planned", ["keep", "create", "delete", "replace", "forget"])
def test_another_operation_that_takes_nothing_away_is_told(planned: Action) -> None:
    judging = gate(disk=planned)
    assert judging.judge([Operation("update", DISK, ("tags",))])
    assert judging.surprises == (f"the engine also did: update {DISK} (tags)",)


def test_a_field_that_the_plan_does_not_change_is_told() -> None:
    judging = Gate([update(OTHER, FieldChange(("spec", "ports", Item("tcp"), "port"), 1, 2))])
    assert judging.judge([Operation("update", OTHER, ("spec.ports.port", "spec.ports", "spec.type"))])
    assert judging.surprises == (f"the engine also did: update {OTHER} (spec.type)",)


@pytest.mark.parametrize(
    ("planned", "told"),
    [
        ("update", f"the engine saw nothing to do for {DISK}; the plan says update (size)"),
        ("create", f"the engine saw nothing to do for {DISK}; the plan says create"),
        ("delete", f"the engine saw nothing to do for {DISK}; the plan says delete"),
        ("forget", ""),
        ("keep", ""),
    ],
)
def test_a_planned_change_that_the_engine_sees_no_need_for_is_told(planned: Action, told: str) -> None:
    judging = Gate([update(DISK, FieldChange(("size",), "1Gi", "2Gi"), action=planned)])
    assert judging.judge([])
    assert judging.surprises == ((told,) if told else ())


def test_a_field_that_has_moved_since_it_was_planned_is_told() -> None:
    size, tag = FieldChange(("size",), "1Gi", "5Gi"), FieldChange(("tags", "team"), None, "storage")
    judging = Gate([update(DISK, size, tag)])
    read = {"size": 3, "tags": {"other": "x"}}
    assert judging.judge([Operation("update", DISK, ("size", "tags.team"), read)])
    assert judging.surprises == (f"{DISK}: size was 1Gi, is 3Gi since it was planned",)
    again = Gate([update(DISK, size, tag)])
    assert again.judge([Operation("update", DISK, ("size", "tags.team"), {**read, "size": 1})])
    assert again.surprises == ()


@pytest.mark.parametrize(
    ("field", "live"),
    [
        (
            FieldChange(("spec", "containers", Item("redis"), "image"), "a", "b"),
            {"spec": {"containers": [{"name": "redis", "image": "a"}]}},
        ),
        (FieldChange(("spec", "containers", Item("two"), "image"), "x", "b"), {"spec": {"containers": [{"name": "redis", "image": "a"}]}}),
        (FieldChange(("spec", "minReady"), None, 1), {"spec": {}}),
        (FieldChange(("spec", "minReady"), 1, 2), {"spec": {"minReady": 1.0}}),
        (FieldChange(("spec", "names"), ("a", "b"), ()), {"spec": {"names": ["b", "a"]}}),
        (FieldChange(("data", "key"), "one", "two", secret=True), {"data": {"key": "else"}}),
        (FieldChange(("data",), {"key": "one"}, {}), {"data": {SIGNATURE: "x", "ciphertext": "[secret]"}}),
    ],
)
def test_what_the_engine_read_alike_or_does_not_say_has_not_moved(field: FieldChange, live: dict[str, Any]) -> None:
    judging = Gate([update(OTHER, field)])
    assert judging.judge([Operation("update", OTHER, (), live)])
    assert judging.surprises == ()


def test_the_plans_names_are_those_told_for_what_the_engine_calls_otherwise() -> None:
    step = {"urn": f"urn:pulumi:lab.kv::reconciler::aws:ebs/volume:Volume::{DISK}", "op": "update"}
    paths: dict[str, Any] = {'tags["a/b"]': {}, "tagsAll.x": {}, "tags.x": {}, "availabilityZone": {}}
    assert operation({**step, "detailedDiff": paths}).fields == ("tags", "tags.x", "zone")
    assert operation({**step, "diffs": ["size"], "detailedDiff": None}).fields == ("size",)


def test_what_the_environment_has_judged_harmless_is_not_told_and_everything_else_is() -> None:
    steps = [Operation("update", OTHER, ("spec.clusterIPs", "spec.type")), Operation("create", DISK)]
    judging = gate("update kubernetes/lab/*/Service/*/* spec.clusterIPs", other="keep")
    assert judging.judge(steps)
    assert judging.surprises == (f"the engine also did: update {OTHER} (spec.type)", f"the engine also did: create {DISK}")
    judging = gate("update kubernetes/*/*/*/*/* spec.cluster* spec.type", "create volume/lab/kv/*/data", "same record/lab/*", other="keep")
    assert judging.judge(steps)
    assert judging.surprises == ()
    undone = Gate([update(DISK)], [allowance.parse("same volume/lab/kv/kv-0/data")])
    assert undone.judge([])
    assert undone.surprises == ()


def test_what_takes_something_away_is_never_harmless() -> None:
    judging = gate("update volume/*/*/*/* size", "create volume/*/*/*/*", disk="keep")
    assert not judging.judge([Operation("replace", DISK, ("size",))])


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("delete volume/lab/kv/*/*", "begins with none of create, import, same, update"),
        ("replace volume/lab/kv/*/* size", "has to be planned"),
        ("", "begins with none of"),
        ("update", "needs the address"),
        ("update volume/lab/kv/*/*", "needs the fields"),
        ("update volume/lab/kv/*/* *", "needs a name beside"),
        ("create volume/lab/kv/*/* size", "takes no fields"),
        ("create volume/lab", "is no address of a volume"),
        ("create disk/lab/x", "is no address"),
    ],
)
def test_an_entry_that_says_nothing_sound_is_refused(text: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong.replace("*", r"\*")):
        allowance.parse(text)


def test_a_star_stands_for_one_part_and_a_field_for_what_lies_below_it() -> None:
    entry = allowance.parse("update kubernetes/lab/*/Service/*/kv-* spec.a metadata.*.x")
    at = "kubernetes/lab/kv/Service/default/kv-0"
    assert [entry.covers("update", at, field) for field in ("spec.a", "spec.a.b", "spec.ab", "spec", "metadata.labels.x")] == [
        True,
        True,
        False,
        False,
        True,
    ]
    assert not entry.covers("update", "kubernetes/lab/kv/Service/default/more/kv-0", "spec.a")
    assert not entry.covers("update", at)
    assert not entry.covers("create", at, "spec.a")
