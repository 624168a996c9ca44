"""Data goes when its spec gave it up and a person says so too; either alone keeps it, and a kill in between loses nothing else."""

from __future__ import annotations

import pytest

from providers import disposal
from providers.memory import Killed
from reconciler import errors, loop, planfile
from reconciler import plan as planning
from reconciler.loop import Prepared
from reconciler.model.change import Change
from reconciler.model.environment import Guard
from reconciler.model.outcome import Failed
from reconciler.planfile import Basis
from reconciler.render import document, text
from tests.memory_world import KINDS, MemoryWorld, desired
from tests.unit.serving_world import serving, town

OTHER = """\
apiVersion: reconciler/v1
kind: Service
metadata: {name: other}
spec: {type: zookeeper, replicas: 1, volumes: {data: {size: 10Gi}}}
"""
DELETE = "deletionPolicy: Delete"
BACK = "restoreFrom: {retained: true}"
PROTECT = "protect: true"


def kv(*lines: str, replicas: int = 2) -> str:
    body = f"metadata: {{name: kv}}\nspec:\n  type: redis\n  replicas: {replicas}\n  volumes: {{data: {{size: 10Gi}}}}\n"
    return f"{OTHER}---\napiVersion: reconciler/v1\nkind: Service\n{body}" + "".join(f"  {line}\n" for line in lines)


def volumes(world: MemoryWorld) -> dict[str, str]:
    """Each volume's state as the tags say it, by its address."""
    found = world.observed(desired("").environment).live
    return {str(id): "retained" if one.retained else "in use" for id, (one,) in found.items() if id.kind == "volume"}


def lines(prepared: Prepared) -> dict[str, Change]:
    return {str(change.id): change for change in prepared.plan.acting if change.id.kind == "volume"}


def after(*documents: str) -> MemoryWorld:
    """A world in which *documents* were applied one after the other."""
    world = MemoryWorld()
    for one in documents:
        assert world.converge(one).ok
    return world


KV_0, KV_1, REST = "volume/lab/kv/kv-0/data", "volume/lab/kv/kv-1/data", "volume/lab/other/other-0/data"


def test_spec_and_flag_delete_the_data_and_the_plan_says_so() -> None:
    world = after(kv(DELETE))
    prepared = world.plan(desired(OTHER), delete_data=True)
    change = lines(prepared)[KV_0]
    assert text.headline(change) == (
        f"# {KV_0} will be destroyed (no longer declared; its spec said deletionPolicy: Delete)  # irreversible: its data is deleted"
    )
    told = next(one for one in document.render(prepared.plan, KINDS)["resource_changes"] if one["address"] == KV_0)
    assert (told["change"]["actions"], told["impact"]) == (["delete"], "irreversible: its data is deleted")
    assert world.apply(prepared).ok
    assert volumes(world) == {REST: "in use"}
    assert not world.plan(desired(OTHER), delete_data=True).plan


def test_without_the_flag_it_is_kept_and_the_plan_says_what_would_delete_it() -> None:
    world = after(kv(DELETE))
    prepared = world.plan(desired(OTHER))
    change = lines(prepared)[KV_0]
    assert (change.action, change.impact) == ("forget", "data is kept; --allow-delete-data would delete it")
    assert world.apply(prepared).ok
    assert volumes(world) == {KV_0: "retained", KV_1: "retained", REST: "in use"}
    assert not world.plan(desired(OTHER), delete_data=True).plan, "what was kept is not deleted afterwards by a flag alone"


@pytest.mark.parametrize(
    ("before", "now", "of"),
    [
        ((kv(),), OTHER, KV_0),  # the spec never said so
        ((kv(DELETE), kv("deletionPolicy: Retain")), OTHER, KV_0),  # it took that back
        ((kv(),), kv(DELETE, replicas=1), KV_1),  # it says so only together with what removes the member
        ((kv(DELETE),), kv(replicas=1), KV_1),  # it takes it back together with that
    ],
)
def test_the_flag_alone_deletes_nothing(before: tuple[str, ...], now: str, of: str) -> None:
    world = after(*before)
    prepared = world.plan(desired(now), delete_data=True)
    assert (lines(prepared)[of].action, lines(prepared)[of].impact) == ("forget", "data is kept")
    assert world.apply(prepared).ok
    assert volumes(world)[of] == "retained"


def test_a_member_that_goes_takes_its_data_along_and_the_others_keep_theirs() -> None:
    world = after(kv(DELETE))
    assert world.apply(world.plan(desired(kv(DELETE, replicas=1)), delete_data=True)).ok
    assert volumes(world) == {KV_0: "in use", REST: "in use"}


def test_saying_so_changes_a_tag_and_restarts_nobody() -> None:
    prepared = after(kv()).plan(desired(kv(DELETE)))
    assert {(str(change.id), change.action, change.impact) for change in prepared.plan.acting} == {
        (KV_0, "update", ""),
        (KV_1, "update", ""),
    }


def test_protected_data_is_not_deleted_whatever_else_is_said() -> None:
    world = after(kv(DELETE, PROTECT))
    prepared = world.plan(desired(OTHER), delete_data=True)
    (why,) = {change.reason for change in prepared.plan if change.id.kind == "volume" and change.action == "refuse"}
    assert "but it is protected" in why
    world.apply(prepared)
    assert volumes(world) == {KV_0: "in use", KV_1: "in use", REST: "in use"}


def test_the_guard_counts_what_is_deleted_and_not_what_is_kept() -> None:
    world = after(kv(DELETE))
    kept, deleted = world.plan(desired(OTHER)).plan, world.plan(desired(OTHER), delete_data=True).plan
    counted = [planning._counted([change for change in one.changes if change.action == "delete"]) for one in (kept, deleted)]
    assert counted[1] - counted[0] == 2
    with pytest.raises(errors.UnsafePlanError):
        planning.guard(deleted, Guard(max_deletes=counted[0]))


def test_what_was_kept_goes_once_it_was_taken_back_and_given_up() -> None:
    """The way that the docs give for data that is retained already: no member runs meanwhile."""
    world = after(kv(), OTHER, kv(BACK, DELETE, "stopped: true"))
    assert volumes(world)[KV_0] == "in use"
    assert world.apply(world.plan(desired(OTHER), delete_data=True)).ok
    assert volumes(world) == {REST: "in use"}


def test_a_plan_that_was_saved_with_the_flag_is_another_one_without_it() -> None:
    world = after(kv(DELETE))
    basis = Basis(observed=world.observed(desired("").environment))
    saved = planfile.load(planfile.dump(world.plan(desired(OTHER), delete_data=True).plan, "1", 0, basis), "plan.json")
    planfile.check(saved, world.plan(desired(OTHER), delete_data=True).plan, "1", 0, basis)
    with pytest.raises(errors.StalePlan) as caught:
        planfile.check(saved, world.plan(desired(OTHER)).plan, "1", 0, basis)
    assert f"{KV_0}: delete was approved, it would be forget" in caught.value.message


def attach(world: MemoryWorld) -> str:
    """Let an instance hold kv-0's volume; its id."""
    id = next(id for id, one in world.cloud.ec2.volumes.items() if {"Key": "reconciler/address", "Value": KV_0} in one["Tags"])
    world.cloud.ec2.volumes[id]["Attachments"] = [{"InstanceId": "i-a"}]
    return id


def test_a_volume_is_waited_for_until_it_is_released(monkeypatch: pytest.MonkeyPatch) -> None:
    world = after(kv(DELETE))
    id, sleep, began = attach(world), type(world.clock).sleep, world.clock.time

    def later(clock: object, seconds: float) -> None:
        sleep(world.clock, seconds)
        if clock is world.clock and world.clock.time > began + 60 and id in world.cloud.ec2.volumes:
            world.cloud.ec2.volumes[id]["Attachments"] = []

    monkeypatch.setattr(type(world.clock), "sleep", later)
    assert world.apply(world.plan(desired(OTHER), delete_data=True), timeout=600).ok
    assert volumes(world) == {REST: "in use"}


def test_a_volume_that_is_never_released_is_told_and_deleted_by_the_next_apply() -> None:
    world = after(kv(DELETE))
    id, began = attach(world), world.clock.time
    report = world.apply(world.plan(desired(OTHER), delete_data=True))
    assert report.outcomes[KV_0] == Failed(f"{id} is still attached to i-a: apply again once it is detached", retryable=True)
    assert world.clock.time - began >= disposal.RELEASED_WITHIN
    assert volumes(world) == {KV_0: "in use", REST: "in use"}
    world.cloud.ec2.volumes[id]["Attachments"] = []
    assert lines(world.plan(desired(OTHER)))[KV_0].action == "forget", "without the flag it is kept after all"
    assert world.apply(world.plan(desired(OTHER), delete_data=True)).ok
    assert volumes(world) == {REST: "in use"}


def test_what_somebody_saves_at_the_last_moment_is_kept() -> None:
    world = after(kv(DELETE))
    prepared = world.plan(desired(OTHER), delete_data=True)
    id = attach(world)
    world.cloud.ec2.volumes[id]["Attachments"] = []
    world.cloud.ec2.create_tags([id], [{"Key": "reconciler/retained", "Value": "by-hand"}])
    report = world.apply(prepared)
    assert "not marked as data to be deleted any more" in str(report.outcomes[KV_0])
    assert volumes(world)[KV_0] == "retained"


def struck(world: MemoryWorld, number: int) -> bool:
    """Whether an apply that deletes data was killed at its effect of that *number*; afterwards time has passed."""
    world.cloud.fate.order("kill-before" if number % 2 else "kill-after", (number + 1) // 2)
    try:
        world.apply(world.plan(desired(OTHER), delete_data=True))
    except Killed:
        killed = True
    else:
        killed = False
    world.cloud.fate.heal()
    world.clock.sleep(60)
    return killed


@pytest.mark.parametrize("flag", [True, False])
def test_a_kill_at_any_effect_is_taken_up_by_the_next_apply(flag: bool) -> None:
    """With the flag what is left is deleted, without it kept and listed; nobody else's data is touched."""
    number, killed = 0, True
    while killed:
        number += 1
        world = after(kv(DELETE))
        killed = struck(world, number)
        left = volumes(world)
        loop.settle(world.world(desired(OTHER).environment), "lab")
        assert world.apply(world.plan(desired(OTHER), delete_data=flag)).ok
        assert volumes(world) == {REST: "in use"} | ({} if flag else dict.fromkeys(left.keys() - {REST}, "retained"))
        assert not world.plan(desired(OTHER), delete_data=flag).plan
    assert number > 40, "there are more effects than that, each with two kills"


def test_a_server_deletes_data_only_on_the_order_of_a_person() -> None:
    given_up = kv(DELETE).split("---\n")
    one = serving(*given_up)
    one.turn()
    one.branch.push(town(given_up[0]))
    one.turn(11)
    assert volumes(one.branch.memory) == {KV_0: "retained", KV_1: "retained", REST: "in use"}


@pytest.mark.parametrize("flag", [True, False])
def test_an_order_says_whether_data_may_be_deleted(flag: bool) -> None:
    given_up = kv(DELETE).split("---\n")
    one = serving(*given_up, policy="approval")
    memory = one.branch.memory
    assert memory.converge(town(*given_up, policy="approval")).ok
    one.branch.push(town(given_up[0], policy="approval"))
    one.turn(11)
    ground = one.follower.head
    prepared = loop.prepare(ground.world, ground.desired, delete_data=flag)
    told = {"environment": "lab", "commit": ground.desired.revision.commit, "tree": ground.tree, "digest": prepared.plan.digest}
    order = one.follower.desk.take({**told, "services": [], "allow_deletes": 100, "allow_delete_data": flag})  # type: ignore[typeddict-item]
    one.turn()
    assert order.state == "applied", order.refusal
    assert volumes(memory) == {REST: "in use"} | ({} if flag else {KV_0: "retained", KV_1: "retained"})
