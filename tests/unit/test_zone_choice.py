"""Which of several hosted zones of one name serves an environment."""

from __future__ import annotations

from typing import Any

import pytest

from providers import marked, zones
from providers.memory import MemoryCloud
from reconciler.members import read
from reconciler.model.address import parse
from reconciler.model.environment import Environment
from reconciler.resources import baseline, marks
from reconciler.resources import cloud as declared
from tests.memory_world import MemoryWorld, desired

KV = """\
apiVersion: reconciler/v1
kind: Service
metadata: {name: kv}
spec: {type: redis, replicas: 1, volumes: {data: {size: 1Gi}}}
"""


def environment(*, private: bool = True, vpc: str = "vpc-1") -> Environment:
    told = {"name": "lab", "zones": ("us-east-1a",), "aws": {"vpc": vpc or None}, "dns": {"zone": "db.internal", "private": private}}
    return Environment.model_validate(told)


def make(cloud: MemoryCloud, name: str = "DB.Internal.", vpc: str = "") -> str:
    network: dict[str, Any] = {"VPC": {"VPCId": vpc}} if vpc else {}
    reference = f"{name} {len(cloud.route53.zones)}"
    made = cloud.call("route53", "create_hosted_zone", Name=name, CallerReference=reference, **network)
    return zones.bare(made["HostedZone"]["Id"])


@pytest.fixture
def cloud() -> MemoryCloud:
    return MemoryCloud()


def test_a_public_zone_of_the_name_is_not_taken_for_a_private_one_nor_the_other_way_round(cloud: MemoryCloud) -> None:
    public, private = make(cloud), make(cloud, vpc="vpc-1")
    assert zones.ids(cloud, environment()) == [private]
    assert zones.ids(cloud, environment(private=False)) == [public]


def test_a_name_that_only_begins_alike_is_another(cloud: MemoryCloud) -> None:
    make(cloud, "a.db.internal", vpc="vpc-1")
    make(cloud, "db.internal.example", vpc="vpc-1")
    assert zones.ids(cloud, environment()) == []


def test_of_two_private_zones_that_of_its_own_network_serves(cloud: MemoryCloud) -> None:
    make(cloud, vpc="vpc-2")
    own = make(cloud, vpc="vpc-1")
    assert zones.ids(cloud, environment()) == [own]
    assert read.hosted_zone(cloud, environment()) == own


def test_a_private_zone_of_another_network_does_not_serve(cloud: MemoryCloud) -> None:
    """Else one environment would write its names into the zone of another, where nobody of its own network finds them."""
    make(cloud, vpc="vpc-2")
    assert zones.ids(cloud, environment()) == []


def test_a_zone_of_ours_that_was_taken_out_of_its_network_is_still_ours(cloud: MemoryCloud) -> None:
    zone = make(cloud, vpc="vpc-2")
    tags = marked.written(marks.tags(declared.zone_id(environment()), "-", {}))
    cloud.call("route53", "change_tags_for_resource", ResourceType="hostedzone", ResourceId=zone, AddTags=tags)
    assert zones.ids(cloud, environment()) == [zone]


def test_without_a_network_to_go_by_all_of_the_name_are_shown(cloud: MemoryCloud) -> None:
    both = {make(cloud, vpc="vpc-2"), make(cloud, vpc="vpc-1")}
    assert set(zones.ids(cloud, environment(vpc=""))) == both


def test_the_networks_that_others_put_a_zone_into_are_told_to_the_engine_and_are_no_change() -> None:
    world = MemoryWorld()
    assert world.converge(KV).ok
    (zone,) = world.cloud.route53.zones
    other = {"VPCId": "vpc-2", "VPCRegion": "eu-west-1"}
    world.cloud.call("route53", "associate_vpc_with_hosted_zone", HostedZoneId=zone, VPC=other)
    again = world.plan(desired(KV))
    assert not again.plan
    told = again.desired.resources[parse("zone/lab/db.internal")]
    assert (told.fields["vpc"], told.fields[baseline.OTHERS]) == ("vpc-1", ["vpc-2/eu-west-1"])


def test_a_zone_that_was_taken_out_of_its_network_comes_back_to_it_and_stays_in_the_other() -> None:
    world = MemoryWorld()
    assert world.converge(KV).ok
    (zone,) = world.cloud.route53.zones
    world.cloud.route53.zones[zone]["VPCs"] = [{"VPCId": "vpc-2", "VPCRegion": "eu-west-1"}]
    assert [str(change.id) for change in world.plan(desired(KV)).plan.changes if change.acts] == ["zone/lab/db.internal"]
    assert world.converge(KV).ok
    assert {one["VPCId"] for one in world.cloud.route53.zones[zone]["VPCs"]} == {"vpc-1", "vpc-2"}
