"""What others have made in Kubernetes under a name that a spec would use is told in the plan and taken over by nobody."""

from __future__ import annotations

import pytest

from providers import strangers
from providers.memory import MemoryCluster
from reconciler.model.address import ResourceId
from reconciler.resources import kubernetes
from tests.memory_world import MemoryWorld, desired
from tests.unit.test_moved import redis

CONFIG = kubernetes.KINDS["ConfigMap"]
NAMESPACE = kubernetes.KINDS["Namespace"]


def config(name: str, **more: object) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "default", "name": name, **more}, "data": {"theirs": "1"}}


def test_an_object_of_others_is_refused_and_stays_as_it_is() -> None:
    world = MemoryWorld()
    world.cluster.put(CONFIG, config("kv-config"))
    planned = world.plan(desired(redis("kv")))
    (refused,) = [change for change in planned.plan if change.action == "refuse"]
    assert str(refused.id) == "kubernetes/lab/kv/ConfigMap/default/kv-config"
    assert "without our marks" in refused.reason
    assert "specs/lab/services.yaml:5:3" in refused.reason
    world.apply(planned)
    assert world.cluster.get(CONFIG, "kv-config", namespace="default")["data"] == {"theirs": "1"}  # type: ignore[index]


def test_an_object_with_half_of_our_marks_is_refused_too() -> None:
    world = MemoryWorld()
    labels = {"reconciler/environment": "lab", "reconciler/service": "kv"}
    world.cluster.put(CONFIG, config("kv-config", labels=labels))
    assert [str(change.id) for change in world.plan(desired(redis("kv"))).plan if change.action == "refuse"] == [
        "kubernetes/lab/kv/ConfigMap/default/kv-config"
    ]


def test_a_namespace_of_others_serves_as_it_is() -> None:
    world, text = MemoryWorld(), redis("kv", "namespace: theirs")
    world.cluster.put(NAMESPACE, {"metadata": {"name": "theirs", "labels": {"team": "x"}}})
    assert world.converge(text).ok
    assert world.cluster.get(NAMESPACE, "theirs")["metadata"]["labels"] == {"team": "x"}  # type: ignore[index]
    assert not world.plan(desired(text)).plan


@pytest.mark.parametrize("number", [3, strangers.FEW + 5])
def test_few_names_are_asked_for_and_many_are_listed(number: int) -> None:
    cluster = MemoryCluster()
    for index in range(0, number, 2):
        cluster.put(CONFIG, config(f"c-{index}"))
    ids = [ResourceId("kubernetes", "lab", "kv", f"ConfigMap/default/c-{index}") for index in range(number)]
    assert strangers.taken(cluster, ids) == frozenset(ids[::2])
    assert cluster.calls["list configmaps"] == (1 if number > strangers.FEW else 0)
