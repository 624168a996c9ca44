"""What the engine's state says was declared: each kind recalls from the engine's inputs what it was given, in the words of specs."""

from __future__ import annotations

from typing import Any

from providers import recorded
from reconciler import kinds
from reconciler.model.address import ResourceId, parse
from reconciler.model.value import Fields
from reconciler.ports import Payload

KINDS = kinds.kinds()


def recall(id: ResourceId, inputs: Payload) -> Fields:
    return KINDS[id.kind].recall(inputs)


def one(type_: str, address: str, inputs: dict[str, Any], **others: Any) -> dict[str, Any]:
    return {"urn": f"urn:pulumi:lab.kv::reconciler::{type_}::{address}", "inputs": inputs, **others}


def fields(address: str, type_: str, inputs: dict[str, Any]) -> Fields:
    return recorded.recorded({"resources": [one(type_, address, inputs)]}, recall)[parse(address)].fields


def test_a_volume_has_its_size_in_gibibytes_again() -> None:
    inputs = {"availabilityZone": "us-east-1c", "encrypted": True, "finalSnapshot": False, "size": 34, "tags": {"a": "b"}, "type": "gp3"}
    told = fields("volume/lab/kv/kv-0/data", "aws:ebs/volume:Volume", inputs)
    assert told == {"size": "34Gi", "type": "gp3", "zone": "us-east-1c", "encrypted": True, "tags": {"a": "b"}}


def test_records_interfaces_addresses_and_zones_by_their_own_names() -> None:
    record = {"allowOverwrite": True, "name": "kv-0.db.internal", "records": ["10.0.0.5"], "ttl": 9, "type": "A", "zoneId": "Z1"}
    told = fields("record/lab/kv-0.db.internal", "aws:route53/record:Record", record)
    assert told == {"zone": "Z1", "type": "A", "ttl": 9, "values": ["10.0.0.5"]}
    card = {"description": "x", "securityGroups": ["sg-1"], "sourceDestCheck": True, "subnetId": "subnet-1", "tags": {}}
    told = fields("interface/lab/kv/kv-0", "aws:ec2/networkInterface:NetworkInterface", card)
    assert told == {"subnet": "subnet-1", "security_groups": ["sg-1"], "tags": {}}
    told = fields("address/lab/kv/kv-0", "aws:ec2/eip:Eip", {"domain": "vpc", "networkInterface": "eni-1", "tags": {}})
    assert told == {"interface": "eni-1", "tags": {}}
    zone = {"comment": "x", "forceDestroy": False, "name": "db.internal", "tags": {}, "vpcs": [{"vpcId": "vpc-1"}]}
    assert fields("zone/lab/db.internal", "aws:route53/zone:Zone", zone)["name"] == "db.internal"


def test_an_object_is_its_manifest_without_what_is_encrypted() -> None:
    secret = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "v1:…"}
    inputs = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "kv"}, "data": {"password": secret}}
    told = fields("kubernetes/lab/kv/Secret/default/kv", "kubernetes:core/v1:Secret", inputs)
    assert told == {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "kv"}, "data": {}}


def test_it_says_what_the_engine_would_not_let_go_of_and_leaves_out_what_is_not_declared() -> None:
    stack = {"urn": "urn:pulumi:lab.kv::reconciler::pulumi:pulumi:Stack::reconciler-lab.kv"}
    kept = one("aws:ebs/volume:Volume", "volume/lab/kv/kv-0/data", {"size": 1}, protect=True)
    found = recorded.recorded({"resources": [stack, kept]}, recall)
    assert [(str(id), told.protected) for id, told in found.items()] == [("volume/lab/kv/kv-0/data", True)]
