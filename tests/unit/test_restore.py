"""A new service made from another's snapshots: member by member, shown in the plan, refused with its place where it cannot be."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from reconciler import errors, loop, standing
from reconciler.model.change import Change
from reconciler.model.outcome import Done
from reconciler.model.stand import Stand
from reconciler.render import text
from tests.memory_world import MemoryWorld, desired, loaded

HOURLY = "snapshots: {every: 1h, keep: 5}"
FIRST = "2026-01-01T00:00:00Z"


def redis(name: str, *lines: str, replicas: int = 2, size: str = "10Gi", encrypted: str = "true") -> str:
    return "\n".join(
        (
            f"apiVersion: reconciler/v1\nkind: Service\nmetadata: {{name: {name}}}\nspec:\n  type: redis\n  replicas: {replicas}",
            f"  volumes: {{data: {{size: {size}, encrypted: {encrypted}}}}}",
            *(f"  {line}" for line in lines),
            "",
        )
    )


def of(service: str, time: str = FIRST) -> str:
    return f'restoreFrom: {{service: {service}, snapshotTime: "{time}"}}'


def begun(**how: Any) -> MemoryWorld:
    """A world with `kv` and its first snapshots."""
    world = MemoryWorld()
    assert world.converge(redis("kv", HOURLY, **how)).ok
    assert len(world.cloud.ec2.snapshots.told()) == 2
    return world


def volumes(world: MemoryWorld, documents: str, service: str = "copy") -> dict[str, Change]:
    changes = world.plan(desired(documents)).plan
    return {change.id.name: change for change in changes if change.id.kind == "volume" and change.stack == service}


def snapshots(world: MemoryWorld) -> dict[str, str]:
    """The snapshots of kv, by the address of the volume that each is of."""
    told = world.cloud.ec2.snapshots.told()
    return {next(tag["Value"] for tag in one["Tags"] if tag["Key"] == "reconciler/address"): id for id, one in told.items()}


def test_each_member_begins_with_what_the_same_member_had() -> None:
    world = begun()
    both = redis("kv", HOURLY) + "---\n" + redis("copy", of("kv"), size="20Gi")
    planned = volumes(world, both)
    ids = snapshots(world)
    for number in (0, 1):
        change, id = planned[f"copy-{number}/data"], ids[f"volume/lab/kv/kv-{number}/data"]
        assert text.headline(change) == (
            f"# volume/lab/copy/copy-{number}/data will be created (from snapshot {id} of kv-{number}/data, taken {FIRST})"
        )
        assert any(f"snapshot = {id}" in line for line in text.fields(change))
    assert world.converge(both).ok
    made = {one["SnapshotId"]: one["Size"] for one in world.cloud.ec2.volumes.values() if "SnapshotId" in one}
    assert made == dict.fromkeys(ids.values(), 20)


def test_once_it_is_there_nothing_is_compared_with_where_it_came_from() -> None:
    world = begun()
    both = redis("kv", HOURLY) + "---\n" + redis("copy", of("kv"))
    world.converge(both)
    again = world.plan(desired(both)).plan
    assert not again
    assert not again.drift
    world.cloud.ec2.snapshots.delete(snapshots(world)["volume/lab/kv/kv-0/data"])
    assert not world.plan(desired(both)).plan, "its snapshots may go"
    assert not world.plan(desired(redis("kv", HOURLY) + "---\n" + redis("copy"))).plan, "and so may the words that made it"


def test_a_restore_that_was_cut_off_goes_on_from_the_same_snapshots() -> None:
    world = begun()
    both = redis("kv", HOURLY) + "---\n" + redis("copy", of("kv"))
    world.cloud.fail("create_volume", errors.ProviderError("no"), times=1)
    assert not world.converge(both).ok
    assert world.converge(both).ok
    assert sorted(one["SnapshotId"] for one in world.cloud.ec2.volumes.values() if "SnapshotId" in one) == sorted(snapshots(world).values())


def test_it_is_the_newest_set_by_then_also_of_a_service_that_is_gone() -> None:
    world = begun()
    for _ in range(3):
        world.clock.time += 3600
        world.converge(redis("kv", HOURLY))
    world.converge("")
    planned = volumes(world, redis("copy", of("kv", "2026-01-01T02:59:00+00:00")))
    assert "taken 2026-01-01T02:00" in planned["copy-0/data"].reason


def test_the_members_of_a_renamed_service_are_known_by_their_numbers() -> None:
    world = begun()
    world.converge(redis("cache", HOURLY, "movedFrom: {name: kv}"))
    world.clock.time += 3600
    world.converge(redis("cache", HOURLY, "movedFrom: {name: kv}"))
    planned = volumes(world, redis("cache", HOURLY, "movedFrom: {name: kv}") + "---\n" + redis("copy", of("cache", "2026-01-01T01:00:00Z")))
    assert "of kv-1/data" in planned["copy-1/data"].reason


@pytest.mark.parametrize(
    ("documents", "said"),
    [
        (
            redis("copy", of("kv", "2025-12-31T23:59:59Z")),
            "services.yaml:8:44: kv has no complete snapshot that was taken by 2025-12-31T23:59:59Z: choose a later moment; it has "
            + FIRST,
        ),
        (
            redis("copy", of("kv", "2026-01-02T00:00:00Z")),
            "services.yaml:8:44: 2026-01-02T00:00:00Z is yet to come, and until then it would mean",
        ),
        (redis("copy", of("nobody")), "services.yaml:8:48: nobody has no complete snapshot (`reconcile snapshots` lists them): leave"),
        (
            redis("copy", of("kv"), replicas=3),
            "services.yaml:8:16: the snapshots of kv of 2026-01-01T00:00:00Z have none for copy-2/data (0/data",
        ),
        (redis("copy", of("kv"), size="9Gi"), "services.yaml:7:26: size 9Gi is less than the 10Gi of snap-"),
        (redis("copy", of("kv"), encrypted="false"), "is encrypted, and so is whatever is made of it: say encrypted: true"),
    ],
)
def test_what_cannot_be_made_is_refused_with_its_place_and_what_to_do(documents: str, said: str) -> None:
    refused = [change.reason for change in volumes(begun(), documents).values() if change.action == "refuse"]
    assert refused
    assert all(said in reason for reason in refused), refused


def test_what_could_not_be_read_is_no_snapshot_that_is_missing() -> None:
    world = begun()
    world.cloud.fail("describe_snapshots", errors.TransientError("RequestLimitExceeded"))
    planned = volumes(world, redis("kv") + "---\n" + redis("copy", of("kv")))
    assert {(change.action, change.reason) for change in planned.values()} == {
        ("hold", "the snapshots of kv could not be read: RequestLimitExceeded; nothing is done about it")
    }


def test_a_set_that_is_still_pending_is_waited_for_where_it_is_nearer() -> None:
    world = begun()
    world.cloud.ec2.snapshots.takes = timedelta(hours=2)
    world.clock.time += 7200
    world.converge(redis("kv", HOURLY))
    world.clock.time += 60
    planned = volumes(world, redis("kv", HOURLY) + "---\n" + redis("copy", of("kv", "2026-01-01T02:00:30Z")))
    assert {(change.action, change.reason) for change in planned.values()} == {
        ("hold", "the snapshots of kv of 2026-01-01T02:00:00Z are not completed yet, and are nearer to what is asked for")
    }
    before = volumes(world, redis("kv", HOURLY) + "---\n" + redis("copy", of("kv", "2026-01-01T01:00:00Z")))
    assert {change.action for change in before.values()} == {"create"}


def test_snapshots_are_read_in_one_list_and_only_where_somebody_asks() -> None:
    world = begun()
    world.cloud.calls.clear()
    world.plan(desired(redis("kv")))
    assert world.cloud.calls["describe_snapshots"] == 0
    world.plan(desired(redis("kv", HOURLY) + "---\n" + redis("copy", of("kv"))))
    assert world.cloud.calls["describe_snapshots"] == 1


@pytest.mark.parametrize("interrupted", [False, True])
def test_an_apply_ends_once_what_sees_to_its_snapshots_has_landed_unless_a_person_interrupts(interrupted: bool) -> None:
    world, wanted, told = MemoryWorld(), desired(redis("kv", HOURLY)), []
    around = replace(world.world(wanted.environment), land=lambda _wanted, outcomes, _progress: told.append(dict(outcomes)))
    prepared = loop.prepare(around, wanted)
    loop.converge(replace(around, stopping=lambda: interrupted), prepared, loop.Options())
    assert told == ([] if interrupted else [{"kv": Done()}])


def test_a_plan_warns_of_a_snapshot_that_is_stale() -> None:
    world = begun()
    world.clock.time += 3 * 3600
    told = text.render(world.plan(desired(redis("kv", HOURLY))).plan)
    assert "Warning: kv: its last complete snapshot is 3h old, and it asks for one every 1h." in told
    assert "Warning" not in text.render(MemoryWorld().plan(desired(redis("kv", HOURLY))).plan), "a new one has none yet"


def test_data_that_says_whose_it_is_goes_to_nobody_else() -> None:
    cluster = redis("copy", "options: {shards: 3}", of("kv"), replicas=6)
    (fault,) = loaded(cluster).faults
    assert str(fault) == (
        "specs/lab/services.yaml:9:26: a redis service cannot begin with the snapshots of another: its data has its cluster's members, and "
        "would join them. only kv itself can have them back; for another see docs/how-to/snapshots.md"
    )
    assert not loaded(cluster.replace("service: kv", "service: copy")).faults


def test_status_says_how_old_the_last_snapshot_is_and_why_that_is_too_old() -> None:
    world, wanted = begun(), desired(redis("kv", HOURLY))
    for hours, reason, status in ((1, "", "True"), (3, "its last complete snapshot is 3h old, and it asks for one every 1h", "False")):
        world.clock.time = 1_767_225_600.0 + hours * 3600
        around = replace(world.world(wanted.environment), standing=lambda _: {"kv": Stand(Done())})
        ((row, _, conditions),) = standing.services(around, wanted, frozenset())
        assert row["reason"] == reason
        assert [(one.type, one.status, one.since) for one in conditions if one.since] == [("SnapshotRecent", status, FIRST)]
    told = [row for row, _ in standing.snapshots(world.world(wanted.environment).snapshots())]
    assert [(one["service"], one["taken"], one["state"], one["of"]) for one in told] == [("kv", FIRST, "complete", 2)]
    assert [(one["member"], one["name"], one["size"]) for one in told[0]["volumes"]] == [("kv-0", "data", "10Gi"), ("kv-1", "data", "10Gi")]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("snapshots: {every: 30s, keep: 2}", "services.yaml:8:22: spec.snapshots.every: 30s is too often"),
        ("snapshots: {every: 1h, keep: 0}", "services.yaml:8:32: spec.snapshots.keep"),
        ("restoreFrom: {service: kv, snapshotTime: yesterday}", "yesterday is no moment: write it as 2026-11-22T18:00:00Z"),
        ('restoreFrom: {service: kv, snapshotTime: "2026-01-01T00:00:00"}', "with its offset from UTC"),
        ("restoreFrom: {service: kv}", "must be either {retained: true} or {service, snapshotTime}"),
    ],
)
def test_what_makes_no_sense_is_said_with_its_place(line: str, said: str) -> None:
    (fault,) = loaded(redis("kv", line)).faults
    assert said in str(fault)
