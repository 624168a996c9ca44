"""Drift apart from intent: what left the last apply is told whatever a new commit asks for, and who keeps changing it is named."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.model.address import parse
from reconciler.model.plan import Plan
from reconciler.render import document, text
from reconciler.resources import kubernetes
from tests.memory_world import KINDS, MemoryWorld, desired

SET = parse("kubernetes/lab/kv/StatefulSet/default/kv")
RECORD = "record/lab/kv-0.db.internal"


def service(**spec: Any) -> str:
    fields = {"type": "redis", "replicas": 2, "volumes": "{data: {size: 10Gi}}", **spec}
    lines = "".join(f"  {name}: {value}\n" for name, value in fields.items())
    return f"apiVersion: reconciler/v1\nkind: Service\nmetadata: {{name: kv}}\nspec:\n{lines}"


@pytest.fixture
def world() -> MemoryWorld:
    world = MemoryWorld()
    assert world.converge(service()).ok
    return world


def scale(world: MemoryWorld, replicas: int, manager: str = "kube-controller-manager") -> None:
    """Somebody scales the set, as a HorizontalPodAutoscaler does."""
    live = world.cluster.get(kubernetes.KINDS["StatefulSet"], "kv", namespace="default")
    assert live
    world.cluster.patch(kubernetes.KINDS["StatefulSet"], "kv", {"spec": {"replicas": replicas}}, namespace="default")
    entry = {"manager": manager, "operation": "Update", "subresource": "scale", "time": "2026-11-22T05:00:00Z"}
    fields = {"fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:replicas": {}}}}
    entries = [one for one in live["metadata"]["managedFields"] if one.get("subresource") != "scale"]
    patch = {"metadata": {"managedFields": [*entries, {**entry, **fields}]}}
    world.cluster.patch(kubernetes.KINDS["StatefulSet"], "kv", patch, namespace="default")


def planned(world: MemoryWorld, text_: str) -> Plan:
    return world.plan(desired(text_)).plan


def drifting(plan: Plan) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one in plan.drift:
        found.setdefault(one.address, []).append(one.text)
    return found


def test_a_field_that_left_the_last_apply_is_drift_though_the_commit_is_another(world: MemoryWorld) -> None:
    scale(world, 7)
    plan = planned(world, service(version='"8.2"'))
    applied = world.history.recorded[-1]["commit"][:7]
    assert drifting(plan) == {str(SET): [f"spec.replicas is 7 live, 2 declared (since the apply of {applied})"]}
    (change,) = (one for one in plan.changes if one.id == SET)
    assert {field.path[-1]: field.drift for field in change.fields} == {"reconciler/version": False, "replicas": True, "image": False}


def test_what_only_the_commit_asks_for_is_no_drift(world: MemoryWorld) -> None:
    plan = planned(world, service(version='"8.2"', replicas=1))
    assert plan.acting
    assert not plan.drift


def test_a_field_that_drifted_and_is_changed_at_once_is_in_both(world: MemoryWorld) -> None:
    scale(world, 7)
    plan = planned(world, service(replicas=3))
    shown = text.render(plan)
    assert "spec.replicas is 7 live, 2 declared (since the apply of" in shown
    assert "~ spec.replicas = 7 -> 3" in shown


def test_what_drifted_to_where_the_commit_goes_is_nobody_s_trouble(world: MemoryWorld) -> None:
    scale(world, 3)
    plan = planned(world, service(replicas=3))
    assert not any(field.path == ("spec", "replicas") for change in plan.changes for field in change.fields)
    assert str(SET) not in drifting(plan)


def test_a_record_that_follows_its_pod_drifts_too_though_the_engine_does_not_know_it(world: MemoryWorld) -> None:
    (zone,) = world.cloud.route53.records
    key = ("kv-0.db.internal", "A", "")
    world.cloud.route53.records[zone][key] = {**world.cloud.route53.records[zone][key], "TTL": 300}
    plan = planned(world, service(version='"8.2"'))
    applied = world.history.recorded[-1]["commit"][:7]
    assert drifting(plan) == {RECORD: [f"ttl is 300 live, 5 declared (since the apply of {applied})"]}


def test_what_is_gone_is_drift_and_a_new_volume_says_that_it_begins_empty(world: MemoryWorld) -> None:
    world.cloud.ec2.volumes.clear()
    plan = planned(world, service(version='"8.2"'))
    assert "is gone" in drifting(plan)["volume/lab/kv/kv-0/data"][0]
    (change,) = (one for one in plan.changes if str(one.id) == "volume/lab/kv/kv-0/data")
    assert change.impact == "data: what was on the one before is lost, this begins empty"


def test_json_tells_drift_as_terraform_does(world: MemoryWorld) -> None:
    scale(world, 7)
    (drift,) = document.render(planned(world, service()), KINDS)["resource_drift"]
    assert (drift["address"], drift["type"]) == (str(SET), "kubernetes_stateful_set_v1")
    assert drift["change"]["before"] == {"spec": {"replicas": 2}}
    assert drift["change"]["after"] == {"spec": {"replicas": 7}}
    assert drift["since"] == world.history.recorded[-1]["commit"]


def test_a_field_that_is_put_back_time_and_again_names_who_changes_it(world: MemoryWorld) -> None:
    for times in range(3):
        scale(world, 7)
        prepared = world.plan(desired(service()))
        assert not prepared.plan.conflicts, times
        assert world.apply(prepared).ok
    scale(world, 7)
    plan = planned(world, service())
    (conflict,) = plan.conflicts
    assert (conflict.path, conflict.owner, conflict.times) == ("spec.replicas", "kube-controller-manager [HPA]", 3)
    told = "spec.replicas flaps: kube-controller-manager [HPA] set it 3 times since "
    (change,) = plan.acting
    assert change.action == "update"  # it is planned all the same
    assert told in change.reason
    assert "add it to ignore or end that" in change.reason
    assert document.render(plan, KINDS)["conflicts"][0]["owner"] == "kube-controller-manager [HPA]"


def test_the_digest_is_the_same_whether_or_not_a_field_flaps(world: MemoryWorld) -> None:
    scale(world, 7)
    before = planned(world, service()).digest
    for _ in range(3):
        assert world.apply(world.plan(desired(service()))).ok
        scale(world, 7)
    assert planned(world, service()).digest == before


def test_another_declared_value_begins_to_count_anew(world: MemoryWorld) -> None:
    for _ in range(3):
        scale(world, 7)
        assert world.apply(world.plan(desired(service()))).ok
    assert world.apply(world.plan(desired(service(replicas=3)))).ok
    scale(world, 7)
    assert not planned(world, service(replicas=3)).conflicts


def test_an_ignored_field_shows_no_change_and_goes_to_the_engine_as_it_is_live(world: MemoryWorld) -> None:
    ignoring = service(version='"8.2"', ignore="[{path: 'StatefulSet/kv:spec.replicas', reason: the autoscaler owns it}]")
    scale(world, 7)
    prepared = world.plan(desired(ignoring))
    assert [field.path[-1] for change in prepared.plan.acting for field in change.fields] == ["reconciler/version", "image"]
    footer = "Ignored: 1 field, 1 differs (the autoscaler owns it): kubernetes/lab/kv/StatefulSet/default/kv spec.replicas\n"
    assert footer in text.render(prepared.plan)
    (told,) = document.render(prepared.plan, KINDS)["ignored"]
    assert told == {
        "address": str(SET),
        "path": "spec.replicas",
        "reason": "the autoscaler owns it",
        "differs": True,
        "live": 7,
        "declared": 2,
    }
    world.apply(prepared)
    live = world.cluster.get(kubernetes.KINDS["StatefulSet"], "kv", namespace="default")
    assert live
    assert live["spec"]["replicas"] == 7
    assert not world.plan(desired(ignoring)).plan.acting


def test_a_plan_does_not_go_stale_by_a_field_that_is_none_of_it(world: MemoryWorld) -> None:
    ignoring = service(version='"8.2"', ignore="[{path: 'StatefulSet/kv:spec.replicas', reason: the autoscaler owns it}]")
    before = planned(world, ignoring)
    scale(world, 7)
    assert planned(world, ignoring).fingerprint == before.fingerprint


def test_of_aws_nobody_is_known_but_that_it_is_somebody_outside(world: MemoryWorld) -> None:
    volume = next(iter(world.cloud.ec2.volumes.values()))
    for times in range(4):
        for tag in volume["Tags"]:
            tag["Value"] = "nobody" if tag["Key"] == "team" else tag["Value"]
        prepared = world.plan(desired(service()))
        assert bool(prepared.plan.conflicts) == (times == 3)
        if not prepared.plan.conflicts:
            assert world.apply(prepared).ok
            volume = next(one for one in world.cloud.ec2.volumes.values() if one["VolumeId"] == volume["VolumeId"])
    (conflict,) = prepared.plan.conflicts
    assert (conflict.path, conflict.owner) == ("tags.team", "somebody outside")


def test_what_was_put_back_long_ago_does_not_count(world: MemoryWorld) -> None:
    for _ in range(3):
        scale(world, 7)
        assert world.apply(world.plan(desired(service()))).ok
    world.clock.sleep(25 * 3600)
    scale(world, 7)
    assert not planned(world, service()).conflicts


def test_what_the_engine_never_knew_has_not_drifted(world: MemoryWorld) -> None:
    scale(world, 7)
    for held in world.engine.held.values():
        held.pop(SET, None)
    plan = planned(world, service())
    assert {change.action for change in plan.acting} == {"adopt"}
    assert not plan.drift
