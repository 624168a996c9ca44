"""The prune safety suite: nothing is removed by mistake, whatever is wrong with the repository, the world or the person at the keyboard."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler import errors, plan
from reconciler.diff import protect
from reconciler.loop import Prepared
from reconciler.model.environment import Guard
from reconciler.model.outcome import Done
from reconciler.render import document, markdown, text
from reconciler.resources import kubernetes
from tests.memory_world import KINDS, MemoryWorld, desired, loaded

UNDOING = {"delete", "forget", "replace"}


def service(name: str, **spec: Any) -> str:
    fields = {"type": "redis", "replicas": 2, "volumes": "{data: {size: 10Gi}}", **spec}
    lines = "".join(f"  {field}: {value}\n" for field, value in fields.items())
    return f"apiVersion: reconciler/v1\nkind: Service\nmetadata: {{name: {name}}}\nspec:\n{lines}"


def both(first: str, second: str) -> str:
    return f"{first}---\n{second}"


@pytest.fixture
def world() -> MemoryWorld:
    world = MemoryWorld()
    assert world.converge(both(service("kv"), service("zk"))).ok
    return world


def removing(prepared: Prepared) -> set[str]:
    return {str(change.id) for change in prepared.plan.changes if change.action in UNDOING}


def of(prepared: Prepared, stack: str) -> set[str]:
    return {change.action for change in prepared.plan.changes if change.stack == stack}


def test_an_empty_folder_removes_everything_only_by_a_person_s_number(world: MemoryWorld) -> None:
    prepared = world.plan(desired(""))
    deletes = sum(change.action == "delete" for change in prepared.plan.changes)
    with pytest.raises(errors.UnsafePlanError, match="removes everything there is") as caught:
        plan.guard(prepared.plan, Guard(max_deletes=1000, max_delete_percent=100))
    assert f"--allow-deletes {deletes}" in caught.value.hint
    plan.guard(prepared.plan, Guard(), allowed=deletes)


def test_bad_yaml_holds_its_service_and_removes_nothing_of_others(world: MemoryWorld) -> None:
    broken = both(service("kv", replicas='"two"'), service("zk", replicas=1))
    prepared = world.plan(loaded(broken))
    assert not removing(prepared)
    assert of(prepared, "kv") == {"hold"}
    assert "hold" in of(prepared, "zk")  # its second member goes once everything can be read
    assert prepared.plan.held.keys() == {"kv"}


def test_a_held_service_is_one_line_with_its_fault_and_others_go_on(world: MemoryWorld) -> None:
    prepared = world.plan(loaded(both(service("kv", replicas='"two"'), service("zk", version='"8.2"'))))
    shown = text.render(prepared.plan)
    assert shown.count("is on hold") == 1
    assert "# service/lab/kv is on hold (specs/lab/services.yaml:6:13: spec.replicas: must be a whole number" in shown
    told = document.render(prepared.plan, KINDS)
    assert {one["service"] for one in told["held_services"]} == {"kv"}
    assert all(one["address"].split("/")[0] in {"volume", "kubernetes", "record"} for one in told["held"])
    assert markdown.render(prepared.plan).count(":no_entry:") == 1
    report = world.apply(prepared)
    assert isinstance(report.outcomes["kubernetes/lab/zk/StatefulSet/default/zk"], Done)


def test_what_must_not_go_yet_keeps_nothing_else_of_its_service(world: MemoryWorld) -> None:
    prepared = world.plan(loaded(both(service("kv", replicas='"two"'), service("zk", replicas=1, version='"8.2"'))))
    volume = "volume/lab/zk/zk-1/data"
    assert {str(change.id) for change in prepared.plan.changes if change.action == "hold"} >= {volume}
    report = world.apply(prepared)
    assert isinstance(report.outcomes["kubernetes/lab/zk/StatefulSet/default/zk"], Done)
    assert not any(step.op == "delete" for step in world.engine.did)
    assert {str(id) for id in world.engine.held["zk"]} >= {volume}
    mended = both(service("kv"), service("zk", replicas=1, version='"8.2"'))
    after = world.plan(desired(mended))
    assert {change.action for change in after.plan.changes if str(change.id) == volume} == {"forget"}
    assert world.apply(after).ok


def test_a_new_namespace_comes_though_that_of_a_held_service_is_declared_no_more() -> None:
    world = MemoryWorld()
    assert world.converge(both(service("kv", namespace="old"), service("zk"))).ok
    broken = loaded(both(service("kv", namespace="old", replicas='"two"'), service("zk") + "---\n" + service("new", namespace="fresh")))
    report = world.apply(world.plan(broken))
    assert isinstance(report.outcomes["kubernetes/lab/-/Namespace/-/fresh"], Done)
    assert isinstance(report.outcomes["kubernetes/lab/new/StatefulSet/fresh/new"], Done)
    assert world.cluster.get(kubernetes.KINDS["Namespace"], "old")


def test_the_same_world_gives_the_same_words_twice(world: MemoryWorld) -> None:
    broken = loaded(both(service("kv", replicas='"two"'), service("zk", version='"8.2"')))
    assert text.render(world.plan(broken).plan) == text.render(world.plan(broken).plan)


def test_a_repository_that_does_not_tell_everything_removes_nothing(world: MemoryWorld) -> None:
    partly = replace(desired(service("kv")), lost="the clone is shallow")
    prepared = world.plan(partly)
    assert not removing(prepared)
    reasons = {change.reason for change in prepared.plan.changes if change.stack == "zk"}
    assert reasons == {"no longer declared, but the clone is shallow; nothing is removed meanwhile"}


def test_a_moved_file_is_the_same_service(world: MemoryWorld) -> None:
    prepared = world.plan(desired(both(service("kv"), service("zk")), "elsewhere/moved.yaml"))
    assert not prepared.plan.acting


def test_a_renamed_service_keeps_its_data_and_goes_only_once_its_successor_is_there(world: MemoryWorld) -> None:
    prepared = world.plan(desired(both(service("kv"), service("queue"))))
    assert {change.action for change in prepared.plan.changes if change.id.kind == "volume" and change.stack == "zk"} == {"forget"}
    order = [change.stack for change in prepared.plan.acting]
    assert order.index("queue") < order.index("zk")


def test_renaming_the_only_service_asks() -> None:
    world = MemoryWorld()
    assert world.converge(service("kv", replicas=1)).ok
    prepared = world.plan(desired(service("queue", replicas=1)))
    with pytest.raises(errors.UnsafePlanError, match="removes everything there is"):
        plan.guard(prepared.plan, Guard())


def test_removing_the_only_service_asks_whatever_the_limits_are() -> None:
    world = MemoryWorld()
    assert world.converge(service("kv", replicas=1)).ok
    with pytest.raises(errors.UnsafePlanError, match="removes everything there is"):
        plan.guard(world.plan(desired("")).plan, Guard(max_deletes=1000, max_delete_percent=100))


def test_a_protected_service_outlives_the_deletion_of_its_file() -> None:
    world = MemoryWorld()
    assert world.converge(both(service("kv", protect="true"), service("zk"))).ok
    prepared = world.plan(desired(service("zk", version='"8.2"')))
    assert of(prepared, "kv") == {"refuse"}
    assert of(prepared, "zk") == {"keep", "update"}
    reasons = {change.reason for change in prepared.plan.changes if change.stack == "kv"}
    assert reasons == {f"no longer declared, but it is protected; {protect.LIFT}"}
    assert "record" in {change.id.kind for change in prepared.plan.changes if change.action == "refuse"}  # which carries no tags
    report = world.apply(prepared)
    assert isinstance(report.outcomes["kubernetes/lab/zk/StatefulSet/default/zk"], Done)
    assert of(world.plan(desired(service("zk", version='"8.2"'))), "kv") == {"refuse"}


def test_protection_is_lifted_by_one_commit_and_used_by_the_next() -> None:
    world = MemoryWorld()
    assert world.converge(both(service("kv", protect="true"), service("zk"))).ok
    lifted = both(service("kv"), service("zk"))
    prepared = world.plan(desired(lifted))
    assert of(prepared, "kv") == {"keep", "update"}
    assert not any(change.impact for change in prepared.plan.changes)  # nobody restarts for it
    assert world.apply(prepared).ok
    assert not world.plan(desired(lifted)).plan.acting
    gone = world.plan(desired(service("zk")))
    assert of(gone, "kv") == {"delete", "forget"}


def test_what_a_protected_service_gives_up_is_refused_as_well() -> None:
    world = MemoryWorld()
    assert world.converge(both(service("kv", protect="true"), service("zk"))).ok
    prepared = world.plan(desired(both(service("kv", protect="true", replicas=1), service("zk"))))
    refused = {change.id.name for change in prepared.plan.changes if change.action == "refuse"}
    assert "kv-1/data" in refused
    assert "kv-1.db.internal" in refused


def test_lifting_and_removing_in_one_commit_is_refused() -> None:
    world = MemoryWorld()
    assert world.converge(both(service("kv", protect="true"), service("zk"))).ok
    prepared = world.plan(desired(both(service("kv", protect="false", replicas=1), service("zk"))))
    assert "refuse" in of(prepared, "kv")


def test_the_engine_s_record_protects_where_somebody_took_the_tags_off() -> None:
    world = MemoryWorld()
    assert world.converge(both(service("kv", protect="true"), service("zk"))).ok
    for volume in world.cloud.ec2.volumes.values():
        volume["Tags"] = [tag for tag in volume["Tags"] if tag["Key"] != "reconciler/protected"]
    for kind in kubernetes.OBSERVED:
        for one in tuple(world.cluster.list(kind)):
            patch = {"metadata": {"annotations": {"reconciler/protected": None}}}
            world.cluster.patch(kind, one["metadata"]["name"], patch, namespace=one["metadata"].get("namespace", ""))
    prepared = world.plan(desired(service("zk")))
    assert of(prepared, "kv") == {"refuse"}


def test_an_unreadable_kind_removes_nothing_at_all(world: MemoryWorld) -> None:
    world.cloud.fail("list_resource_record_sets", errors.TransientError("timed out"))
    assert not removing(world.plan(desired(service("kv"))))
