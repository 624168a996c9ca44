"""How AWS's answers are seen, compared and judged. Payloads are written after the API reference's own examples."""

from datetime import UTC, datetime
from typing import Any

import pytest

from reconciler import kinds
from reconciler.diff import Context, diff
from reconciler.model.address import ResourceId, parse
from reconciler.model.change import Change
from reconciler.model.desired import Desired
from reconciler.model.environment import Environment
from reconciler.model.observation import Observation, gather
from reconciler.model.origin import Origin, Revision
from reconciler.model.resource import Resource
from reconciler.model.value import Fields, Ref

KINDS = kinds.kinds()
ENVIRONMENT = Environment(name="lab", zones=("us-east-1a",))


def tags(address: str, **more: str) -> list[dict[str, str]]:
    marks = {"reconciler/environment": "lab", "reconciler/service": "kv", "reconciler/address": address}
    return [{"Key": key.replace("__", "/"), "Value": value} for key, value in {**marks, **more}.items()]


DISK = "volume/lab/kv/kv-0/data"
VOLUME: dict[str, Any] = {
    "Attachments": [
        {
            "AttachTime": datetime(2026, 1, 2, tzinfo=UTC),
            "InstanceId": "i-1",
            "VolumeId": "vol-1",
            "State": "attached",
            "Device": "/dev/sdf",
        }
    ],
    "AvailabilityZone": "us-east-1a",
    "CreateTime": datetime(2026, 1, 1, tzinfo=UTC),
    "Encrypted": True,
    "KmsKeyId": "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    "Size": 100,
    "SnapshotId": "",
    "State": "in-use",
    "VolumeId": "vol-1",
    "Iops": 3000,
    "Throughput": 125,
    "VolumeType": "gp3",
    "MultiAttachEnabled": False,
    "Tags": [*tags(DISK), {"Key": "aws:backup:source-resource", "Value": "x"}],
}
INTERFACE: dict[str, Any] = {
    "Attachment": {"AttachmentId": "eni-attach-1", "DeviceIndex": 1, "InstanceId": "i-1", "Status": "attached"},
    "AvailabilityZone": "us-east-1a",
    "Description": "interface/lab/zk/zk-0",
    "Groups": [{"GroupName": "b", "GroupId": "sg-b"}, {"GroupName": "a", "GroupId": "sg-a"}],
    "InterfaceType": "interface",
    "MacAddress": "02:2f:8f:b0:cf:75",
    "NetworkInterfaceId": "eni-1",
    "PrivateIpAddress": "10.0.2.17",
    "Status": "in-use",
    "SubnetId": "subnet-1",
    "TagSet": tags("interface/lab/zk/zk-0"),
}
ADDRESS: dict[str, Any] = {
    "AllocationId": "eipalloc-1",
    "AssociationId": "eipassoc-1",
    "Domain": "vpc",
    "NetworkInterfaceId": "eni-1",
    "PrivateIpAddress": "10.0.2.17",
    "PublicIp": "203.0.113.12",
    "Tags": tags("address/lab/zk/zk-0"),
}
ZONE: dict[str, Any] = {
    "HostedZone": {"Id": "/hostedzone/Z1", "Name": "DB.internal.", "CallerReference": "c", "Config": {"PrivateZone": True}},
    "VPCs": [{"VPCRegion": "us-east-1", "VPCId": "vpc-1"}],
    "Tags": tags("zone/lab/db.internal", reconciler__service="-"),
}
ZONE_ATTRIBUTES = {"zone_id": "Z1", "networks": "vpc-1/us-east-1"}
RECORD: dict[str, Any] = {
    "Name": "KV-0.db.internal.",
    "Type": "A",
    "TTL": 300,
    "ResourceRecords": [{"Value": "10.0.0.2"}, {"Value": "10.0.0.1"}],
    "HostedZoneId": "Z1",
}


def view(kind: str, payload: dict[str, Any], **changed: Any) -> Observation:
    return KINDS[kind].view({**payload, **changed}, "lab")


def judged(address: str, fields: Fields, live: Observation, **more: Any) -> Change:
    """What diff makes of *fields* declared at *address* against *live*."""
    resource = Resource(parse(address), fields, "kv", origin=Origin("services/kv.yaml", 12, 11), **more)
    desired = Desired(ENVIRONMENT, Revision("c", "t", "lab"), resources={resource.id: resource})
    (change,) = diff(desired, gather([live], {}), Context(KINDS))
    return change


def disk(**fields: Any) -> dict[str, Any]:
    return {"size": "100Gi", "type": "gp3", "zone": "us-east-1a", "encrypted": True, **fields}


def test_a_volume_is_seen_as_it_would_be_declared() -> None:
    seen = view("volume", VOLUME)
    assert seen.id == ResourceId("volume", "lab", "kv", "kv-0/data")
    assert seen.fields == {
        "size": "100Gi",
        "type": "gp3",
        "zone": "us-east-1a",
        "encrypted": True,
        "iops": 3000,
        "throughput": 125,
        "kms_key": VOLUME["KmsKeyId"],
        "tags": {"reconciler/environment": "lab", "reconciler/service": "kv", "reconciler/address": DISK},
    }
    assert seen.attributes == {"id": "vol-1", "zone": "us-east-1a", "state": "in-use", "instance": "i-1"}
    assert (seen.live_id, seen.marked, seen.stack, seen.retained) == ("vol-1", True, "kv", "")
    assert seen.since == "2026-01-01T00:00:00+00:00"


def test_a_retained_volume_says_which_commit_kept_it() -> None:
    assert view("volume", VOLUME, Tags=tags(DISK, reconciler__retained="9f2c11a")).retained == "9f2c11a"


@pytest.mark.parametrize(
    "wrong",
    [
        [{"Key": "reconciler/environment", "Value": "lab"}],
        tags("no address"),
        tags("volume/other/kv/kv-0/data"),
        tags("interface/lab/kv/kv-0"),
    ],
    ids=["none", "no address", "another environment", "another kind"],
)
def test_a_volume_that_claims_no_address_of_ours_is_unmarked_and_in_nobodys_way(wrong: list[dict[str, str]]) -> None:
    seen = view("volume", VOLUME, Tags=wrong)
    assert not seen.marked
    assert str(seen.id) == "volume/lab/-/-/vol-1"


def test_what_is_as_declared_is_kept_whatever_aws_fills_in() -> None:
    change = judged(DISK, disk(size="102400Mi", tags={"reconciler/service": "kv"}), view("volume", VOLUME))
    assert (change.action, change.fields) == ("keep", ())


def test_a_key_is_compared_by_its_own_id() -> None:
    assert judged(DISK, disk(kms_key="1234abcd-12ab-34cd-56ef-1234567890ab"), view("volume", VOLUME)).action == "keep"
    assert judged(DISK, disk(kms_key="alias/data"), view("volume", VOLUME)).action == "keep"
    assert judged(DISK, disk(kms_key="another"), view("volume", VOLUME)).action == "refuse"


@pytest.mark.parametrize("change", [{"size": "200Gi"}, {"type": "io2"}, {"iops": 4000}, {"throughput": 250}, {"tags": {"team": "db"}}])
def test_a_volume_grows_and_changes_in_place(change: dict[str, Any]) -> None:
    assert judged(DISK, disk(**change), view("volume", VOLUME)).action == "update"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"size": "50Gi"}, "services/kv.yaml:12:11: size 100Gi -> 50Gi: a volume cannot shrink"),
        ({"zone": "us-east-1b"}, "services/kv.yaml:12:11: zone us-east-1a -> us-east-1b: a volume cannot leave its zone"),
        ({"encrypted": False}, "a volume keeps its encryption and key"),
    ],
)
def test_what_would_cost_the_data_is_refused(change: dict[str, Any], reason: str) -> None:
    found = judged(DISK, disk(**change), view("volume", VOLUME))
    assert found.action == "refuse"
    assert reason in found.reason


def test_an_interface_is_seen_with_its_address_and_place() -> None:
    seen = view("interface", INTERFACE)
    assert seen.id == ResourceId("interface", "lab", "zk", "zk-0")
    assert (seen.fields["subnet"], seen.fields["security_groups"]) == ("subnet-1", ["sg-b", "sg-a"])
    assert seen.attributes == {
        "id": "eni-1",
        "private_ip": "10.0.2.17",
        "mac_address": "02:2f:8f:b0:cf:75",
        "zone": "us-east-1a",
        "status": "in-use",
        "instance": "i-1",
        "attachment": "eni-attach-1",
    }


def test_why_the_account_encrypts_against_the_spec_is_told() -> None:
    refused = judged(DISK, disk(encrypted=False), view("volume", VOLUME))
    assert (refused.action, "say encrypted: true where it is the account that encrypts by default" in refused.reason) == ("refuse", True)


@pytest.mark.parametrize("path", ["size", "type", "iops", "throughput"])
def test_what_ebs_modifies_spends_its_budget_and_nothing_else_does(path: str) -> None:
    resource = Resource(parse(DISK), disk(), "kv")
    assert KINDS["volume"].policy(resource, (path,)).spends
    assert not any(KINDS["volume"].policy(resource, other).spends for other in (("tags", "team"), ("tags",), ("kms_key",), ("zone",)))


def test_an_alias_of_a_key_is_no_change_whatever_key_is_behind_it() -> None:
    alias = "arn:aws:kms:us-east-1:123456789012:alias/data"
    assert judged(DISK, disk(kms_key=alias), view("volume", VOLUME)).action == "keep"


@pytest.mark.parametrize(
    "told",
    [
        {"Description": "by hand"},
        {"SourceDestCheck": False},
        {"PrivateIpAddresses": [{"PrivateIpAddress": "10.0.2.17", "Primary": True}, {"PrivateIpAddress": "10.0.2.99", "Primary": False}]},
        {"Attachment": {"AttachmentId": "eni-attach-2", "DeviceIndex": 2, "InstanceId": "i-2", "Status": "attaching"}},
        {"Attachment": None, "Status": "available"},
        {"Groups": list(reversed(INTERFACE["Groups"]))},
        {"Association": {"PublicIp": "203.0.113.12", "AllocationId": "eipalloc-1"}},
        {"InterfaceType": "branch", "Ipv6Addresses": [{"Ipv6Address": "2001:db8::1"}]},
    ],
    ids=lambda told: next(iter(told)),
)
def test_what_members_aws_or_a_person_do_with_an_interface_is_no_drift(told: dict[str, Any]) -> None:
    fields = {"subnet": "subnet-1", "security_groups": ["sg-b", "sg-a"]}
    assert judged("interface/lab/zk/zk-0", fields, view("interface", INTERFACE, **told)).action == "keep"


FOLLOWS = {"InstanceId": "i-2", "AssociationId": "eipassoc-2", "PrivateIpAddress": "10.0.2.18", "PublicIp": "203.0.113.13"}


@pytest.mark.parametrize("told", FOLLOWS)
def test_where_an_interface_is_taken_is_no_drift_of_its_address(told: str) -> None:
    """Its association follows: what is declared is the interface, wherever that is attached."""
    assert judged("address/lab/zk/zk-0", {"interface": "eni-1"}, view("address", ADDRESS, **{told: FOLLOWS[told]})).action == "keep"


def test_security_groups_are_a_set() -> None:
    seen = view("interface", INTERFACE)
    address = "interface/lab/zk/zk-0"
    assert judged(address, {"subnet": "subnet-1", "security_groups": ["sg-a", "sg-b"]}, seen).action == "keep"
    assert judged(address, {"subnet": "subnet-1", "security_groups": ["sg-a"]}, seen).action == "update"
    assert judged(address, {"subnet": "subnet-1", "security_groups": []}, seen).action == "keep"  # AWS has chosen
    assert judged(address, {"subnet": "subnet-2", "security_groups": ["sg-a", "sg-b"]}, seen).action == "refuse"


def test_an_address_knows_its_interface() -> None:
    seen = view("address", ADDRESS)
    assert seen.attributes == {"id": "eipalloc-1", "public_ip": "203.0.113.12", "association": "eipassoc-1"}
    own = "address/lab/zk/zk-0"
    assert judged(own, {"interface": "eni-1"}, seen).action == "keep"
    assert judged(own, {"interface": "eni-2"}, seen).action == "update"
    free = {name: value for name, value in ADDRESS.items() if name not in {"NetworkInterfaceId", "AssociationId"}}
    assert judged(own, {"interface": "eni-1"}, view("address", free)).action == "update"
    assert judged(own, {"interface": Ref(ResourceId("interface", "lab", "zk", "zk-0"), "id")}, seen).action == "update"  # not live yet


def test_a_zone_is_seen_by_its_name_and_network() -> None:
    seen = view("zone", ZONE)
    assert (str(seen.id), seen.live_id, seen.attributes) == ("zone/lab/db.internal", "Z1", ZONE_ATTRIBUTES)
    assert (seen.marked, seen.stack) == (True, "-")
    assert judged("zone/lab/db.internal", {"name": "db.internal", "vpc": "vpc-1"}, seen).action == "keep"


def test_a_zone_that_others_made_serves_as_it_is() -> None:
    seen = view("zone", ZONE, Tags=[])
    assert not seen.marked
    change = judged("zone/lab/db.internal", {"name": "db.internal", "tags": {"a": "b"}}, seen, shared=True)
    assert change.action == "keep"


def test_a_record_is_seen_by_its_plain_name() -> None:
    seen = view("record", RECORD)
    assert str(seen.id) == "record/lab/kv-0.db.internal"
    assert seen.fields == {"zone": "Z1", "type": "A", "ttl": 300, "values": ["10.0.0.2", "10.0.0.1"]}
    assert (seen.live_id, seen.marked) == ("Z1_kv-0.db.internal_A", False)
    assert str(view("record", RECORD, Name="\\052.db.internal.").id) == "record/lab/*.db.internal"


@pytest.mark.parametrize(
    ("fields", "action"),
    [
        ({"ttl": 300, "values": ["10.0.0.1", "10.0.0.2"]}, "keep"),
        ({"ttl": 300}, "keep"),  # its value follows a Pod and is others' to write
        ({"ttl": 5}, "update"),
        ({"values": ["10.0.0.1"]}, "update"),
        ({"type": "CNAME"}, "refuse"),
        ({"zone": "Z2"}, "replace"),
    ],
)
def test_records_are_compared_by_what_they_mean(fields: dict[str, Any], action: str) -> None:
    declared = {"zone": "Z1", "type": "A", **fields}
    assert judged("record/lab/kv-0.db.internal", declared, view("record", RECORD)).action == action


def test_an_alias_has_neither_values_nor_ttl() -> None:
    alias = {"Name": "kv-0.db.internal.", "Type": "A", "HostedZoneId": "Z1", "AliasTarget": {"DNSName": "x.", "HostedZoneId": "Z9"}}
    change = judged("record/lab/kv-0.db.internal", {"type": "A", "ttl": 5, "values": ["10.0.0.1"]}, view("record", alias))
    assert change.action == "update"


ALIAS = {
    "Name": "api.db.internal.",
    "Type": "A",
    "HostedZoneId": "Z1",
    "AliasTarget": {"DNSName": "Lb-1.ELB.amazonaws.com.", "HostedZoneId": "/hostedzone/Z35", "EvaluateTargetHealth": True},
}


@pytest.mark.parametrize(
    ("changed", "action"),
    [
        ({}, "keep"),
        ({"name": "LB-1.elb.amazonaws.com."}, "keep"),
        ({"zone": "Z35"}, "keep"),
        ({"name": "lb-2.elb.amazonaws.com"}, "update"),
        ({"zone": "Z36"}, "update"),
        ({"health": False}, "update"),
    ],
)
def test_an_alias_is_compared_by_where_it_leads(changed: dict[str, Any], action: str) -> None:
    alias = {"name": "lb-1.elb.amazonaws.com", "zone": "/hostedzone/Z35", "health": True, **changed}
    change = judged("record/lab/api.db.internal", {"zone": "Z1", "type": "A", "alias": alias}, view("record", ALIAS))
    assert change.action == action


def test_values_in_the_place_of_an_alias_are_an_update_and_so_is_an_alias_in_theirs() -> None:
    alias: Fields = {"name": "lb-1.elb.amazonaws.com", "zone": "Z35", "health": True}
    assert judged("record/lab/kv-0.db.internal", {"type": "A", "alias": alias}, view("record", RECORD)).action == "update"
    assert judged("record/lab/api.db.internal", {"type": "A", "ttl": 5, "values": ["10.0.0.1"]}, view("record", ALIAS)).action == "update"


def test_a_set_of_others_is_no_simple_record() -> None:
    seen = view("record", RECORD, SetIdentifier="blue", Weight=10)
    assert seen.fields["type"] == "A of the set blue"
    assert judged("record/lab/kv-0.db.internal", {"type": "A", "values": ["10.0.0.1", "10.0.0.2"]}, seen).action == "refuse"


def test_one_of_several_weighted_records_keeps_its_identifier() -> None:
    seen = view("record", RECORD, SetIdentifier="blue", Weight=10)
    assert seen.live_id == "Z1_kv-0.db.internal_A_blue"


@pytest.mark.parametrize(
    ("kind", "type_"),
    [
        ("volume", "aws_ebs_volume"),
        ("interface", "aws_network_interface"),
        ("address", "aws_eip"),
        ("zone", "aws_route53_zone"),
        ("record", "aws_route53_record"),
    ],
)
def test_terraform_knows_each_kind(kind: str, type_: str) -> None:
    assert KINDS[kind].terraform_type("kv-0") == type_
