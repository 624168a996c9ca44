"""EBS's budget of modifications: known from what EBS and the volume itself remember, and planned with."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from providers import modified
from providers.pulumi.events import Operation
from providers.pulumi.gate import Gate
from reconciler import errors
from reconciler.diff import budget
from reconciler.diff.budget import Modification
from reconciler.model.address import parse
from reconciler.model.change import Change, FieldChange
from reconciler.model.observation import Observation
from reconciler.ports import Payload
from reconciler.resources import marks
from tests.memory_world import MemoryWorld, desired

DISK = parse("volume/lab/kv/kv-0/data")
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
FOUR = tuple(NOON + n * HOUR for n in range(4))


def kv(size: int, **volume: object) -> str:
    more = "".join(f", {name}: {value}" for name, value in volume.items())
    return f"""\
apiVersion: reconciler/v1
kind: Service
metadata: {{name: kv}}
spec: {{type: redis, replicas: 1, volumes: {{data: {{size: {size}Gi{more}}}}}}}
"""


def live(world: MemoryWorld) -> Observation:
    (found,) = world.observed(desired(kv(10)).environment).live[DISK]
    return found


def planned(world: MemoryWorld, text: str) -> Change:
    return next(change for change in world.plan(desired(text)).plan.changes if change.id == DISK)


@pytest.fixture
def world() -> MemoryWorld:
    made = MemoryWorld()
    assert made.converge(kv(10)).ok
    return made


def test_what_has_room_is_not_busy() -> None:
    assert budget.busy(None, (), NOON) == ""
    assert budget.busy(Modification("completed", FOUR[2]), FOUR[:3], FOUR[3]) == ""
    assert budget.busy(Modification("failed", FOUR[2]), FOUR[:3], FOUR[3]) == ""


@pytest.mark.parametrize("state", ["modifying", "optimizing"])
def test_one_modification_at_a_time_also_while_it_optimizes(state: str) -> None:
    """The words are the same in both states: nothing that a plan says may change while one and the same modification goes on."""
    said = "its modification of 2026-11-22T12:00:00Z is not completed yet, and EBS makes one at a time"
    assert budget.busy(Modification(state, NOON), (NOON,), NOON + HOUR) == said


def test_the_fifth_in_a_day_waits_until_the_first_is_a_day_old() -> None:
    latest, said = Modification("completed", FOUR[3]), "the next is possible at 2026-11-23T12:00:00Z"
    assert budget.busy(latest, FOUR, FOUR[3]).endswith(said)
    assert budget.busy(latest, FOUR, NOON + timedelta(hours=24) - timedelta(seconds=1)).endswith(said)
    assert budget.busy(latest, FOUR, NOON + timedelta(hours=24)) == ""


def test_without_a_clock_only_what_is_under_way_is_known() -> None:
    assert budget.busy(Modification("completed", FOUR[3]), FOUR, None) == ""
    assert budget.busy(Modification("optimizing", FOUR[3]), FOUR, None)


def test_a_moment_counts_once_however_finely_it_was_told() -> None:
    fine = Modification("completed", FOUR[2] - timedelta(milliseconds=300))
    assert budget.history(fine, budget.remembered(FOUR[:3])) == FOUR[:3]


def test_what_a_person_wrote_into_the_tag_is_no_moment() -> None:
    assert budget.history(None, "yesterday 2026-11-22T12:00:00Z 12:00") == (NOON,)


def test_the_tag_holds_what_ebs_forgets_and_fits_into_a_tag() -> None:
    text = budget.remembered([*FOUR, NOON + 9 * HOUR])
    assert text == "2026-11-22T14:00:00Z 2026-11-22T15:00:00Z 2026-11-22T21:00:00Z"
    assert len(text) <= marks.LISTED


def test_four_growths_in_a_day_pass_and_the_fifth_is_held_with_the_moment(world: MemoryWorld) -> None:
    for size in (11, 12, 13, 14):
        assert world.converge(kv(size)).ok
        world.clock.time += 3600
    change = planned(world, kv(15))
    assert (change.action, [field.path for field in change.fields]) == ("hold", [("size",)])
    assert change.reason.endswith("the next is possible at 2026-01-02T00:00:00Z"), change.reason
    world.clock.time += 20 * 3600
    assert planned(world, kv(15)).action == "update"
    assert world.converge(kv(15)).ok
    assert live(world).fields["size"] == "15Gi"


def test_a_plan_with_a_held_volume_is_the_same_a_minute_later(world: MemoryWorld) -> None:
    for size in (11, 12, 13, 14):
        assert world.converge(kv(size)).ok
    first = world.plan(desired(kv(15))).plan
    world.clock.time += 60
    assert world.plan(desired(kv(15))).plan.digest == first.digest


def test_everything_that_differs_is_one_modification(world: MemoryWorld) -> None:
    before = world.cloud.calls["modify_volume"]
    assert world.converge(kv(20, type="io2", iops=4000)).ok
    assert world.cloud.calls["modify_volume"] == before + 1
    assert {name: live(world).fields[name] for name in ("size", "type", "iops")} == {"size": "20Gi", "type": "io2", "iops": 4000}


def test_tags_spend_nothing_and_are_put_right_also_while_a_volume_is_busy(world: MemoryWorld) -> None:
    world.cloud.ec2.modifications.takes = timedelta(hours=6)
    assert world.converge(kv(11)).ok
    assert "not completed yet" in live(world).busy
    world.cloud.call("ec2", "create_tags", Resources=[live(world).live_id], Tags=[{"Key": "team", "Value": "nobody"}])
    assert planned(world, kv(11)).action == "update"
    assert world.converge(kv(11)).ok
    assert world.cloud.calls["modify_volume"] == 1
    assert planned(world, kv(12)).action == "hold"


def test_a_volume_that_was_never_modified_or_only_by_others_has_their_latest_in_its_history(world: MemoryWorld) -> None:
    assert budget.HISTORY not in live(world).attributes
    world.cloud.call("ec2", "modify_volume", VolumeId=live(world).live_id, Size=11)
    assert live(world).attributes[budget.HISTORY] == "2026-01-01T00:00:00Z"
    world.clock.time += 60
    assert world.converge(kv(12)).ok
    assert tag(world) == "2026-01-01T00:00:00Z"
    assert live(world).attributes[budget.HISTORY] == "2026-01-01T00:00:00Z 2026-01-01T00:01:00Z"


def tag(world: MemoryWorld) -> object:
    tags = live(world).fields["tags"]
    assert isinstance(tags, dict)
    return tags.get(marks.MODIFIED)


def test_the_history_is_no_drift_and_outlives_a_change_of_tags(world: MemoryWorld) -> None:
    for size in (11, 12):
        assert world.converge(kv(size)).ok
        world.clock.time += 60
    assert tag(world) == "2026-01-01T00:00:00Z"
    assert not world.plan(desired(kv(12))).plan
    world.cloud.call("ec2", "create_tags", Resources=[live(world).live_id], Tags=[{"Key": "team", "Value": "nobody"}])
    assert world.converge(kv(12)).ok
    assert tag(world) == "2026-01-01T00:00:00Z"


def test_modifications_that_cannot_be_read_hold_what_would_spend_and_nothing_else(world: MemoryWorld) -> None:
    world.cloud.fail("describe_volumes_modifications", errors.ProviderError("not authorized to perform ec2:DescribeVolumesModifications"))
    assert not world.plan(desired(kv(10))).plan
    change = planned(world, kv(11))
    assert change.action == "hold"
    assert "its modifications could not be read: not authorized" in change.reason


class Telling:
    """An account in which EBS tells of a volume that was never modified: "certain elements of the returned objects are null"."""

    def pages(self, service: str, operation: str, **arguments: Any) -> Iterator[Payload]:
        del service, operation, arguments
        yield {"VolumesModifications": [{"VolumeId": "vol-1"}]}

    def call(self, service: str, operation: str, **arguments: Any) -> Payload:
        raise AssertionError(f"nobody needs {service} {operation} for that: {arguments}")


def test_a_volume_that_is_told_of_without_a_modification_has_its_whole_budget(world: MemoryWorld) -> None:
    told = modified.read(Telling())
    assert (told.unread, dict(told.latest)) == ("", {})
    assert told.told(live(world)).busy == ""


def test_the_list_of_modifications_is_one_call_for_all_volumes(world: MemoryWorld) -> None:
    assert world.converge(kv(10).replace("replicas: 1", "replicas: 3")).ok
    before = world.cloud.calls["describe_volumes_modifications"]
    world.observed(desired(kv(10)).environment)
    assert world.cloud.calls["describe_volumes_modifications"] == before + 1


def test_what_a_volume_remembers_is_no_difference_between_engine_and_plan() -> None:
    grown = Change(DISK, "update", "engine", "size differs", "kv", (FieldChange(("size",), "10Gi", "20Gi"),))
    gate = Gate((grown,))
    assert gate.differs(Operation("update", str(DISK), ("size", f"tags.{marks.MODIFIED}"))) is None
    assert gate.differs(Operation("update", str(DISK), ("size", "tags.team"))) == ("tags.team",)
