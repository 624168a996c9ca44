"""The engine's record as a document, and what is struck out of it."""

from __future__ import annotations

from typing import Any

from providers.memory import MemoryEngine
from providers.pulumi import deployment
from reconciler.model.address import ResourceId
from tests.memory_world import MemoryWorld, desired

A, B = (ResourceId("volume", "lab", "kv", f"kv-{n}/data") for n in range(2))
KV = """\
apiVersion: reconciler/v1
kind: Service
metadata: {name: kv}
spec: {type: redis, replicas: 1, volumes: {data: {size: 1Gi}}}
"""


def urn(id: ResourceId) -> str:
    return f"urn:pulumi:lab.kv::reconciler::aws:ebs/volume:Volume::{id}"


def test_nothing_that_stays_refers_to_what_was_struck_out() -> None:
    root = {"urn": "urn:pulumi:lab.kv::reconciler::pulumi:pulumi:Stack::reconciler-lab.kv"}
    other: dict[str, Any] = {
        "urn": urn(B),
        "dependencies": [urn(A), root["urn"]],
        "propertyDependencies": {"size": [urn(A)], "tags": None},
        "deletedWith": urn(A),
        "inputs": {"password": {"4dabf18193072939515e22adb298388d": "sealed", "ciphertext": "v1:x"}},
    }
    before = {
        "manifest": {"magic": "m"},
        "resources": [root, {"urn": urn(A)}, {"urn": urn(A), "delete": True}, other],
        "pending_operations": [{"type": "updating", "resource": {"urn": urn(A)}}, {"type": "creating", "resource": {"urn": urn(B)}}],
    }
    left = deployment.without(before, [A])
    assert [one["urn"] for one in left["resources"]] == [root["urn"], urn(B)]
    assert left["resources"][1] == {
        "urn": urn(B),
        "dependencies": [root["urn"]],
        "propertyDependencies": {"size": [], "tags": []},
        "inputs": other["inputs"],
    }
    assert [one["resource"]["urn"] for one in left["pending_operations"]] == [urn(B)]
    assert left["manifest"] == {"magic": "m"}
    assert deployment.without(left, [A]) == left


def test_what_was_only_under_way_is_struck_out_too() -> None:
    under_way = {"type": "creating", "resource": {"urn": urn(A)}}
    assert deployment.without({"resources": [], "pending_operations": [under_way]}, [A])["pending_operations"] == []


def test_what_was_deleted_to_be_replaced_is_only_still_to_be_made() -> None:
    replaced, leaning = {"urn": urn(A), "pendingReplacement": True}, {"urn": urn(B), "dependencies": [urn(A)]}
    under_way = {"type": "creating", "resource": {"urn": urn(A)}}
    before = {"resources": [replaced, leaning], "pending_operations": [under_way]}
    assert deployment.settled(before) == {"resources": [{"urn": urn(B), "dependencies": []}], "pending_operations": []}


def test_the_memory_engine_forgets_as_the_real_one_does() -> None:
    world = MemoryWorld()
    world.converge(KV)
    engine: MemoryEngine = world.engine
    volume = ResourceId("volume", "lab", "kv", "kv-0/data")
    live = dict(world.cloud.ec2.volumes)
    engine.unsure.add(volume)
    engine.forget("lab", "kv", [volume])
    engine.forget("lab", "kv", [volume])
    assert volume not in engine.stacks("lab")["kv"]
    assert engine.pending("lab") == frozenset()
    assert world.cloud.ec2.volumes == live
    again = world.plan(desired(KV)).plan
    assert {change.id: change.action for change in again.acting} == {volume: "adopt"}
    engine.forget("lab", "kv", engine.stacks("lab")["kv"])
    assert "kv" not in engine.held
