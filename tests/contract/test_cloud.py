"""Port `Cloud`: one body for the fake and for botocore against the lab's AWS."""

import itertools
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from lab.aws.client import Switches
from providers.aws import Aws
from providers.memory import MemoryCloud
from reconciler import errors
from reconciler.members.snapshots.placing import Volume, others
from reconciler.ports import Cloud
from tests.contract.conftest import wait_for

ZONE = "us-east-1a"
NUMBERS = itertools.count(1)


@pytest.fixture
def aws(aws_endpoint: str, switches: Switches, monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAMADEUP")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "made-up")
    with closing(Aws("us-east-1", endpoint=aws_endpoint)) as found:
        yield found


@pytest.fixture(params=["memory", "aws"])
def cloud(request: pytest.FixtureRequest) -> Cloud:
    if request.param == "memory":
        return MemoryCloud(subnets={ZONE: "subnet-1"}, instances={"i-1": ZONE}, page=2)
    found: Cloud = request.getfixturevalue("aws")
    return found


@pytest.fixture
def environment() -> str:
    """A name that no other test's things are tagged with."""
    return f"test-{next(NUMBERS)}"


@pytest.fixture
def subnet(cloud: Cloud, request: pytest.FixtureRequest) -> str:
    return "subnet-1" if isinstance(cloud, MemoryCloud) else request.getfixturevalue("subnets")[ZONE]


@pytest.fixture
def machine(cloud: Cloud, request: pytest.FixtureRequest) -> str:
    return "i-1" if isinstance(cloud, MemoryCloud) else request.getfixturevalue("instance")()


def tagged(kind: str, environment: str, **tags: str) -> list[dict[str, Any]]:
    pairs = {"reconciler/environment": environment, **tags}
    return [{"ResourceType": kind, "Tags": [{"Key": key, "Value": value} for key, value in pairs.items()]}]


def ours(environment: str) -> list[dict[str, Any]]:
    return [{"Name": "tag:reconciler/environment", "Values": [environment]}]


def volumes(cloud: Cloud, environment: str) -> list[dict[str, Any]]:
    pages = list(cloud.pages("ec2", "describe_volumes", Filters=ours(environment), MaxResults=5))
    return [volume for page in pages for volume in page["Volumes"]]


def make_volume(cloud: Cloud, environment: str, **more: Any) -> str:
    asked = {"AvailabilityZone": ZONE, "Size": 10, "VolumeType": "gp3", "Encrypted": True, **more}
    made: str = cloud.call("ec2", "create_volume", **asked, TagSpecifications=tagged("volume", environment))["VolumeId"]
    wait_for(lambda: cloud.call("ec2", "describe_volumes", VolumeIds=[made])["Volumes"][0]["State"] == "available")
    return made


def refused(code: str) -> Any:
    return pytest.raises(errors.ProviderError, match=code)


def test_every_page_of_a_list_is_read(cloud: Cloud, environment: str) -> None:
    made = {make_volume(cloud, environment) for _ in range(6)}
    make_volume(cloud, f"not-{environment}")
    pages = list(cloud.pages("ec2", "describe_volumes", Filters=ours(environment), MaxResults=5))
    assert len(pages) > 1
    assert sorted(volume["VolumeId"] for page in pages for volume in page["Volumes"]) == sorted(made)


def test_an_empty_list_is_a_page_without_items(cloud: Cloud, environment: str) -> None:
    assert [page["Volumes"] for page in cloud.pages("ec2", "describe_volumes", Filters=ours(environment))] == [[]]


def test_an_operation_without_pages_gives_one(cloud: Cloud, environment: str) -> None:
    made = cloud.call("ec2", "allocate_address", Domain="vpc", TagSpecifications=tagged("elastic-ip", environment))
    (page,) = cloud.pages("ec2", "describe_addresses", Filters=ours(environment))
    assert [(one["AllocationId"], one["PublicIp"]) for one in page["Addresses"]] == [(made["AllocationId"], made["PublicIp"])]


def test_a_volume_grows_and_does_not_shrink(cloud: Cloud, environment: str) -> None:
    made = make_volume(cloud, environment)
    with refused("InvalidParameterValue") as caught:
        cloud.call("ec2", "modify_volume", VolumeId=made, Size=5)
    assert caught.value.code == "InvalidParameterValue"
    assert caught.value.status == 400
    cloud.call("ec2", "modify_volume", VolumeId=made, Size=20)
    wait_for(lambda: volumes(cloud, environment)[0]["Size"] == 20)


def test_one_client_token_makes_one_volume(cloud: Cloud, environment: str) -> None:
    token = f"token-{environment}"
    assert make_volume(cloud, environment, ClientToken=token) == make_volume(cloud, environment, ClientToken=token)


def test_tags_are_laid_over_and_taken_away(cloud: Cloud, environment: str) -> None:
    made = make_volume(cloud, environment)
    cloud.call("ec2", "create_tags", Resources=[made], Tags=[{"Key": "team", "Value": "db"}, {"Key": "x", "Value": "1"}])
    cloud.call("ec2", "delete_tags", Resources=[made], Tags=[{"Key": "x"}])
    (volume,) = volumes(cloud, environment)
    assert {tag["Key"]: tag["Value"] for tag in volume["Tags"]} == {"reconciler/environment": environment, "team": "db"}


def test_what_is_not_there_is_refused_by_name(cloud: Cloud) -> None:
    with refused("InvalidVolume.NotFound") as caught:
        cloud.call("ec2", "delete_volume", VolumeId="vol-00000000000000000")
    assert not isinstance(caught.value, errors.TransientError)


def snapshots(cloud: Cloud, environment: str) -> dict[str, dict[str, Any]]:
    """By volume."""
    pages = cloud.pages("ec2", "describe_snapshots", OwnerIds=["self"], Filters=ours(environment), MaxResults=5)
    return {one["VolumeId"]: one for page in pages for one in page["Snapshots"]}


def test_a_snapshot_becomes_a_volume_that_is_no_smaller(cloud: Cloud, environment: str) -> None:
    volume = make_volume(cloud, environment)
    made = cloud.call("ec2", "create_snapshot", VolumeId=volume, TagSpecifications=tagged("snapshot", environment, set="one"))["SnapshotId"]
    wait_for(lambda: snapshots(cloud, environment)[volume]["State"] == "completed")
    found = snapshots(cloud, environment)[volume]
    assert (found["SnapshotId"], found["VolumeSize"], found["Encrypted"]) == (made, 10, True)
    assert {tag["Key"]: tag["Value"] for tag in found["Tags"]} == {"reconciler/environment": environment, "set": "one"}
    with refused("InvalidParameterValue"):
        make_volume(cloud, f"copy-{environment}", SnapshotId=made, Size=9)
    make_volume(cloud, f"copy-{environment}", SnapshotId=made, Size=20, Encrypted=False)
    (copy,) = volumes(cloud, f"copy-{environment}")
    assert (copy["Size"], copy["SnapshotId"], copy["Encrypted"]) == (20, made, True)
    cloud.call("ec2", "delete_snapshot", SnapshotId=made)
    assert snapshots(cloud, environment) == {}
    with refused("InvalidSnapshot.NotFound"):
        cloud.call("ec2", "delete_snapshot", SnapshotId=made)


def test_all_volumes_of_an_instance_are_taken_but_for_those_that_are_left_out(cloud: Cloud, environment: str, machine: str) -> None:
    taken, kept = make_volume(cloud, environment), make_volume(cloud, f"not-{environment}")
    for number, volume in enumerate((taken, kept)):
        if isinstance(cloud, MemoryCloud):
            cloud.ec2.volumes[volume]["Attachments"] = [{"InstanceId": machine}]
        else:
            cloud.call("ec2", "attach_volume", VolumeId=volume, InstanceId=machine, Device=f"/dev/sd{'fg'[number]}")
    (page,) = cloud.pages("ec2", "describe_instances", Filters=[{"Name": "instance-id", "Values": [machine]}])
    (instance,) = page["Reservations"][0]["Instances"]
    beside = others(instance, [Volume(taken, "", machine, steady=True, tags={})])
    assert beside == [kept]
    asked = {"InstanceId": machine, "ExcludeBootVolume": True, "ExcludeDataVolumeIds": beside}
    more = {"CopyTagsFromSource": "volume", "TagSpecifications": [{"ResourceType": "snapshot", "Tags": [{"Key": "set", "Value": "one"}]}]}
    made = cloud.call("ec2", "create_snapshots", InstanceSpecification=asked, **more)["Snapshots"]
    assert [one["VolumeId"] for one in made] == [taken]
    found = snapshots(cloud, environment)[taken]
    assert {tag["Key"]: tag["Value"] for tag in found["Tags"]} == {"reconciler/environment": environment, "set": "one"}


def test_an_interface_keeps_its_address_through_attachments(cloud: Cloud, environment: str, subnet: str, machine: str) -> None:
    asked = {"SubnetId": subnet, "TagSpecifications": tagged("network-interface", environment)}
    made = cloud.call("ec2", "create_network_interface", **asked)["NetworkInterface"]
    id = made["NetworkInterfaceId"]
    attachment = cloud.call("ec2", "attach_network_interface", NetworkInterfaceId=id, InstanceId=machine, DeviceIndex=1)["AttachmentId"]
    with refused("InvalidNetworkInterface.InUse"):
        cloud.call("ec2", "attach_network_interface", NetworkInterfaceId=id, InstanceId=machine, DeviceIndex=2)
    with refused("InvalidParameterValue"):
        cloud.call("ec2", "delete_network_interface", NetworkInterfaceId=id)
    cloud.call("ec2", "detach_network_interface", AttachmentId=attachment)
    wait_for(lambda: interface(cloud, environment).get("Status") == "available")
    assert interface(cloud, environment)["PrivateIpAddress"] == made["PrivateIpAddress"]
    cloud.call("ec2", "delete_network_interface", NetworkInterfaceId=id)
    assert not interface(cloud, environment)


def interface(cloud: Cloud, environment: str) -> dict[str, Any]:
    pages = cloud.pages("ec2", "describe_network_interfaces", Filters=ours(environment), MaxResults=5)
    return next((one for page in pages for one in page["NetworkInterfaces"]), {})


def test_an_address_goes_with_an_interface(cloud: Cloud, environment: str, subnet: str) -> None:
    made = cloud.call("ec2", "create_network_interface", SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
    address = cloud.call("ec2", "allocate_address", Domain="vpc", TagSpecifications=tagged("elastic-ip", environment))["AllocationId"]
    association = cloud.call("ec2", "associate_address", AllocationId=address, NetworkInterfaceId=made)["AssociationId"]
    (found,) = cloud.call("ec2", "describe_addresses", Filters=ours(environment))["Addresses"]
    assert found["NetworkInterfaceId"] == made
    with refused("InvalidIPAddress.InUse"):
        cloud.call("ec2", "release_address", AllocationId=address)
    cloud.call("ec2", "disassociate_address", AssociationId=association)
    cloud.call("ec2", "release_address", AllocationId=address)
    assert cloud.call("ec2", "describe_addresses", Filters=ours(environment))["Addresses"] == []


@pytest.fixture
def zone(cloud: Cloud, environment: str) -> str:
    made = cloud.call("route53", "create_hosted_zone", Name=f"{environment}.example", CallerReference=environment)
    return str(made["HostedZone"]["Id"]).removeprefix("/hostedzone/")


def record(name: str, *values: str, ttl: int = 5, kind: str = "A") -> dict[str, Any]:
    return {"Name": name, "Type": kind, "TTL": ttl, "ResourceRecords": [{"Value": value} for value in values]}


def change(cloud: Cloud, zone: str, *changes: Any) -> Any:
    batch = {"Changes": [{"Action": action, "ResourceRecordSet": one} for action, one in changes]}
    return cloud.call("route53", "change_resource_record_sets", HostedZoneId=zone, ChangeBatch=batch)


def records(cloud: Cloud, zone: str) -> dict[str, Any]:
    pages = cloud.pages("route53", "list_resource_record_sets", HostedZoneId=zone, MaxItems="3")
    found = [one for page in pages for one in page["ResourceRecordSets"] if one["Type"] not in {"NS", "SOA"}]
    return {one["Name"]: (one["Type"], one["TTL"], sorted(value["Value"] for value in one["ResourceRecords"])) for one in found}


def test_a_zone_is_found_by_name_with_its_tags(cloud: Cloud, zone: str, environment: str) -> None:
    pages = cloud.pages("route53", "list_hosted_zones_by_name", DNSName=f"{environment}.example", MaxItems="100")
    found = next(iter(next(iter(pages))["HostedZones"]))
    assert found["Name"] == f"{environment}.example."
    assert found["Id"].removeprefix("/hostedzone/") == zone
    told = {"ResourceType": "hostedzone", "ResourceId": zone}
    cloud.call("route53", "change_tags_for_resource", **told, AddTags=[{"Key": "team", "Value": "db"}])
    assert cloud.call("route53", "list_tags_for_resource", **told)["ResourceTagSet"]["Tags"] == [{"Key": "team", "Value": "db"}]


def test_records_are_read_in_pages(cloud: Cloud, zone: str, environment: str) -> None:
    names = [f"kv-{number}.{environment}.example." for number in range(7)]
    change(cloud, zone, *(("CREATE", record(name, "10.0.0.1")) for name in names))
    assert records(cloud, zone) == {name: ("A", 5, ["10.0.0.1"]) for name in names}


def test_a_record_is_created_once(cloud: Cloud, zone: str, environment: str) -> None:
    name = f"kv-0.{environment}.example"
    change(cloud, zone, ("CREATE", record(name, "10.0.0.1")))
    with refused("InvalidChangeBatch"):
        change(cloud, zone, ("CREATE", record(name, "10.0.0.2")))
    change(cloud, zone, ("UPSERT", record(name, "10.0.0.2", ttl=9)))
    assert records(cloud, zone) == {f"{name}.": ("A", 9, ["10.0.0.2"])}


def test_a_deletion_must_name_the_record_as_it_is(cloud: Cloud, zone: str, environment: str) -> None:
    name = f"kv-0.{environment}.example"
    change(cloud, zone, ("CREATE", record(name, "10.0.0.1")))
    with refused("InvalidChangeBatch"):
        change(cloud, zone, ("DELETE", record(name, "10.0.0.9")))
    change(cloud, zone, ("DELETE", record(name, "10.0.0.1")))
    assert records(cloud, zone) == {}


def test_a_batch_is_done_whole_or_not_at_all(cloud: Cloud, zone: str, environment: str) -> None:
    first, second = f"kv-0.{environment}.example", f"kv-1.{environment}.example"
    with refused("InvalidChangeBatch"):
        change(cloud, zone, ("CREATE", record(first, "10.0.0.1")), ("DELETE", record(second, "10.0.0.1")))
    assert records(cloud, zone) == {}


def test_a_record_cannot_lie_outside_its_zone_nor_beside_a_cname(cloud: Cloud, zone: str, environment: str) -> None:
    with refused("InvalidChangeBatch"):
        change(cloud, zone, ("CREATE", record("kv-0.elsewhere.example", "10.0.0.1")))
    name = f"kv-0.{environment}.example"
    change(cloud, zone, ("CREATE", record(name, "elsewhere.example.", kind="CNAME")))
    with refused("InvalidChangeBatch"):
        change(cloud, zone, ("CREATE", record(name, "10.0.0.1")))


def test_throttling_is_waited_out(aws: Aws, switches: Switches, environment: str) -> None:
    make_volume(aws, environment)
    fault = switches.order("throttle", match={"action": "DescribeVolumes"}, count=4)
    assert len(volumes(aws, environment)) == 1
    assert next(one["hits"] for one in switches.faults() if one["id"] == fault) == 4


def test_throttling_that_does_not_end_is_transient_and_says_so(aws_endpoint: str, aws: Aws, switches: Switches) -> None:
    aws.patience = 0
    switches.order("throttle", match={"action": "DescribeAddresses"})
    with pytest.raises(errors.TransientError, match=r"AWS refused ec2 describe_addresses: RequestLimitExceeded") as caught:
        aws.call("ec2", "describe_addresses")
    assert caught.value.code == "RequestLimitExceeded"


def test_nobody_there_is_transient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAMADEUP")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "made-up")
    nowhere = Aws("us-east-1", endpoint="http://127.0.0.1:1", patience=0)
    with pytest.raises(errors.TransientError, match="could not be reached for ec2 describe_addresses in us-east-1"):
        nowhere.call("ec2", "describe_addresses")


def test_a_write_that_may_have_been_done_is_not_sent_again_by_us(aws: Aws, switches: Switches, environment: str) -> None:
    switches.order("error", match={"action": "CreateTags"}, code="InternalError", status=500, message="sorry")
    made = make_volume(aws, environment)
    switches.forget_calls()
    with pytest.raises(errors.TransientError, match="InternalError"):
        aws.call("ec2", "create_tags", Resources=[made], Tags=[{"Key": "a", "Value": "b"}])
    assert len(switches.calls(action="CreateTags")) <= 3  # botocore's own attempts


def test_credentials_for_reading_write_nothing(aws_endpoint: str, aws: Aws, switches: Switches) -> None:
    reader = Aws("us-east-1", endpoint=aws_endpoint, reads_only=True)
    switches.forget_calls()
    with pytest.raises(errors.ProviderError, match="ec2 create_volume was not sent to AWS: these credentials are for reading"):
        reader.call("ec2", "create_volume", AvailabilityZone=ZONE, Size=1)
    with pytest.raises(errors.ProviderError, match="not sent"):
        list(reader.pages("ec2", "delete_volume", VolumeId="vol-1"))
    assert switches.calls() == []
    assert reader.call("ec2", "describe_addresses")["Addresses"] is not None


def test_a_profile_of_a_credentials_file_signs(
    aws_endpoint: str, switches: Switches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    file = tmp_path / "credentials"
    file.write_text("[members]\naws_access_key_id = AKIAMEMBERS\naws_secret_access_key = made-up\n")
    Aws("us-east-1", endpoint=aws_endpoint, profile="members", credentials_file=str(file)).call("ec2", "describe_addresses")
    with pytest.raises(errors.ProviderError, match="nobody") as caught:
        Aws("us-east-1", endpoint=aws_endpoint, profile="nobody", credentials_file=str(file)).call("ec2", "describe_addresses")
    assert "profile nobody" in caught.value.hint


def test_a_role_is_taken_on_with_the_profiles_credentials(aws: Aws, aws_endpoint: str, switches: Switches) -> None:
    switches.forget_calls()
    role = Aws("us-east-1", endpoint=aws_endpoint, role_arn="arn:aws:iam::123456789012:role/members", patience=1)
    assert role.call("sts", "get_caller_identity")["Arn"].startswith("arn:aws:sts::123456789012:assumed-role/members/reconciler")
    assert [call["action"] for call in switches.calls(service="sts")] == ["AssumeRole", "GetCallerIdentity"]


def test_secrets_are_in_no_error(aws_endpoint: str, monkeypatch: pytest.MonkeyPatch, switches: Switches) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAMADEUP")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-for-eyes")
    message = "The signature does not match\nThe canonical string should have been\nx-amz-security-token:not-for-eyes"
    switches.order("error", match={"action": "DescribeAddresses"}, code="SignatureDoesNotMatch", status=403, message=message)
    with pytest.raises(errors.ProviderError) as caught:
        Aws("us-east-1", endpoint=aws_endpoint, patience=0).call("ec2", "describe_addresses")
    assert "SignatureDoesNotMatch: The signature does not match" in caught.value.message
    assert "not-for-eyes" not in repr(caught.value) + caught.value.message + caught.value.hint


def test_once_an_end_is_wanted_nothing_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAMADEUP")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "made-up")
    sent, stop = [], threading.Event()

    def sending(request: Any, **_: Any) -> None:
        sent.append(request.url)
        stop.set()

    nowhere = Aws("us-east-1", endpoint="http://127.0.0.1:1", attempts=1, stop=stop)
    nowhere._client("ec2").meta.events.register("before-send", sending)
    with pytest.raises(errors.TransientError):
        nowhere.call("ec2", "describe_volumes")
    assert len(sent) == 1
