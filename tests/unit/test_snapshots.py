"""Snapshots of a service: taken when they are due, whole or not at all, pruned to those that are kept, whoever dies on the way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.memory import FixedClock, Killed, MemoryCloud
from providers.memory.fault import Blow
from reconciler import errors
from reconciler.members.snapshots import controller, recent
from reconciler.members.snapshots.controller import Taker
from reconciler.model import moment
from reconciler.model.desired import Desired
from reconciler.model.outcome import Done, Outcome, Waiting
from reconciler.model.snapshot import Snapshots, SnapshotSet
from reconciler.resources import marks
from tests.memory_world import TYPES, ZONES, desired

HOUR = 3600.0
BEGIN = 1_767_225_600.0  # 2026-01-01T00:00:00Z, as FixedClock has it


def kv(*lines: str, replicas: int = 2, name: str = "kv", volumes: str = "{data: {size: 10Gi}}") -> str:
    spec = (f"  type: generic\n  replicas: {replicas}\n  volumes: {volumes}", *(f"  {line}" for line in lines))
    mounts = ", ".join(f"{volume}: /{volume}" for volume in ("data", "journal") if volume in volumes)
    rest = f'  options: {{mounts: {{{mounts}}}}}\n  podTemplate: {{spec: {{containers: [{{name: main, image: "main:1"}}]}}}}\n'
    return f"apiVersion: reconciler/v1\nkind: Service\nmetadata: {{name: {name}}}\nspec:\n" + "\n".join(spec) + "\n" + rest


HOURLY = "snapshots: {every: 1h, keep: 2}"
BOTH = "{data: {size: 10Gi}, journal: {size: 1Gi}}"


@dataclass
class Place:
    """An account in which everything that *wanted* declares is live, attached to the node of its zone, and whoever sees to snapshots."""

    wanted: Desired
    takes: float = 0.0
    clock: FixedClock = field(default_factory=FixedClock)
    outcomes: dict[str, Outcome] = field(default_factory=lambda: {"kv": Done()})

    def __post_init__(self) -> None:
        self.cloud = MemoryCloud(instances={f"i-{zone[-1]}": zone for zone in ZONES}, clock=self.clock, page=5)
        self.cloud.ec2.snapshots.takes = timedelta(seconds=self.takes)
        self.make(self.wanted)
        self.taker = self.another()

    def make(self, wanted: Desired) -> None:
        for resource in wanted.resources.values():
            fields: Any = resource.fields
            if resource.id.kind == "volume":
                tags = [{"ResourceType": "volume", "Tags": [{"Key": key, "Value": value} for key, value in fields["tags"].items()]}]
                size = int(fields["size"].removesuffix("Gi"))
                made = self.cloud.call("ec2", "create_volume", AvailabilityZone=fields["zone"], Size=size, TagSpecifications=tags)
                self.attach(made["VolumeId"], f"i-{fields['zone'][-1]}")

    def attach(self, volume: str, instance: str, state: str = "attached") -> None:
        self.cloud.ec2.volumes[volume].update(State="in-use", Attachments=[{"InstanceId": instance, "State": state}])

    def another(self) -> Taker:
        """Whoever comes after one that has died; it remembers nothing."""
        self.cloud.fate.heal()
        return Taker(self.cloud, self.clock, TYPES, run)

    def tick(self, wanted: Desired | None = None) -> list[str]:
        """What a look that is due has done, in words."""
        self.taker.next = float("-inf")
        return [f"{how} {words}" for _, how, words in self.taker.tick(wanted or self.wanted, self.outcomes)]

    def known(self) -> Snapshots:
        return controller.read(self.cloud, self.wanted.environment)

    def sets(self, state: str = "complete") -> list[str]:
        return [one.slot for one in self.known().sets.get("kv", ()) if one.state == state]

    def pass_hours(self, count: int) -> None:
        for _ in range(count):
            self.tick()
            self.clock.time += HOUR


def run(calls: Iterable[Any]) -> None:
    for call in calls:
        call()


def place(*lines: str, **how: Any) -> Place:
    shape = {name: how.pop(name) for name in ("replicas", "volumes") if name in how}
    return Place(desired(kv(*(lines or (HOURLY,)), **shape)), **how)


def test_all_volumes_of_a_service_are_taken_once_in_each_time_of_its_schedule() -> None:
    here = place(replicas=3)
    assert here.tick() == ["done snapshot of 2026-01-01T00:00:00Z is taken, of 3 volumes"]
    assert here.tick() == []
    here.clock.time += HOUR - 1
    assert here.tick() == []
    here.clock.time += 1
    assert here.tick() == ["done snapshot of 2026-01-01T01:00:00Z is taken, of 3 volumes"]
    assert here.sets() == ["2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z"]


def test_volumes_of_one_node_are_taken_in_one_call_and_nothing_of_others_with_them() -> None:
    here = place(volumes=BOTH, replicas=1)
    here.make(desired(kv(name="theirs", replicas=1)))
    here.tick()
    assert here.cloud.calls["create_snapshots"] == 1
    assert here.cloud.calls["create_snapshot"] == 0
    (found,) = here.known().sets["kv"]
    assert sorted(found.parts) == ["-0/data", "-0/journal"]
    assert not here.known().strays
    assert len(here.cloud.ec2.snapshots.told()) == 2


def test_what_came_into_a_set_by_chance_goes_again() -> None:
    here = place(volumes=BOTH, replicas=1)
    here.make(desired(kv(name="theirs", replicas=1)))
    theirs = next(one for one in here.cloud.ec2.volumes.values() if "theirs" in str(one["Tags"]))
    tags = {marks.SNAPSHOT: "kv/2026-01-01T00:00:00Z", marks.VOLUMES: "2 kv"}
    listed = [*theirs["Tags"], *({"Key": key, "Value": value} for key, value in tags.items())]
    here.cloud.ec2.snapshots.make(theirs, listed)
    here.tick()
    assert [one.address for one in here.known().strays] == []
    assert here.sets() == ["2026-01-01T00:00:00Z"]


def test_a_set_waits_until_the_volumes_of_each_member_stay_on_one_node() -> None:
    here = place(volumes=BOTH, replicas=1)
    journal = next(id for id, one in here.cloud.ec2.volumes.items() if one["Size"] == 1)
    here.attach(journal, "i-b")
    assert here.tick() == ["done its snapshot of 2026-01-01T00:00:00Z waits until the volumes of kv-0 are on one node"]
    here.attach(journal, "i-a", "detaching")
    assert "neither attached nor detached" in here.tick()[0]
    here.attach(journal, "i-a")
    assert here.tick() == ["done snapshot of 2026-01-01T00:00:00Z is taken, of 2 volumes"]


def test_the_volumes_of_a_stopped_service_are_taken_too() -> None:
    here = place(volumes=BOTH, replicas=1)
    for one in here.cloud.ec2.volumes.values():
        one.update(State="available", Attachments=[])
    here.tick()
    assert here.sets() == ["2026-01-01T00:00:00Z"]


def test_the_first_set_is_not_taken_of_what_is_still_being_made() -> None:
    here = place(outcomes={"kv": Waiting("kv-1 is ready")})
    assert here.tick() == []
    here.outcomes["kv"] = Done()
    here.tick()
    here.outcomes["kv"] = Waiting("kv-1 is ready again")
    here.clock.time += HOUR
    assert "is taken" in here.tick()[0], "of what has worked once there are snapshots also while it does not"


def test_the_first_set_is_taken_as_soon_as_the_service_works_however_late_the_next_look_would_be() -> None:
    """An `apply` ends with the step in which all works: a look a moment later would never come."""
    here = place(outcomes={"kv": Waiting("it begins")})
    assert here.tick() == []
    assert not here.taker.is_due(here.wanted, here.outcomes)
    here.outcomes["kv"] = Done()
    assert [words for _, _, words in here.taker.tick(here.wanted, here.outcomes)] == [
        "snapshot of 2026-01-01T00:00:00Z is taken, of 2 volumes"
    ]
    assert not here.taker.is_due(here.wanted, here.outcomes)


def test_a_volume_that_is_not_there_is_waited_for() -> None:
    here = place()
    gone = next(iter(here.cloud.ec2.volumes))
    del here.cloud.ec2.volumes[gone]
    assert "volume/lab/kv/kv-0/data is there" in here.tick()[0]
    assert not here.cloud.ec2.snapshots.told()


def test_only_so_many_complete_sets_are_kept() -> None:
    here = place()
    here.pass_hours(5)
    here.tick()
    assert here.sets()[-1] == "2026-01-01T05:00:00Z"
    assert len(here.sets()) == 3, "the oldest goes only once the newest is complete"
    here.tick()
    assert here.sets() == ["2026-01-01T04:00:00Z", "2026-01-01T05:00:00Z"]
    assert len(here.cloud.ec2.snapshots.told()) == 4


def test_a_set_that_is_under_way_counts_for_nothing_and_no_other_is_begun() -> None:
    here = place(takes=2 * HOUR)
    here.tick()
    assert (here.sets("pending"), here.sets()) == (["2026-01-01T00:00:00Z"], [])
    here.clock.time += HOUR
    assert here.tick() == []
    here.clock.time += HOUR
    here.tick()
    assert here.sets() == ["2026-01-01T00:00:00Z"]


def test_a_set_that_a_spec_names_is_never_pruned() -> None:
    named = kv('restoreFrom: {service: kv, snapshotTime: "2026-01-01T00:30:00Z"}', name="copy")
    here = place()
    here.wanted = desired(kv(HOURLY) + "---\n" + named)
    here.pass_hours(6)
    assert "2026-01-01T00:00:00Z" in here.sets()
    here.wanted = desired(kv(HOURLY))
    here.tick()
    here.tick()
    assert "2026-01-01T00:00:00Z" not in here.sets()


def test_nothing_is_pruned_while_not_all_of_git_is_known() -> None:
    here = place()
    here.pass_hours(2)
    held = Desired(**{name: getattr(here.wanted, name) for name in Desired.__slots__} | {"held": {"copy": "unknown field"}})
    for _ in range(4):
        here.tick(held)
        here.clock.time += HOUR
    assert len(here.sets()) == 6


def test_the_snapshots_of_a_service_that_is_gone_or_asks_for_none_are_left_alone() -> None:
    here = place()
    here.pass_hours(2)
    before = here.known()
    other = desired(kv(HOURLY, name="other", replicas=1))
    here.make(other)
    here.outcomes = {"other": Done()}
    here.wanted = other
    here.pass_hours(5)
    assert here.known().sets["kv"] == before.sets["kv"]
    writes = here.cloud.calls["delete_snapshot"]
    here.wanted = desired(kv())
    assert here.tick() == []
    assert here.cloud.calls["delete_snapshot"] == writes


def test_a_service_that_asks_for_nothing_costs_no_call() -> None:
    here = place("protect: false")
    here.tick()
    assert here.cloud.calls["describe_snapshots"] == 0


def test_whoever_looked_a_moment_ago_does_not_look_again() -> None:
    here = place()
    here.taker.tick(here.wanted, here.outcomes)
    for _ in range(30):
        here.clock.time += 1
        here.taker.tick(here.wanted, here.outcomes)
    assert here.cloud.calls["describe_snapshots"] == 2  # at once, and 15 s after something was taken


def test_what_is_refused_is_said_and_tried_again() -> None:
    here = place()
    here.cloud.fail("create_snapshot", errors.ProviderError("AWS refused: SnapshotLimitExceeded", code="SnapshotLimitExceeded"), times=1)
    assert here.tick() == ["failed its snapshot of 2026-01-01T00:00:00Z is not whole yet: AWS refused: SnapshotLimitExceeded"]
    assert here.tick() == ["done snapshot of 2026-01-01T00:00:00Z is taken, of 1 volume"]
    assert here.sets() == ["2026-01-01T00:00:00Z"]


def test_a_set_that_cannot_be_completed_at_once_is_taken_anew() -> None:
    here = place()
    here.cloud.fail("create_snapshot", errors.ProviderError("no"), times=1)
    here.tick()
    here.clock.time += 61
    assert "it is taken anew" in here.tick()[0]
    assert here.tick() == ["done snapshot of 2026-01-01T00:00:00Z is taken, of 2 volumes"]
    (found,) = here.known().sets["kv"]
    assert (found.taken - found.began).total_seconds() == 0


def test_what_never_became_a_set_goes_once_there_is_a_later_one() -> None:
    here = place()
    here.cloud.fail("create_snapshot", errors.ProviderError("no"), times=1)
    here.tick()
    here.clock.time += HOUR
    here.tick()
    assert (here.sets("partial"), here.sets()) == (["2026-01-01T00:00:00Z"], ["2026-01-01T01:00:00Z"])
    here.tick()
    assert (here.sets("partial"), here.sets()) == ([], ["2026-01-01T01:00:00Z"])


def test_of_what_was_taken_twice_one_counts_and_the_other_goes() -> None:
    """The answer to the first call is lost, and a describe does not tell of it yet."""
    here = place()
    here.cloud.late["describe_snapshots"] = 20.0
    here.tick()
    here.taker = here.another()
    here.clock.time += 1
    here.tick()
    assert len(here.cloud.ec2.snapshots.told()) == 4
    here.clock.time += 30
    here.tick()
    assert len(here.cloud.ec2.snapshots.told()) == 2
    here.clock.time += 30
    assert here.sets() == ["2026-01-01T00:00:00Z"]


def test_a_failed_snapshot_makes_no_set() -> None:
    here = place()
    here.tick()
    bad = next(iter(here.cloud.ec2.snapshots.told()))
    told = here.cloud.ec2.snapshots.told
    here.cloud.ec2.snapshots.told = lambda: {id: one | ({"State": "error"} if id == bad else {}) for id, one in told().items()}  # type: ignore[method-assign]
    assert here.sets() == []
    here.tick()
    assert here.sets() == ["2026-01-01T00:00:00Z"]
    here.tick()
    assert bad not in told()


BLOWS: list[Blow] = ["kill-before", "kill-after", "error-before", "error-after"]


@settings(max_examples=80, deadline=None)
@given(
    blows=st.lists(st.tuples(st.sampled_from(BLOWS), st.integers(1, 6), st.integers(1, 90) | st.just(3601)), max_size=12),
    late=st.sampled_from([0.0, 0.0, 20.0]),
    takes=st.sampled_from([0.0, 40.0]),
    both=st.booleans(),
)
def test_whoever_dies_wherever_no_set_is_there_twice_and_none_that_is_kept_is_lost(
    blows: list[tuple[Blow, int, int]], late: float, takes: float, both: bool
) -> None:
    here = place(volumes=BOTH if both else "{data: {size: 10Gi}}", takes=takes)
    here.cloud.late["describe_snapshots"] = late
    best = 0
    for blow, number, later in [*blows, *([("kill-after", 99, 1300)] * 12)]:
        here.cloud.fate.order(blow, number)
        try:
            here.tick()
        except Killed:
            here.taker = here.another()
        here.cloud.fate.heal()
        complete = true_sets(here)
        assert len(complete) >= min(best, 2), "fewer complete sets than are kept"
        best = max(best, len(complete))
        here.clock.time += later
    for _ in range(6):
        here.tick()
        here.clock.time += 45
    complete = true_sets(here)
    assert len(complete) == 2
    assert len(here.cloud.ec2.snapshots.told()) == sum(one.of for one in complete), "something is left that is in no set, or twice in one"
    assert all((one.taken - one.began).total_seconds() <= 60 for one in complete)


def true_sets(here: Place) -> list[SnapshotSet]:
    """What is there, however late a describe is."""
    late, here.cloud.late["describe_snapshots"] = here.cloud.late["describe_snapshots"], 0.0
    found = [one for one in here.known().sets.get("kv", ()) if one.state == "complete"]
    here.cloud.late["describe_snapshots"] = late
    return found


def test_a_snapshot_is_stale_once_two_of_its_schedule_were_missed() -> None:
    here = place()
    (service,) = here.wanted.services
    here.tick()

    def told(after: float) -> tuple[str, str, str]:
        found = recent.condition(service, here.known(), BEGIN + after)
        assert found
        return found.status, found.reason, found.message

    assert told(HOUR) == ("True", "Taken", "")
    assert told(2 * HOUR) == ("True", "Taken", "")
    assert told(3 * HOUR) == ("False", "Stale", "its last complete snapshot is 3h old, and it asks for one every 1h")
    assert recent.condition(service, Snapshots(unread="throttled"), BEGIN) is not None
    assert recent.condition(desired(kv()).services[0], here.known(), BEGIN) is None


@pytest.mark.parametrize("text", ["2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z"])
def test_a_moment_is_read_as_it_is_written(text: str) -> None:
    assert moment.spell(moment.read(text)) == text
    assert moment.spell(moment.whole(datetime(2026, 1, 1, 0, 0, 0, 5, UTC))) == "2026-01-01T00:00:01Z"
