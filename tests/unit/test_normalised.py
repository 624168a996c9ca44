"""Whatever AWS makes of what was declared — case, dots, order, escapes, defaults, whatever it adds — is no change. By property.

`spelt` is a world's answer to the declared resource as AWS might give it; `judge` is the whole way through the kind and the diff.
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from providers.memory import disk
from reconciler import kinds
from reconciler.diff import Context, diff
from reconciler.model.address import ResourceId
from reconciler.model.change import Change
from reconciler.model.desired import Desired
from reconciler.model.environment import Environment
from reconciler.model.observation import gather
from reconciler.model.origin import Revision
from reconciler.model.resource import Resource
from reconciler.model.value import Value
from reconciler.resources import marks

KINDS = kinds.kinds()
ENVIRONMENT = Environment(name="lab", zones=("us-east-1a",))
LABELS = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=8)
NAMES = st.lists(LABELS, min_size=2, max_size=4).map(".".join)
TAGS = st.dictionaries(
    st.text(string.ascii_letters + " +-=._:@", min_size=1, max_size=12), st.text(string.printable[:62], max_size=10), max_size=4
)
ADDED = st.dictionaries(
    st.sampled_from(["aws:cloudformation:stack-name", "backup", "Owner", "kubernetes.io/created-for"]), LABELS, max_size=3
)
IPV4 = st.ip_addresses(v=4).map(str)
ZONE_ID = st.text(string.ascii_uppercase + string.digits, min_size=5, max_size=14).map("Z{}".format)


def judged(id: ResourceId, fields: Mapping[str, Value], payload: Mapping[str, Any]) -> Change:
    """What the diff makes of *fields* declared at *id*, when AWS answers *payload*."""
    live = KINDS[id.kind].view(payload, "lab")
    assert live.id == id
    resource = Resource(id, fields, "kv")
    (change,) = diff(Desired(ENVIRONMENT, Revision("c", "t", "lab"), resources={id: resource}), gather([live], {}), Context(KINDS))
    return change


def listed(draw: st.DrawFn, tags: Mapping[str, str]) -> list[dict[str, str]]:
    """*tags* as AWS lists them, in any order, with others' among them."""
    added = {name: value for name, value in draw(ADDED).items() if name not in tags}
    return draw(st.permutations([{"Key": key, "Value": value} for key, value in {**added, **tags}.items()]))


def spelt(draw: st.DrawFn, name: str) -> str:
    """A domain name in one of the forms that Route53 takes and gives."""
    cased = "".join(draw(st.sampled_from([char.upper(), char])) for char in name)
    escaped = "".join(f"\\{ord(char):03o}" if char.isalpha() and draw(st.integers(0, 9)) == 0 else char for char in cased)
    return escaped + draw(st.sampled_from(["", "."]))


@st.composite
def volumes(draw: st.DrawFn) -> tuple[ResourceId, dict[str, Value], dict[str, Any]]:
    id = ResourceId("volume", "lab", "kv", "kv-0/data")
    kind = draw(st.sampled_from(["gp2", "gp3", "io2", "st1", "standard"]))
    size = draw(st.integers(125, 1000))
    asked: dict[str, Any] = {"VolumeType": kind, "Size": size}
    if kind == "io2" or (kind == "gp3" and draw(st.booleans())):
        asked["Iops"] = draw(st.integers(3000, 16000))
    if kind == "gp3" and draw(st.booleans()):
        asked["Throughput"] = draw(st.integers(125, 750))
    tags = marks.tags(id, "kv", draw(TAGS))
    encrypted = draw(st.booleans())
    fields: dict[str, Value] = {
        "size": draw(st.sampled_from([f"{size}Gi", f"{size * 1024}Mi", str(size << 30)])),
        "type": kind,
        "zone": "us-east-1a",
        "encrypted": encrypted,
        **{name: asked[said] for name, said in (("iops", "Iops"), ("throughput", "Throughput")) if said in asked},
        "tags": tags,
    }
    key = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    if encrypted and draw(st.booleans()):
        fields["kms_key"] = draw(st.sampled_from([key, "arn:aws:kms:us-east-1:111122223333:alias/data"]))
    payload = {
        **disk.shaped(asked),
        "VolumeId": "vol-1",
        "AvailabilityZone": "us-east-1a",
        "State": draw(st.sampled_from(["available", "in-use", "creating"])),
        "CreateTime": datetime(2026, 1, 1, tzinfo=UTC),
        "Encrypted": encrypted,
        **({"KmsKeyId": key} if encrypted else {}),
        "Attachments": draw(st.sampled_from([[], [{"InstanceId": "i-1", "State": "attached"}]])),
        "MultiAttachEnabled": False,
        "SnapshotId": "",
        "Tags": listed(draw, tags),
    }
    return id, fields, payload


@st.composite
def interfaces(draw: st.DrawFn) -> tuple[ResourceId, dict[str, Value], dict[str, Any]]:
    id = ResourceId("interface", "lab", "kv", "kv-0")
    groups = draw(st.lists(LABELS.map("sg-{}".format), unique=True, max_size=4))
    tags = marks.tags(id, "kv", draw(TAGS))
    given_ = groups or ["sg-default"]
    payload = {
        "NetworkInterfaceId": "eni-1",
        "SubnetId": "subnet-1",
        "AvailabilityZone": "us-east-1a",
        "Groups": draw(st.permutations([{"GroupId": group, "GroupName": group} for group in given_])),
        "Description": draw(st.text(max_size=5)),
        "SourceDestCheck": draw(st.booleans()),
        "PrivateIpAddress": "10.0.0.4",
        "PrivateIpAddresses": [
            {"PrivateIpAddress": one, "Primary": one == "10.0.0.4"} for one in ["10.0.0.4", *draw(st.lists(IPV4, max_size=2))]
        ],
        "MacAddress": "02:00:00:00:00:01",
        "Status": draw(st.sampled_from(["available", "in-use", "attaching", "detaching"])),
        **draw(st.sampled_from([{}, {"Attachment": {"AttachmentId": "eni-attach-1", "InstanceId": "i-1", "DeviceIndex": 1}}])),
        "TagSet": listed(draw, tags),
    }
    return id, {"subnet": "subnet-1", "security_groups": groups, "tags": tags}, payload


@st.composite
def addresses(draw: st.DrawFn) -> tuple[ResourceId, dict[str, Value], dict[str, Any]]:
    id = ResourceId("address", "lab", "kv", "kv-0")
    tags = marks.tags(id, "kv", draw(TAGS))
    payload = {
        "AllocationId": "eipalloc-1",
        "PublicIp": draw(IPV4),
        "Domain": "vpc",
        "NetworkInterfaceId": "eni-1",
        "AssociationId": draw(LABELS),
        **draw(st.sampled_from([{}, {"InstanceId": "i-1", "PrivateIpAddress": "10.0.0.4"}])),
        "Tags": listed(draw, tags),
    }
    return id, {"interface": "eni-1", "tags": tags}, payload


@st.composite
def zones(draw: st.DrawFn) -> tuple[ResourceId, dict[str, Value], dict[str, Any]]:
    name = draw(NAMES)
    id = ResourceId("zone", "lab", "", name)
    tags, zone = marks.tags(id, "-", draw(TAGS)), draw(ZONE_ID)
    others = [{"VPCId": f"vpc-{n}", "VPCRegion": "eu-west-1"} for n in range(2, 2 + draw(st.integers(0, 2)))]
    payload = {
        "HostedZone": {
            "Id": draw(st.sampled_from(["", "/hostedzone/"])) + zone,
            "Name": spelt(draw, name),
            "Config": {"PrivateZone": True},
        },
        "VPCs": [{"VPCId": "vpc-1", "VPCRegion": "us-east-1"}, *others],
        "Tags": listed(draw, tags),
    }
    return id, {"name": name, "vpc": "vpc-1", "tags": tags}, payload


@st.composite
def values(draw: st.DrawFn) -> tuple[ResourceId, dict[str, Value], dict[str, Any]]:
    """A record with values: of A the addresses in any order, of CNAME a name in any spelling."""
    name, zone, ttl = draw(NAMES), draw(ZONE_ID), draw(st.integers(0, 86400))
    kind = draw(st.sampled_from(["A", "CNAME"]))
    plain: Sequence[str] = draw(st.lists(IPV4, unique=True, min_size=1, max_size=5)) if kind == "A" else [draw(NAMES)]
    answered = draw(st.permutations(list(plain))) if kind == "A" else [spelt(draw, plain[0])]
    payload = {
        "Name": spelt(draw, name),
        "Type": kind,
        "TTL": ttl,
        "HostedZoneId": zone,
        "ResourceRecords": [{"Value": one} for one in answered],
    }
    declared = list(plain) if kind == "A" else [spelt(draw, plain[0])]
    return ResourceId("record", "lab", "", name), {"zone": zone, "type": kind, "ttl": ttl, "values": declared}, payload


@st.composite
def aliases(draw: st.DrawFn) -> tuple[ResourceId, dict[str, Value], dict[str, Any]]:
    name, target, own, zone, health = draw(NAMES), draw(NAMES), draw(ZONE_ID), draw(ZONE_ID), draw(st.booleans())
    prefix = st.sampled_from(["", "/hostedzone/"])
    leads = {"DNSName": spelt(draw, target), "HostedZoneId": draw(prefix) + zone, "EvaluateTargetHealth": health}
    declared: Value = {"name": spelt(draw, target), "zone": draw(prefix) + zone, "health": health}
    payload = {"Name": spelt(draw, name), "Type": "A", "HostedZoneId": own, "AliasTarget": leads}
    return ResourceId("record", "lab", "", name), {"zone": own, "type": "A", "alias": declared}, payload


EVERYTHING = st.one_of(volumes(), interfaces(), addresses(), zones(), values(), aliases())


@given(EVERYTHING)
def test_what_aws_makes_of_a_declared_thing_is_no_change(drawn: tuple[ResourceId, dict[str, Value], dict[str, Any]]) -> None:
    change = judged(*drawn)
    assert (change.action, change.fields) == ("keep", ())


@given(EVERYTHING, st.data())
@settings(max_examples=50)
def test_and_what_really_differs_is_one(drawn: tuple[ResourceId, dict[str, Value], dict[str, Any]], data: st.DataObject) -> None:
    """The property above is not true of a diff that sees nothing: every declared field is seen when it differs."""
    id, fields, payload = drawn
    seen = [name for name, value in fields.items() if name not in {"kms_key", "security_groups"} or ("alias" not in str(value) and value)]
    name = data.draw(st.sampled_from(sorted(seen)))
    change = judged(id, {**fields, name: _other(fields[name])}, payload)
    assert change.action != "keep"
    told = {one.path[0] for one in change.fields} | ({name} if change.action == "refuse" else set())
    assert told == {name} or (name == "type" and told == {name, "values"}), "values mean something else in a record of another type"


def _other(value: Value) -> Value:
    """Something else of the same form."""
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case str() if value[:1].isdigit():
            return "2000Gi"
        case str():
            return f"{value}x"
        case Mapping():
            first = next(name for name, one in value.items() if isinstance(one, str))
            return {**value, first: f"{value[first]}x"}
        case _:
            return ["203.0.113.77"]
