"""What the engine would do, held against the plan: more destructive stops the stack, other differences are only told."""

from __future__ import annotations

import pytest

from providers.pulumi.events import Operation
from providers.pulumi.gate import Gate
from reconciler.model.address import parse
from reconciler.model.change import Action, Change

DISK = "volume/lab/kv/kv-0/data"
OTHER = "kubernetes/lab/kv/Service/default/kv"


def gate(**actions: Action) -> Gate:
    named = {"disk": DISK, "other": OTHER}
    return Gate(Change(parse(named[name]), action, "engine", "", "kv") for name, action in actions.items())


@pytest.mark.parametrize("op", ["delete", "replace", "delete-replaced", "create-replacement", "a-word-of-a-later-engine"])
@pytest.mark.parametrize("planned", ["keep", "create", "update", "adopt"])
def test_a_loss_that_the_plan_does_not_say_stops_the_run(op: str, planned: Action) -> None:
    judging = gate(disk=planned)
    assert not judging.judge([Operation(op, DISK)])
    assert judging.refusal == f"the engine would {op} {DISK}; the plan says {planned} {DISK}"


def test_what_nobody_planned_is_kept() -> None:
    judging = gate(other="update")
    assert not judging.judge([Operation("update", OTHER), Operation("delete", DISK)])
    assert judging.refusal == f"the engine would delete {DISK}; the plan says keep {DISK}"


@pytest.mark.parametrize(
    ("planned", "op"),
    [("delete", "delete"), ("forget", "delete"), ("replace", "delete"), ("create", "create"), ("create", "update"), ("adopt", "import")],
)
def test_what_the_plan_says_goes_on(planned: Action, op: str) -> None:
    judging = gate(disk=planned)
    assert judging.judge([Operation(op, DISK)])
    assert (judging.refusal, judging.surprises) == ("", ())


def test_a_difference_that_takes_nothing_away_is_told() -> None:
    judging = gate(disk="update")
    assert judging.judge([Operation("update", DISK), Operation("update", OTHER, ("spec.ports",))])
    assert judging.surprises == (f"update {OTHER} (spec.ports)",)
