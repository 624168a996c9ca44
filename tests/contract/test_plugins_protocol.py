"""The lab's `aws` plugin and the frame that both share, over the engine's protocol, against the lab's strict AWS."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lab import plugins
from lab.aws.client import Switches
from lab.plugins import properties, server
from lab.plugins.aws import Aws
from lab.plugins.properties import UNKNOWN, Bag

from .conftest import ZONE, wait_for
from .plugin_process import Plugin, PluginRefused, started

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_route53 import Route53Client

VOLUME = "aws:ebs/volume:Volume"
RECORD = "aws:route53/record:Record"
ZONES = "aws:route53/zone:Zone"
INTERFACE = "aws:ec2/networkInterface:NetworkInterface"
EIP = "aws:ec2/eip:Eip"
ASSOCIATION = "aws:ec2/eipAssociation:EipAssociation"
EBS = "terraform-provider-aws internal/service/ec2/ebs_volume.go"
ROUTE53 = "terraform-provider-aws internal/service/route53/record.go"
WHERE = {"availabilityZone": ZONE}
NAMED = {"zoneId": "Z1", "name": "a"}

# Inputs that the real provider refuses before it asks AWS: type, inputs, the property it blames, its words, and where they stand.
REFUSED: list[tuple[str, dict[str, Any], str, str, str]] = [
    (VOLUME, WHERE, "size", "one of `size,snapshot_id` must be specified", f"{EBS} AtLeastOneOf"),
    (
        VOLUME,
        WHERE | {"size": 1, "type": "gp2", "iops": 100},
        "iops",
        "'iops' must not be set when 'type' is 'gp2'",
        f"{EBS} CustomizeDiff",
    ),
    (VOLUME, WHERE | {"size": 4, "type": "io1"}, "iops", "'iops' must be set when 'type' is 'io1'", f"{EBS} CustomizeDiff"),
    (VOLUME, WHERE | {"size": 1, "type": "gp2", "throughput": 125}, "throughput", "'throughput' must not be set", f"{EBS} CustomizeDiff"),
    (VOLUME, WHERE | {"size": 1, "type": "gp3", "throughput": 100}, "throughput", "expected throughput to be in the range (125 -", EBS),
    (
        VOLUME,
        WHERE | {"size": 1, "type": "gp3", "multiAttachEnabled": True},
        "multiAttachEnabled",
        "'multi_attach_enabled' must not be",
        EBS,
    ),
    (VOLUME, WHERE | {"size": 1, "volumeInitializationRate": 100}, "volumeInitializationRate", "unless 'snapshot_id' is set", EBS),
    (VOLUME, WHERE | {"size": 1, "kmsKeyId": "a-key"}, "kmsKeyId", "is an invalid ARN", f"{EBS} verify.ValidARN"),
    (VOLUME, {"size": 1}, "availabilityZone", "Missing required argument", f"{EBS} Required"),
    (
        VOLUME,
        WHERE | {"size": "big"},
        "size",
        "expected type 'number', got 'string'",
        "terraform-plugin-sdk helper/schema validatePrimitive",
    ),
    (VOLUME, WHERE | {"size": 1, "colour": "red"}, "colour", "Invalid or unknown key", "terraform-plugin-sdk helper/schema validateObject"),
    (RECORD, NAMED | {"type": "A", "ttl": 1}, "aliases", "one of `aliases,records` must be specified", f"{ROUTE53} ExactlyOneOf"),
    (RECORD, NAMED | {"type": "A", "records": ["1.1.1.1"], "aliases": [{"name": "b"}]}, "aliases", "can be specified", ROUTE53),
    (RECORD, NAMED | {"type": "A", "ttl": 1, "aliases": [{"name": "b"}]}, "aliases", "conflicts with ttl", f"{ROUTE53} ConflictsWith"),
    (RECORD, NAMED | {"type": "X", "ttl": 1, "records": ["1"]}, "type", "expected type to be one of", f"{ROUTE53} enum.Validate"),
    (
        RECORD,
        NAMED | {"type": "A", "ttl": 1, "records": ["1.1.1.1"], "weightedRoutingPolicies": [{"weight": 1}]},
        "weightedRoutingPolicies",
        "all of `weightedRoutingPolicies,setIdentifier` must be specified",
        f"{ROUTE53} RequiredWith",
    ),
    (ZONES, {"name": "a.b", "delegationSetId": "N1", "vpcs": [{"vpcId": "v"}]}, "delegationSetId", "conflicts with vpcs", "zone.go"),
    (INTERFACE, {"subnetId": "s", "privateIps": ["a"], "privateIpLists": ["a"]}, "privateIps", "conflicts", "vpc_network_interface.go"),
    (EIP, {"domain": "moon"}, "domain", "expected domain to be one of", "ec2_eip.go enum.Validate"),
]


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory, aws_endpoint: str) -> Iterator[Plugin]:
    with started("aws", tmp_path_factory.mktemp("plugins")) as found:
        found.configure(**settings(aws_endpoint))
        yield found


def settings(endpoint: str, **more: Any) -> dict[str, Any]:
    """The provider's settings as the SDK sends them: what is nested is JSON text."""
    at = json.dumps([{"ec2": endpoint, "route53": endpoint, "sts": endpoint}])
    return {"region": "us-east-1", "accessKey": "AKIAMADEUP", "secretKey": "made-up", "endpoints": at, "maxRetries": "3", **more}


@pytest.mark.parametrize(
    ("token", "news", "blamed", "words", "source"), REFUSED, ids=[f"{row[0].split(':')[-1]}-{row[3]}" for row in REFUSED]
)
def test_what_the_real_provider_refuses_is_refused(
    plugin: Plugin, token: str, news: dict[str, Any], blamed: str, words: str, source: str
) -> None:
    _, failures = plugin.check(token, news)
    assert words in failures[blamed], source


@pytest.mark.parametrize(
    ("token", "news", "code", "source"),
    [
        (VOLUME, WHERE | {"size": 0, "type": "gp3"}, "MissingParameter", "ebs_volume.go sends no zero; API_CreateVolume wants a size"),
        (VOLUME, WHERE | {"size": 70000, "type": "gp3"}, "InvalidParameterValue", "API_CreateVolume, valid sizes"),
        (VOLUME, WHERE | {"size": 8, "type": "gp3", "throughput": 1000}, "InvalidParameterValue", "ebs-volume-types: 0.25 MiB/s per IOPS"),
        (VOLUME, WHERE | {"size": 1, "tags": {"aws:mine": "x"}}, "InvalidParameterValue", "Using_Tags, restrictions"),
        (RECORD, {"name": "a", "type": "A", "records": ["1.1.1.1"]}, "InvalidInput", "terraform-provider-aws issue 42994: no ttl"),
        (RECORD, {"name": "a", "type": "A", "ttl": 1, "records": ["one"]}, "InvalidChangeBatch", "ResourceRecordTypes: an IPv4 address"),
        (INTERFACE, {"privateIps": ["192.0.2.1"]}, "InvalidParameterValue", "API_CreateNetworkInterface: within the subnet's range"),
    ],
)
def test_what_aws_itself_refuses_comes_with_its_code(
    plugin: Plugin, zone: str, subnets: dict[str, str], token: str, news: dict[str, Any], code: str, source: str
) -> None:
    where = {RECORD: {"zoneId": zone.rpartition("/")[2]}, INTERFACE: {"subnetId": subnets[ZONE]}}.get(token, {})
    checked, failures = plugin.check(token, {**where, **news})
    assert not failures, "the real provider leaves this to AWS"
    with pytest.raises(PluginRefused, match=f"api error {code}: ") as caught:
        plugin.create(token, checked.values)
    assert caught.value.partial is None, source


def test_a_volume_lives_through_the_protocol(plugin: Plugin, ec2: EC2Client) -> None:
    checked, failures = plugin.check(VOLUME, WHERE | {"size": 5, "type": "gp3", "tags": {"a": "b"}})
    assert (failures, checked.values["tagsAll"], checked.values["finalSnapshot"]) == ({}, {"a": "b"}, False)
    id_, outputs = plugin.create(VOLUME, checked.values)
    live = ec2.describe_volumes(VolumeIds=[id_])["Volumes"][0]
    assert (live["State"], live["Size"], outputs.values["arn"][-len(id_) :]) == ("available", 5, id_)
    assert not plugin.diff(VOLUME, outputs.values, checked.values).detailedDiff

    grown = {**checked.values, "size": 6, "tags": {}, "tagsAll": {}}
    difference = plugin.diff(VOLUME, outputs.values, grown)
    assert set(difference.detailedDiff) == {"size", "tags.a", "tagsAll.a"}
    assert not difference.replaces
    updated = plugin.update(VOLUME, id_, outputs.values, grown)
    assert (updated.values["size"], updated.values["tags"]) == (6, {})
    assert ec2.describe_volumes(VolumeIds=[id_])["Volumes"][0]["Size"] == 6

    plugin.delete(VOLUME, id_, updated.values)
    assert plugin.read(VOLUME, id_, updated.values, grown)[0] == ""
    plugin.delete(VOLUME, id_, updated.values)  # what is gone already is as good as deleted


@pytest.mark.parametrize(
    "change", [{"availabilityZone": "us-east-1b"}, {"encrypted": True}, {"snapshotId": "snap-1"}, {"availabilityZone": UNKNOWN}]
)
def test_what_a_volume_can_not_change_replaces_it(plugin: Plugin, change: dict[str, Any]) -> None:
    olds = WHERE | {"size": 1, "encrypted": False, "snapshotId": "", "type": "gp3"}
    difference = plugin.diff(VOLUME, olds, WHERE | {"size": 1} | change)
    assert list(difference.replaces) == list(change)


def test_size_type_iops_and_throughput_change_in_place(plugin: Plugin) -> None:
    olds = WHERE | {"size": 1, "type": "gp2", "iops": 100, "throughput": 0}
    difference = plugin.diff(VOLUME, olds, WHERE | {"size": 2, "type": "gp3", "iops": 4000, "throughput": 200})
    assert (set(difference.detailedDiff), list(difference.replaces)) == ({"size", "type", "iops", "throughput"}, [])


def test_a_record_can_not_change_name_or_zone_but_its_type(plugin: Plugin) -> None:
    olds = {"zoneId": "Z1", "name": "a.b", "type": "A", "ttl": 5, "records": ["1.1.1.1", "2.2.2.2"]}
    same = {**olds, "name": "A.b.", "records": ["2.2.2.2", "1.1.1.1"]}
    assert not plugin.diff(RECORD, olds, same).detailedDiff
    assert list(plugin.diff(RECORD, olds, {**olds, "name": "c.b"}).replaces) == ["name"]
    assert list(plugin.diff(RECORD, olds, {**olds, "zoneId": "Z2"}).replaces) == ["zoneId"]
    assert not plugin.diff(RECORD, olds, {**olds, "type": "TXT"}).replaces


def test_only_another_primary_address_replaces_an_interface(plugin: Plugin) -> None:
    olds = {"subnetId": "s", "privateIps": ["10.0.0.1"], "privateIpLists": ["10.0.0.1"], "sourceDestCheck": True}
    more = plugin.diff(INTERFACE, olds, {"subnetId": "s", "privateIps": ["10.0.0.2", "10.0.0.1"]})
    assert (set(more.detailedDiff), list(more.replaces)) == ({"privateIps"}, [])
    assert list(plugin.diff(INTERFACE, olds, {"subnetId": "s", "privateIps": ["10.0.0.2"]}).replaces) == ["privateIps"]
    assert list(plugin.diff(INTERFACE, olds, {"subnetId": "t", "privateIps": ["10.0.0.1"]}).replaces) == ["subnetId"]


def test_ignored_changes_are_left_out(plugin: Plugin) -> None:
    olds = WHERE | {"size": 1, "tags": {"a": "1", "b.c": "1"}}
    news = WHERE | {"size": 2, "tags": {"a": "2", "b.c": "2"}}
    assert set(plugin.diff(VOLUME, olds, news, ("size", 'tags["b.c"]')).detailedDiff) == {"tags.a"}


def test_a_preview_knows_what_is_given_and_not_what_aws_will_say(plugin: Plugin, switches: Switches) -> None:
    id_, outputs = plugin.create(VOLUME, WHERE | {"size": 1}, preview=True)
    assert (id_, outputs.values["size"], outputs.values["arn"], outputs.values["type"]) == ("", 1, UNKNOWN, UNKNOWN)
    assert switches.writes() == []


def test_a_secret_input_stays_secret_in_what_is_put_out(plugin: Plugin) -> None:
    secrets = frozenset({("tags", "password")})
    news = WHERE | {"size": 1, "tags": {"password": "hunter2", "plain": "x"}}
    checked, _ = plugin.check(VOLUME, news, secrets=secrets)
    assert checked.secrets == {("tags", "password"), ("tagsAll", "password")}
    _, outputs = plugin.create(VOLUME, checked.values, secrets=checked.secrets)
    assert outputs.secrets == checked.secrets
    assert outputs.values["tagsAll"] == {"password": "hunter2", "plain": "x"}


def test_an_import_fills_in_inputs_that_check_and_match(
    plugin: Plugin, ec2: EC2Client, route53: Route53Client, zone: str, subnets: dict[str, str]
) -> None:
    bare = zone.rpartition("/")[2]
    volume, _ = plugin.make(VOLUME, WHERE | {"size": 3, "type": "gp2", "tags": {"a": "b"}})
    record, _ = plugin.make(RECORD, {"zoneId": bare, "name": "under_score.lab.example", "type": "TXT", "ttl": 7, "records": ["x y"]})
    interface, _ = plugin.make(INTERFACE, {"subnetId": subnets[ZONE], "description": "d", "sourceDestCheck": False})
    address, _ = plugin.make(EIP, {"domain": "vpc"})
    association, _ = plugin.make(ASSOCIATION, {"allocationId": address, "networkInterfaceId": interface})
    assert record == f"{bare}_under_score.lab.example_TXT"
    for token, id_ in (
        (VOLUME, volume),
        (RECORD, record),
        (ZONES, bare),
        (INTERFACE, interface),
        (EIP, address),
        (ASSOCIATION, association),
    ):
        found, outputs, inputs = plugin.read(token, id_)
        checked, failures = plugin.check(token, inputs.values)
        assert (found, failures) == (id_, {}), token
        assert not plugin.diff(token, outputs.values, checked.values).detailedDiff, token
    assert plugin.read(VOLUME, volume)[2].values == WHERE | {
        "size": 3,
        "type": "gp2",
        "tags": {"a": "b"},
        "tagsAll": {"a": "b"},
        "finalSnapshot": False,
        "region": "us-east-1",
    }


def test_an_id_that_is_no_records_is_refused_with_the_form_it_should_have(plugin: Plugin) -> None:
    with pytest.raises(PluginRefused, match="expected ZONEID_RECORDNAME_TYPE"):
        plugin.read(RECORD, "Z1_without-a-type")


def test_a_refresh_shows_drift_of_what_is_declared_and_of_tags(plugin: Plugin, ec2: EC2Client) -> None:
    checked, _ = plugin.check(VOLUME, WHERE | {"size": 2, "tags": {"a": "b"}})
    id_, outputs = plugin.create(VOLUME, checked.values)
    ec2.create_tags(Resources=[id_], Tags=[{"Key": "a", "Value": "drifted"}, {"Key": "new", "Value": "x"}])
    _, live, inputs = plugin.read(VOLUME, id_, outputs.values, checked.values)
    assert inputs.values["tags"] == {"a": "drifted", "new": "x"}
    assert "iops" not in inputs.values
    assert set(plugin.diff(VOLUME, live.values, checked.values).detailedDiff) == {"tags.a", "tags.new", "tagsAll.a", "tagsAll.new"}


def test_a_record_is_created_once_unless_it_may_be_overwritten(plugin: Plugin, zone: str) -> None:
    news = {"zoneId": zone.rpartition("/")[2], "name": "once", "type": "A", "ttl": 5, "records": ["1.1.1.1"]}
    plugin.make(RECORD, news)
    with pytest.raises(PluginRefused, match=r"creating Route53 Record: .*InvalidChangeBatch: .*already exists"):
        plugin.make(RECORD, news)
    _, outputs = plugin.make(RECORD, {**news, "allowOverwrite": True, "ttl": 6})
    assert (outputs["ttl"], outputs["fqdn"]) == (6, "once.lab.example")


def test_a_throttled_call_is_repeated_and_a_create_that_timed_out_makes_nothing_twice(
    plugin: Plugin, ec2: EC2Client, switches: Switches
) -> None:
    switches.order("throttle", match={"action": "CreateVolume"}, count=2)
    switches.order("timeout-after-success", match={"action": "CreateVolume"}, after=2, count=1)
    id_, _ = plugin.make(VOLUME, WHERE | {"size": 1, "tags": {"Name": "only-one"}})
    found = ec2.describe_volumes(Filters=[{"Name": "tag:Name", "Values": ["only-one"]}])["Volumes"]
    assert [volume["VolumeId"] for volume in found] == [id_]
    assert len(switches.calls(action="CreateVolume")) == 4


def test_a_describe_that_lags_behind_is_waited_for(plugin: Plugin, switches: Switches) -> None:
    switches.order("stale", match={"action": "DescribeVolumes"}, seconds=1.0, count=5)
    id_, outputs = plugin.make(VOLUME, WHERE | {"size": 1})
    assert outputs["id"] == id_


def test_what_was_made_but_not_waited_for_is_reported_with_its_id(plugin: Plugin, ec2: EC2Client, switches: Switches) -> None:
    switches.set(creating=30.0)
    checked, _ = plugin.check(VOLUME, WHERE | {"size": 1})
    with pytest.raises(PluginRefused, match="timeout while waiting for state to become 'available'") as caught:
        plugin.create(VOLUME, checked.values, timeout=0.5)
    assert caught.value.partial is not None
    assert ec2.describe_volumes(VolumeIds=[caught.value.partial.id])["Volumes"][0]["State"] == "creating"


def test_a_cancel_ends_a_wait_and_tells_what_is_there(tmp_path: Path, aws_endpoint: str, switches: Switches) -> None:
    switches.set(creating=30.0)
    with started("aws", tmp_path) as plugin:
        plugin.configure(**settings(aws_endpoint))
        threading.Timer(0.7, plugin.cancel).start()
        began = time.monotonic()
        with pytest.raises(PluginRefused, match="context canceled") as caught:
            plugin.create(VOLUME, WHERE | {"size": 1, "finalSnapshot": False})
    assert time.monotonic() - began < 5
    assert caught.value.partial is not None
    assert caught.value.partial.id.startswith("vol-")


def test_a_plugin_finishes_what_it_began_when_its_engine_is_gone(
    tmp_path: Path, aws_endpoint: str, ec2: EC2Client, switches: Switches
) -> None:
    switches.set(creating=1.0)
    plugins.install(tmp_path, sys.executable)
    news = json.dumps(WHERE | {"size": 1, "tags": {"Name": "orphan"}, "tagsAll": {"Name": "orphan"}})
    engine = Path(__file__).with_name("plugin_engine.py")
    command = [sys.executable, str(engine), str(tmp_path / "pulumi-resource-aws"), json.dumps(settings(aws_endpoint)), VOLUME, news]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    wait_for(lambda: switches.calls(action="CreateVolume"))
    process.kill()
    process.wait(10)
    process.stdout.close()
    try:
        wait_for(lambda: len(switches.calls(action="DescribeVolumes")) > 3)  # it goes on waiting for what it made
        assert Path(f"/proc/{pid}").exists()
    finally:
        subprocess.run(["kill", "-9", str(pid)], check=True)
    assert ec2.describe_volumes(Filters=[{"Name": "tag:Name", "Values": ["orphan"]}])["Volumes"]


def test_an_idle_plugin_ends_only_once_its_engine_is_gone() -> None:
    with socket.create_server(("127.0.0.1", 0)) as engine:
        servicer = server.Servicer(Aws(), f"127.0.0.1:{engine.getsockname()[1]}")
        watching = threading.Thread(target=server.watch, args=(servicer, _slept, 0.2), daemon=True)
        watching.start()
        watching.join(1.0)
        assert watching.is_alive()
    watching.join(5.0)
    assert not watching.is_alive()


def test_a_busy_plugin_does_not_end() -> None:
    servicer = server.Servicer(Aws(), "127.0.0.1:1")
    servicer.busy = 1
    watching = threading.Thread(target=server.watch, args=(servicer, _slept, 0.1), daemon=True)
    watching.start()
    watching.join(1.0)
    assert watching.is_alive()
    servicer.busy = 0
    watching.join(5.0)
    assert not watching.is_alive()


def _slept(seconds: float) -> bool:
    time.sleep(seconds)
    return False


def test_the_launchers_give_way_to_a_real_kubernetes_plugin_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    plugins.install(ours, sys.executable)
    assert {path.name for path in ours.iterdir()} == {"pulumi-resource-aws", "pulumi-resource-kubernetes"}
    theirs.mkdir()
    for name in ("aws", "kubernetes"):
        (theirs / f"pulumi-resource-{name}").write_bytes(b"\x7fELF")
        (theirs / f"pulumi-resource-{name}").chmod(0o755)
    monkeypatch.setenv("PATH", str(theirs), prepend=":")
    plugins.install(ours, sys.executable)
    assert {path.name for path in ours.iterdir()} == {"pulumi-resource-aws"}


def test_missing_credentials_and_regions_are_said(tmp_path: Path, aws_endpoint: str) -> None:
    bare = {"AWS_REGION": "", "AWS_DEFAULT_REGION": "", "HOME": str(tmp_path), "AWS_ACCESS_KEY_ID": "", "AWS_PROFILE": ""}
    with started("aws", tmp_path, bare) as plugin:
        with pytest.raises(PluginRefused, match="No valid credential sources found"):
            plugin.configure(**{**settings(aws_endpoint), "accessKey": ""})
        assert "Missing region" in next(Aws().check_config({})).reason


@pytest.mark.parametrize(
    "bag",
    [
        Bag({"a": 1, "b": [1, {"c": "d"}], "e": {"f": True}, "g": 1.5}),
        Bag({"a": UNKNOWN, "b": {"c": UNKNOWN}}),
        Bag({"a": {"b": "c"}, "d": ["e"]}, frozenset({("a", "b"), ("d",)})),
        Bag({"a": {"b": "c"}}, frozenset({("a",)})),
    ],
)
def test_values_survive_the_wire(bag: Bag) -> None:
    assert properties.decode(properties.encode(bag.values, bag.secrets)) == bag
