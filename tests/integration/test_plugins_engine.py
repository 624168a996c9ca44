"""The lab's `aws` plugin under the real engine and the unmodified SDK: what is made, kept, healed, replaced, imported and deleted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest

from lab.layout import Layout
from tests.integration.plugin_stack import Declare, EngineFailed, Stack, client, new_stack, nothing

pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore")]  # the SDK warns of itself


@pytest.fixture
def stack(lab: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    with new_stack(lab, tmp_path, monkeypatch) as made:
        yield made


@pytest.fixture(scope="module")
def ec2(lab: Layout) -> Any:
    return client(lab, "ec2")


@pytest.fixture(scope="module")
def route53(lab: Layout) -> Any:
    return client(lab, "route53")


def test_a_volume_is_made_kept_healed_grown_replaced_and_deleted(stack: Stack, ec2: Any) -> None:
    def declare(size: int = 5, zone: str = "us-east-1a") -> Declare:
        def program(to_aws: pulumi.ResourceOptions, _: pulumi.ResourceOptions) -> None:
            aws.ebs.Volume("data", availability_zone=zone, size=size, type="gp3", tags={"Name": stack.name, "a": "b"}, opts=to_aws)

        return program

    assert stack.up(declare()) == {"data": "create"}
    (volume,) = _volumes(ec2, stack.name)
    assert (volume["Size"], volume["VolumeType"], volume["AvailabilityZone"]) == (5, "gp3", "us-east-1a")
    assert stack.up(declare()) == {"data": "same"}

    ec2.create_tags(Resources=[volume["VolumeId"]], Tags=[{"Key": "a", "Value": "drifted"}, {"Key": "more", "Value": "x"}])
    assert stack.up(declare()) == {"data": "update"}
    (healed,) = _volumes(ec2, stack.name)
    assert {tag["Key"]: tag["Value"] for tag in healed["Tags"]} == {"Name": stack.name, "a": "b"}

    assert stack.up(declare(size=7)) == {"data": "update"}
    (grown,) = _volumes(ec2, stack.name)
    assert (grown["VolumeId"], grown["Size"]) == (volume["VolumeId"], 7)

    assert stack.up(declare(size=7, zone="us-east-1b")) == {"data": "replace"}
    (moved,) = _volumes(ec2, stack.name)
    assert moved["VolumeId"] != volume["VolumeId"]
    assert moved["AvailabilityZone"] == "us-east-1b"

    assert stack.up(nothing) == {"data": "delete"}
    assert _volumes(ec2, stack.name) == []


def test_a_volume_deleted_behind_its_back_is_made_again(stack: Stack, ec2: Any) -> None:
    def program(to_aws: pulumi.ResourceOptions, _: pulumi.ResourceOptions) -> None:
        aws.ebs.Volume("data", availability_zone="us-east-1a", size=1, tags={"Name": stack.name}, opts=to_aws)

    stack.up(program)
    (volume,) = _volumes(ec2, stack.name)
    ec2.delete_volume(VolumeId=volume["VolumeId"])
    _gone(lambda: _volumes(ec2, stack.name))
    assert stack.up(program) == {"data": "create"}
    (again,) = _volumes(ec2, stack.name)
    assert again["VolumeId"] != volume["VolumeId"]


def test_a_volume_made_by_another_is_imported_and_then_its_own(stack: Stack, ec2: Any) -> None:
    made = ec2.create_volume(
        AvailabilityZone="us-east-1c",
        Size=3,
        VolumeType="gp3",
        TagSpecifications=[{"ResourceType": "volume", "Tags": [{"Key": "Name", "Value": stack.name}]}],
    )

    def declare(to_aws: pulumi.ResourceOptions, import_: str | None) -> None:
        opts = pulumi.ResourceOptions.merge(to_aws, pulumi.ResourceOptions(import_=import_))
        aws.ebs.Volume("data", availability_zone="us-east-1c", size=3, type="gp3", tags={"Name": stack.name}, opts=opts)

    assert stack.up(lambda to_aws, _: declare(to_aws, made["VolumeId"])) == {"data": "import"}
    assert [volume["VolumeId"] for volume in _volumes(ec2, stack.name)] == [made["VolumeId"]]
    assert stack.up(lambda to_aws, _: declare(to_aws, None)) == {"data": "same"}


def test_a_record_heals_moves_and_goes(stack: Stack, route53: Any, lab: Layout) -> None:
    domain, zone = next(iter(lab.aws.hosted_zones.items()))
    name = f"{stack.name}.{domain}"

    def declare(ttl: int = 30, label: str = name) -> Declare:
        def program(to_aws: pulumi.ResourceOptions, _: pulumi.ResourceOptions) -> None:
            aws.route53.Record("name", zone_id=zone, name=label, type="A", ttl=ttl, records=["10.200.16.9", "10.200.16.8"], opts=to_aws)

        return program

    def live(of: str = name) -> list[Any]:
        sets = route53.list_resource_record_sets(HostedZoneId=zone, StartRecordName=of, MaxItems="1")["ResourceRecordSets"]
        return [found for found in sets if found["Name"] == f"{of}."]

    assert stack.up(declare()) == {"name": "create"}
    assert live()[0]["TTL"] == 30
    assert stack.up(declare()) == {"name": "same"}

    drifted = {"Name": name, "Type": "A", "TTL": 999, "ResourceRecords": [{"Value": "10.0.0.1"}]}
    route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": [{"Action": "UPSERT", "ResourceRecordSet": drifted}]})
    assert stack.up(declare()) == {"name": "update"}
    assert live()[0]["TTL"] == 30
    assert {record["Value"] for record in live()[0]["ResourceRecords"]} == {"10.200.16.8", "10.200.16.9"}

    assert stack.up(declare(label=f"other-{name}")) == {"name": "replace"}
    assert live() == []
    assert len(live(f"other-{name}")) == 1
    assert stack.up(nothing) == {"name": "delete"}
    assert live(f"other-{name}") == []


def test_a_record_that_exists_is_not_taken_over_and_can_be_imported(stack: Stack, route53: Any, lab: Layout) -> None:
    domain, zone = next(iter(lab.aws.hosted_zones.items()))
    name = f"{stack.name}.{domain}"
    there = {"Name": name, "Type": "TXT", "TTL": 60, "ResourceRecords": [{"Value": '"mine"'}]}
    route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": [{"Action": "CREATE", "ResourceRecordSet": there}]})

    def declare(to_aws: pulumi.ResourceOptions, import_: str | None) -> None:
        opts = pulumi.ResourceOptions.merge(to_aws, pulumi.ResourceOptions(import_=import_))
        aws.route53.Record("name", zone_id=zone, name=name, type="TXT", ttl=60, records=["mine"], opts=opts)

    with pytest.raises(EngineFailed, match=r"InvalidChangeBatch.*already exists"):
        stack.up(lambda to_aws, _: declare(to_aws, None))
    assert stack.up(lambda to_aws, _: declare(to_aws, f"{zone}_{name}_TXT")) == {"name": "import"}
    assert stack.up(lambda to_aws, _: declare(to_aws, None)) == {"name": "same"}


def test_an_interface_with_an_address_keeps_its_ip_until_the_ip_is_changed(stack: Stack, ec2: Any, lab: Layout) -> None:
    subnet = lab.aws.subnets["us-east-1a"]

    def declare(ip: str = "10.200.20.7", note: str = "one") -> Declare:
        def program(to_aws: pulumi.ResourceOptions, _: pulumi.ResourceOptions) -> None:
            interface = aws.ec2.NetworkInterface(
                "face", subnet_id=subnet, private_ips=[ip], description=note, tags={"Name": stack.name}, opts=to_aws
            )
            aws.ec2.Eip("public", domain="vpc", network_interface=interface.id, tags={"Name": stack.name}, opts=to_aws)

        return program

    def live() -> list[Any]:
        found = ec2.describe_network_interfaces(Filters=[{"Name": "tag:Name", "Values": [stack.name]}])
        return list(found["NetworkInterfaces"])

    assert stack.up(declare()) == {"face": "create", "public": "create"}
    (face,) = live()
    assert face["PrivateIpAddress"] == "10.200.20.7"
    assert face["Association"]["PublicIp"] == stack.state()["public"]["outputs"]["publicIp"]
    assert stack.up(declare()) == {"face": "same", "public": "same"}
    assert stack.up(declare(note="two")) == {"face": "update", "public": "same"}
    assert stack.up(declare(ip="10.200.20.8", note="two")) == {"face": "replace", "public": "update"}
    (moved,) = live()
    assert (moved["PrivateIpAddress"], moved["NetworkInterfaceId"] != face["NetworkInterfaceId"]) == ("10.200.20.8", True)
    assert stack.up(nothing) == {"face": "delete", "public": "delete"}
    assert live() == []


def test_default_tags_are_put_on_and_not_mistaken_for_drift(stack: Stack, ec2: Any) -> None:
    def program(to_aws: pulumi.ResourceOptions, _: pulumi.ResourceOptions) -> None:
        provider = aws.Provider(
            "the-tagging-aws",
            region="us-east-1",
            profile="judge",
            shared_credentials_files=[stack.lab.aws.credentials_file],
            endpoints=[{"ec2": stack.lab.aws.endpoint, "sts": stack.lab.aws.endpoint}],
            default_tags={"tags": {"Team": "x", "Name": "overridden"}},
            skip_credentials_validation=True,
            skip_requesting_account_id=True,
        )
        opts = pulumi.ResourceOptions(provider=provider)
        aws.ebs.Volume("data", availability_zone="us-east-1a", size=1, tags={"Name": stack.name}, opts=opts)

    assert stack.up(program) == {"data": "create"}
    (volume,) = _volumes(ec2, stack.name)
    assert {tag["Key"]: tag["Value"] for tag in volume["Tags"]} == {"Name": stack.name, "Team": "x"}
    assert stack.up(program) == {"data": "same"}


def _volumes(ec2: Any, name: str) -> list[Any]:
    found = ec2.describe_volumes(Filters=[{"Name": "tag:Name", "Values": [name]}])["Volumes"]
    return [volume for volume in found if volume["State"] not in {"deleting", "deleted"}]


def _gone(what: Callable[[], list[Any]]) -> None:
    deadline = time.monotonic() + 20
    while what():
        assert time.monotonic() < deadline, "still there"
        time.sleep(0.1)
