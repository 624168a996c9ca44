"""A member whose volume is gone or broken gets a new one once a person says so, and only where the others have its data."""

from __future__ import annotations

from typing import Any

import pytest

from providers.memory import Killed
from reconciler import loop
from reconciler.loop import Prepared
from reconciler.model.outcome import Failed
from reconciler.render import text
from reconciler.resources import kubernetes
from tests.memory_world import MemoryWorld, desired

IMAGE = "podTemplate: {spec: {containers: [{name: x, image: x}]}}"
PV, CLAIM = kubernetes.KINDS["PersistentVolume"], kubernetes.KINDS["PersistentVolumeClaim"]


def ensemble(*lines: str, replicas: int = 3, type_: str = "zookeeper", volumes: str = "data: {size: 10Gi}") -> str:
    body = f"metadata: {{name: zk}}\nspec:\n  type: {type_}\n  replicas: {replicas}\n  volumes: {{{volumes}}}\n"
    return f"apiVersion: reconciler/v1\nkind: Service\n{body}" + "".join(f"  {line}\n" for line in lines)


def volume(world: MemoryWorld, member: str, name: str = "data") -> str:
    """The live id of a member's volume; "" where it has none."""
    wanted = {"Key": "reconciler/address", "Value": f"volume/lab/zk/{member}/{name}"}
    return next((id for id, one in world.cloud.ec2.volumes.items() if wanted in one["Tags"]), "")


def lose(world: MemoryWorld, member: str, how: str = "gone") -> None:
    id = volume(world, member)
    if how == "gone":
        del world.cloud.ec2.volumes[id]
    else:
        world.cloud.ec2.volumes[id]["State"] = "error"


def handle(world: MemoryWorld, member: str) -> str:
    found = world.cluster.get(PV, f"lab-{member}-data")
    return str(found["spec"]["csi"]["volumeHandle"]) if found else ""


def uids(world: MemoryWorld, member: str) -> dict[str, str]:
    """Of a member's claim and Pod, and what its volume is called."""
    found = {
        "claim": world.cluster.get(CLAIM, f"data-{member}", namespace="default"),
        "pod": world.cluster.get(kubernetes.POD, member, namespace="default"),
    }
    return {what: one["metadata"]["uid"] for what, one in found.items() if one} | {"volume": volume(world, member)}


def made(documents: str) -> MemoryWorld:
    world = MemoryWorld()
    report = world.converge(documents)
    assert report.ok, report.outcomes
    return world


def plan(world: MemoryWorld, documents: str, *, flag: bool = True) -> Prepared:
    return world.plan(desired(documents), delete_data=flag)


def refusals(prepared: Prepared) -> str:
    return "\n".join(change.reason for change in prepared.plan if change.action == "refuse")


def require_whole(world: MemoryWorld, documents: str) -> None:
    """Every member has one volume, its PersistentVolume stands for it, and nothing is left to do."""
    for number in range(3):
        assert volume(world, f"zk-{number}")
        assert handle(world, f"zk-{number}") == volume(world, f"zk-{number}")
    assert not plan(world, documents, flag=False).plan


@pytest.mark.parametrize("how", ["gone", "error"])
def test_a_lost_volume_is_made_anew_with_all_that_stands_for_it_and_nobody_else_is_touched(how: str) -> None:
    world = made(ensemble())
    before = {name: uids(world, name) for name in ("zk-0", "zk-1", "zk-2")}
    lose(world, "zk-1", how)
    prepared = plan(world, ensemble())
    told = {str(change.id): text.headline(change) for change in prepared.plan.acting}
    assert set(told) == {
        "volume/lab/zk/zk-1/data",
        "kubernetes/lab/zk/PersistentVolume/-/lab-zk-1-data",
        "kubernetes/lab/zk/PersistentVolumeClaim/default/data-zk-1",
    }
    assert "its data with it" in told["volume/lab/zk/zk-1/data"]
    assert "the other members of zk fill a new one" in told["volume/lab/zk/zk-1/data"]
    assert told["kubernetes/lab/zk/PersistentVolumeClaim/default/data-zk-1"].endswith("# restarts zk-1")
    report = world.apply(prepared)
    assert report.ok, report.outcomes
    now = {name: uids(world, name) for name in before}
    assert not set(before["zk-1"].values()) & set(now["zk-1"].values())
    assert {name: now[name] for name in ("zk-0", "zk-2")} == {name: before[name] for name in ("zk-0", "zk-2")}
    require_whole(world, ensemble())


@pytest.mark.parametrize("how", ["gone", "error"])
def test_without_the_flag_it_is_refused_and_says_what_would_do_it(how: str) -> None:
    world = made(ensemble())
    lose(world, "zk-1", how)
    prepared = plan(world, ensemble(), flag=False)
    assert "--allow-delete-data has a new one made, which the other members of zk fill" in refusals(prepared)
    before = uids(world, "zk-1")
    world.apply(prepared)
    assert uids(world, "zk-1") == before


@pytest.mark.parametrize(
    ("documents", "lost", "why"),
    [
        (ensemble(), ("zk-1", "zk-2"), "2 of 3 members have lost their data, and a majority has to have it to give it back"),
        (ensemble(replicas=1), ("zk-0",), "1 of 1 members have lost their data"),
        (ensemble(type_="redis"), ("zk-0",), "zk-0 is the primary: the others would follow it into an empty start"),
        (ensemble(volumes="data: {size: 10Gi}, journal: {size: 10Gi}"), ("zk-1",), "journal belongs to it and is still there"),
        (ensemble("options: {mounts: {data: /d}}", IMAGE, type_="generic"), ("zk-1",), "it is not known that members of a generic service"),
    ],
)
def test_no_flag_begins_anew_what_nobody_could_fill(documents: str, lost: tuple[str, ...], why: str) -> None:
    world = made(documents)
    for member in lost:
        lose(world, member)
    prepared = plan(world, documents)
    assert why in refusals(prepared)
    effects = len(world.cloud.fate.effects)
    world.apply(prepared)
    assert [one for one in world.cloud.fate.effects[effects:] if "volume" in one] == []


def test_a_replica_of_redis_takes_its_data_from_the_primary() -> None:
    world = made(ensemble(type_="redis"))
    lose(world, "zk-2")
    assert world.apply(plan(world, ensemble(type_="redis"))).ok
    require_whole(world, ensemble(type_="redis"))


def test_protection_keeps_even_what_is_left_of_it() -> None:
    world = made(ensemble("protect: true"))
    lose(world, "zk-1", "error")
    assert "it is protected" in refusals(plan(world, ensemble("protect: true")))


def test_nothing_is_begun_while_another_member_does_not_work() -> None:
    world = made(ensemble())
    lose(world, "zk-1")
    prepared = plan(world, ensemble())
    pod: Any = world.cluster.get(kubernetes.POD, "zk-2", namespace="default")
    world.cluster.put(kubernetes.POD, {**pod, "status": {**pod["status"], "conditions": [{"type": "Ready", "status": "False"}]}})
    before = uids(world, "zk-1")
    report = world.apply(prepared)
    told = "zk-2 does not work, and zk-1 may need its data: nothing was begun"
    assert report.outcomes["volume/lab/zk/zk-1/data"] == Failed(told, retryable=True)
    assert uids(world, "zk-1") == before


def test_a_volume_that_only_lost_its_tags_is_not_replaced() -> None:
    world = made(ensemble())
    id, before = volume(world, "zk-1"), uids(world, "zk-1")
    world.cloud.ec2.volumes[id]["Tags"] = []
    report = world.apply(plan(world, ensemble()))
    assert f"{id} is there, but does not say any more whose it is" in str(report.outcomes["volume/lab/zk/zk-1/data"])
    assert {**before, "volume": ""} == uids(world, "zk-1")
    assert len(world.cloud.ec2.volumes) == 3


def test_what_is_retained_is_not_deleted_because_it_is_broken() -> None:
    world = made(ensemble())
    world.converge("")
    lose(world, "zk-1", "error")
    assert not [one for one in plan(world, ensemble()).plan.acting if one.id.kind == "volume"]


def test_a_broken_volume_that_is_attached_is_told() -> None:
    world = made(ensemble())
    lose(world, "zk-1", "error")
    id = volume(world, "zk-1")
    world.cloud.ec2.volumes[id]["Attachments"] = [{"InstanceId": "i-b"}]
    report = world.apply(plan(world, ensemble()))
    assert f"{id} is still attached to i-b" in str(report.outcomes["volume/lab/zk/zk-1/data"])
    assert volume(world, "zk-1") == id


def test_what_holds_on_to_the_old_ones_is_let_go() -> None:
    """The API server's own finalizers: of a claim while a Pod uses it, of a PersistentVolume while it is bound."""
    world = made(ensemble())
    for kind, name, namespace in ((CLAIM, "data-zk-1", "default"), (PV, "lab-zk-1-data", "")):
        world.cluster.patch(kind, name, {"metadata": {"finalizers": [f"kubernetes.io/{kind.plural}"]}}, namespace=namespace)
    lose(world, "zk-1")
    assert world.apply(plan(world, ensemble())).ok
    require_whole(world, ensemble())


def test_a_claim_that_its_set_makes_meanwhile_is_made_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    world = made(ensemble())
    lose(world, "zk-1")
    prepared, create, theirs = plan(world, ensemble()), world.cluster.create, []

    def slower(kind: Any, body: Any) -> Any:
        if kind == CLAIM and not theirs:
            theirs.append(world.cluster.put(CLAIM, {"metadata": {"name": "data-zk-1", "namespace": "default"}, "spec": {}}))
        return create(kind, body)

    monkeypatch.setattr(world.cluster, "create", slower)
    assert world.apply(prepared).ok
    assert theirs
    require_whole(world, ensemble())


@pytest.mark.parametrize("how", ["gone", "error"])
def test_a_kill_at_any_effect_is_taken_up_by_the_next_apply(how: str) -> None:
    number, killed = 0, True
    while killed:
        number += 1
        world = made(ensemble())
        others = {name: uids(world, name) for name in ("zk-0", "zk-2")}
        lose(world, "zk-1", how)
        world.cloud.fate.order("kill-before" if number % 2 else "kill-after", (number + 1) // 2)
        try:
            world.apply(plan(world, ensemble()))
            killed = False
        except Killed:
            world.cloud.fate.heal()
            world.clock.sleep(60)
        loop.settle(world.world(desired(ensemble()).environment), "lab")
        report = world.apply(plan(world, ensemble()))
        assert report.ok, (number, report.outcomes)
        require_whole(world, ensemble())
        assert {name: uids(world, name) for name in others} == others
        assert len(world.cloud.ec2.volumes) == 3, "a volume was made twice"
    assert number > 15, "there are more effects than that, each with two kills"
