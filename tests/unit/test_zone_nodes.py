"""A plan says beforehand which zones have nobody who could run their members, and refuses nothing for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

import pytest

from reconciler import kinds, loop
from reconciler.members.live import Node
from reconciler.members.member import declared
from reconciler.members.zones import warnings
from reconciler.model.plan import Plan
from reconciler.model.service import Service
from reconciler.render import document, markdown, text
from tests.memory_world import ENVIRONMENT as DOCUMENT
from tests.memory_world import KINDS, MemoryWorld, desired
from tests.unit.member_world import ENVIRONMENT

KV = Service(name="kv", type="redis", namespace="default", replicas=2, volumes={"data": {"size": "1Gi"}})
MEMBERS = declared([KV], ENVIRONMENT, kinds.service_types())  # in zones us-east-1a and us-east-1b
A1, B1 = Node("a1", zone="us-east-1a"), Node("b1", zone="us-east-1b")
SPEC = """\
apiVersion: reconciler/v1
kind: Service
metadata: {name: kv}
spec: {type: redis, replicas: 2, volumes: {data: {size: 2Gi}}}
"""


@pytest.mark.parametrize(
    ("reason", "nodes", "said"),
    [
        ("every zone has one", [A1, B1], []),
        ("one is cordoned, the other takes Pods", [A1, B1, replace(B1, name="b2", schedulable=False)], []),
        ("a zone has none", [A1], ["zone us-east-1b has no node: kv-1 will wait for one"]),
        (
            "none that is ready",
            [A1, replace(B1, ready=False), replace(B1, name="b2", schedulable=False)],
            ["zone us-east-1b has no node that is ready and takes Pods (of 2): kv-1 will wait for one"],
        ),
    ],
)
def test_a_zone_without_a_node_is_named_with_its_members(reason: str, nodes: list[Node], said: list[str]) -> None:
    assert list(warnings(MEMBERS, {one.name: one for one in nodes})) == said, reason


def test_of_many_members_some_are_named() -> None:
    many = declared([KV.model_copy(update={"replicas": 14})], ENVIRONMENT, kinds.service_types())
    assert list(warnings(many, {"a1": A1})) == ["zone us-east-1b has no node: kv-1, kv-3, kv-5, kv-7, kv-9 and 2 more will wait for one"]
    assert list(warnings([replace(one, stopped=True) for one in many], {})) == []


def planned(nodes: Mapping[str, Node] | None, world: MemoryWorld) -> Plan:
    wanted = desired(DOCUMENT + "---\n" + SPEC)
    return loop.prepare(replace(world.world(wanted.environment), nodes=lambda: nodes), wanted).plan


def test_the_plan_says_so_in_every_form_and_is_the_same_plan() -> None:
    world = MemoryWorld()
    warned = planned({"a1": A1}, world)
    line = "zone us-east-1b has no node: kv-1 will wait for one"
    assert f"\nWarning: {line}.\n" in text.render(warned)
    assert f"- :warning: {line}\n" in markdown.render(warned)
    assert json.loads(json.dumps(document.render(warned, KINDS)))["warnings"] == [line]
    assert warned == planned(None, world), "what could not be read is nothing to warn of"
