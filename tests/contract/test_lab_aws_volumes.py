"""The lab's AWS is as strict with volumes as AWS. Each test names the page of docs.aws.amazon.com that says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from lab.aws.client import Switches

from .conftest import ZONE, numbers, refused, volume_state, wait_for

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

Make = Callable[..., str]


def tagged(ec2: EC2Client, key: str, value: str) -> list[str]:
    found = ec2.describe_volumes(Filters=[{"Name": f"tag:{key}", "Values": [value]}])["Volumes"]
    return [each["VolumeId"] for each in found]


def specification(**tags: str) -> list[Any]:
    return [{"ResourceType": "volume", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}]


def test_the_same_client_token_gives_the_same_volume(ec2: EC2Client) -> None:
    """Retries with the same token and parameters succeed and make nothing more.
    https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html"""
    asked: Any = {"AvailabilityZone": ZONE, "Size": 5, "ClientToken": "twice", "TagSpecifications": specification(Name="twice")}
    first, second = ec2.create_volume(**asked), ec2.create_volume(**asked)
    assert first["VolumeId"] == second["VolumeId"]
    assert tagged(ec2, "Name", "twice") == [first["VolumeId"]]


def test_a_client_token_with_other_parameters_is_refused(ec2: EC2Client) -> None:
    """https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html: IdempotentParameterMismatch."""
    ec2.create_volume(AvailabilityZone=ZONE, Size=5, ClientToken="mismatch")
    with refused("IdempotentParameterMismatch"):
        ec2.create_volume(AvailabilityZone=ZONE, Size=6, ClientToken="mismatch")


def test_a_volume_is_creating_before_it_is_available(ec2: EC2Client, switches: Switches) -> None:
    """https://docs.aws.amazon.com/ebs/latest/userguide/ebs-describing-volumes.html: the states of a volume."""
    switches.set(creating=1)
    made = ec2.create_volume(AvailabilityZone=ZONE, Size=5)
    assert made["State"] == "creating"
    assert volume_state(ec2, made["VolumeId"]) == "creating"
    wait_for(lambda: volume_state(ec2, made["VolumeId"]) == "available")


def test_a_dry_run_makes_nothing(ec2: EC2Client) -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html: DryRunOperation."""
    with refused("DryRunOperation"):
        ec2.create_volume(AvailabilityZone=ZONE, Size=1, TagSpecifications=specification(Name="dry"), ClientToken="dry", DryRun=True)
    assert tagged(ec2, "Name", "dry") == []


def test_a_volume_needs_a_zone_that_exists(ec2: EC2Client) -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html: InvalidZone.NotFound."""
    with refused("InvalidZone.NotFound"):
        ec2.create_volume(AvailabilityZone="us-east-1z", Size=5)


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"VolumeType": "gp3", "Size": 65_537}, "InvalidParameterValue"),
        ({"VolumeType": "gp2", "Size": 16_385}, "InvalidParameterValue"),
        ({"VolumeType": "st1", "Size": 124}, "InvalidParameterValue"),
        ({"VolumeType": "io2", "Size": 3, "Iops": 100}, "InvalidParameterValue"),
        ({"VolumeType": "gp3", "Size": 100, "Iops": 2_999}, "InvalidParameterValue"),
        ({"VolumeType": "gp3", "Size": 1_000, "Iops": 80_001}, "InvalidParameterValue"),
        ({"VolumeType": "gp3", "Size": 10, "Iops": 5_001}, "InvalidParameterValue"),
        ({"VolumeType": "gp3", "Size": 100, "Throughput": 124}, "InvalidParameterValue"),
        ({"VolumeType": "gp3", "Size": 100, "Iops": 16_000, "Throughput": 2_001}, "InvalidParameterValue"),
        ({"VolumeType": "gp3", "Size": 100, "Iops": 3_000, "Throughput": 751}, "InvalidParameterValue"),
        ({"VolumeType": "gp2", "Size": 100, "Iops": 3_000}, "InvalidParameterCombination"),
        ({"VolumeType": "gp2", "Size": 100, "Throughput": 125}, "InvalidParameterCombination"),
    ],
)
def test_a_volume_has_the_bounds_of_its_type(ec2: EC2Client, asked: dict[str, Any], code: str) -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateVolume.html (Size, Iops, Throughput) and
    https://docs.aws.amazon.com/ebs/latest/userguide/general-purpose.html (500 IOPS a GiB, 0.25 MiB/s an IOPS)."""
    with refused(code):
        ec2.create_volume(AvailabilityZone=ZONE, **asked)


def test_a_gp3_volume_has_the_base_performance_when_none_is_asked_for(ec2: EC2Client) -> None:
    """https://docs.aws.amazon.com/ebs/latest/userguide/general-purpose.html: 3,000 IOPS and 125 MiB/s."""
    made = ec2.create_volume(AvailabilityZone=ZONE, Size=1, VolumeType="gp3")
    assert (made["Iops"], made["Throughput"]) == (3000, 125)


@pytest.mark.parametrize("given", ["alias/data", "arn:aws:kms:us-east-1:123456789012:alias/data"])
def test_an_alias_is_answered_as_the_key_behind_it(ec2: EC2Client, given: str) -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Volume.html: kmsKeyId is the ARN of the key that was used."""
    first = ec2.create_volume(AvailabilityZone=ZONE, Size=1, Encrypted=True, KmsKeyId=given)["KmsKeyId"]
    again = ec2.create_volume(AvailabilityZone=ZONE, Size=1, Encrypted=True, KmsKeyId="alias/data")["KmsKeyId"]
    assert first == again
    assert first.startswith("arn:aws:kms:us-east-1:123456789012:key/")


def test_a_key_is_answered_by_its_arn(ec2: EC2Client) -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateVolume.html: an id, an alias, or the ARN of either."""
    id_ = "1234abcd-12ab-34cd-56ef-1234567890ab"
    for given in (id_, f"arn:aws:kms:us-east-1:123456789012:key/{id_}"):
        made = ec2.create_volume(AvailabilityZone=ZONE, Size=1, Encrypted=True, KmsKeyId=given)
        assert made["KmsKeyId"] == f"arn:aws:kms:us-east-1:123456789012:key/{id_}"


def test_attaching_and_detaching_take_time(ec2: EC2Client, volume: Make, instance: Make, switches: Switches) -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_VolumeAttachment.html: attaching, attached, detaching, detached."""
    disk, node = volume(), instance()
    switches.set(attaching=0.8, detaching=0.8)

    def states() -> tuple[str, list[str]]:
        found = ec2.describe_volumes(VolumeIds=[disk])["Volumes"][0]
        return found["State"], [each["State"] for each in found["Attachments"]]

    assert ec2.attach_volume(VolumeId=disk, InstanceId=node, Device="/dev/sdf")["State"] == "attaching"
    assert states() == ("in-use", ["attaching"])
    wait_for(lambda: states() == ("in-use", ["attached"]))
    assert ec2.detach_volume(VolumeId=disk)["State"] == "detaching"
    assert states() == ("in-use", ["detaching"])
    wait_for(lambda: states() == ("available", []))


def test_a_volume_may_be_stuck_and_asked_for_again_by_force(ec2: EC2Client, volume: Make, instance: Make, switches: Switches) -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DetachVolume.html: Force, "if the previous detachment attempt did not
    occur cleanly". An instance that is set to let go slowly holds its volumes, and no other does; so does a volume, wherever it is."""
    slow, quick = instance(), instance()
    held, free, stuck = volume(), volume(), volume()
    switches.set(releasing={slow: 600, stuck: 600})

    def state(disk: str) -> str:
        return ec2.describe_volumes(VolumeIds=[disk])["Volumes"][0]["State"]

    for node, disk, device in ((slow, held, "/dev/sdf"), (quick, free, "/dev/sdf"), (quick, stuck, "/dev/sdg")):
        ec2.attach_volume(VolumeId=disk, InstanceId=node, Device=device)
        ec2.detach_volume(VolumeId=disk)
    wait_for(lambda: state(free) == "available")
    assert (state(held), state(stuck)) == ("in-use", "in-use")
    with refused("IncorrectState"):
        ec2.detach_volume(VolumeId=held)
    assert ec2.detach_volume(VolumeId=held, Force=True)["State"] == "detaching"
    switches.set(releasing={slow: 0, stuck: 0})
    ec2.attach_volume(VolumeId=free, InstanceId=slow, Device="/dev/sdh")
    ec2.detach_volume(VolumeId=free)
    wait_for(lambda: state(free) == "available")


def test_stopping_an_instance_takes_time_and_is_told(ec2: EC2Client, instance: Make, switches: Switches) -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-lifecycle.html: running, stopping, stopped, pending, running."""
    node = instance()
    last = max([0, *(event["id"] for event in switches.events())])

    def state() -> str:
        return ec2.describe_instances(InstanceIds=[node])["Reservations"][0]["Instances"][0]["State"]["Name"]

    switches.set(machines={node: True}, stopping=0.1)
    ec2.stop_instances(InstanceIds=[node])
    assert state() == "stopping"  # for as long as what stands for its machine runs
    with refused("IncorrectInstanceState"):
        ec2.start_instances(InstanceIds=[node])
    switches.set(machines={node: False})
    wait_for(lambda: state() == "stopped")
    ec2.stop_instances(InstanceIds=[node])
    assert state() == "stopped"
    ec2.start_instances(InstanceIds=[node])
    assert state() == "running"
    switches.set(machines={node: True})
    ec2.terminate_instances(InstanceIds=[node])
    assert state() == "shutting-down"
    switches.set(machines={node: False})
    wait_for(lambda: state() == "terminated")  # and can still be described
    told = [event["kind"] for event in switches.events(last) if event["kind"].startswith("instance.")]
    states = ["stopping", "stopped", "running", "shutting-down", "terminated"]
    assert told == [f"instance.{one}" for one in states]


def test_an_attached_volume_can_be_attached_nowhere_else_nor_deleted(ec2: EC2Client, volume: Make, instance: Make) -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html: VolumeInUse."""
    disk, first, second = volume(), instance(), instance()
    ec2.attach_volume(VolumeId=disk, InstanceId=first, Device="/dev/sdf")
    for node in (first, second):
        with refused("VolumeInUse"):
            ec2.attach_volume(VolumeId=disk, InstanceId=node, Device="/dev/sdg")
    with refused("VolumeInUse"):
        ec2.delete_volume(VolumeId=disk)


def test_a_volume_is_attached_in_its_own_zone_only(ec2: EC2Client, volume: Make, instance: Make) -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html: InvalidVolume.ZoneMismatch."""
    with refused("InvalidVolume.ZoneMismatch"):
        ec2.attach_volume(VolumeId=volume(), InstanceId=instance("us-east-1b"), Device="/dev/sdf")


def test_a_device_name_is_used_once(ec2: EC2Client, volume: Make, instance: Make) -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html: InvalidParameterValue; the device is in use
    until the volume is detached."""
    first, second, node = volume(), volume(), instance()
    ec2.attach_volume(VolumeId=first, InstanceId=node, Device="/dev/sdf")
    with refused("InvalidParameterValue"):
        ec2.attach_volume(VolumeId=second, InstanceId=node, Device="/dev/sdf")
    ec2.detach_volume(VolumeId=first)
    wait_for(lambda: volume_state(ec2, first) == "available")
    ec2.attach_volume(VolumeId=second, InstanceId=node, Device="/dev/sdf")


def test_a_volume_that_is_not_available_cannot_be_attached(ec2: EC2Client, instance: Make, switches: Switches) -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html: IncorrectState."""
    node = instance()
    switches.set(creating=30)
    made = ec2.create_volume(AvailabilityZone=ZONE, Size=5)["VolumeId"]
    with refused("IncorrectState"):
        ec2.attach_volume(VolumeId=made, InstanceId=node, Device="/dev/sdf")


def test_a_volume_that_is_not_attached_cannot_be_detached(ec2: EC2Client, volume: Make, instance: Make) -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html: IncorrectState, InvalidAttachment.NotFound."""
    disk, first, second = volume(), instance(), instance()
    with refused("IncorrectState"):
        ec2.detach_volume(VolumeId=disk)
    ec2.attach_volume(VolumeId=disk, InstanceId=first, Device="/dev/sdf")
    with refused("InvalidAttachment.NotFound"):
        ec2.detach_volume(VolumeId=disk, InstanceId=second)


def test_a_deleted_volume_is_deleting_first(ec2: EC2Client, volume: Make, switches: Switches) -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteVolume.html: it can remain in the deleting state."""
    disk = volume(TagSpecifications=specification(Name="doomed"))
    switches.set(deleting=0.8)
    ec2.delete_volume(VolumeId=disk)
    assert volume_state(ec2, disk) == "deleting"
    wait_for(lambda: not tagged(ec2, "Name", "doomed"))
    with refused("InvalidVolume.NotFound"):
        ec2.describe_volumes(VolumeIds=[disk])


def modified(ec2: EC2Client, disk: str) -> str:
    return ec2.describe_volumes_modifications(VolumeIds=[disk])["VolumesModifications"][0]["ModificationState"]


def test_a_modification_passes_through_its_states(ec2: EC2Client, volume: Make, switches: Switches) -> None:
    """Size increases take effect once the modification is optimizing.
    https://docs.aws.amazon.com/ebs/latest/userguide/monitoring-volume-modifications.html"""
    disk = volume(Size=10)
    switches.set(modifying=0.8, optimizing=0.8)
    told = ec2.modify_volume(VolumeId=disk, Size=20)["VolumeModification"]
    assert (told["ModificationState"], told["OriginalSize"], told["TargetSize"]) == ("modifying", 10, 20)
    assert ec2.describe_volumes(VolumeIds=[disk])["Volumes"][0]["Size"] == 10
    wait_for(lambda: modified(ec2, disk) == "optimizing")
    assert ec2.describe_volumes(VolumeIds=[disk])["Volumes"][0]["Size"] == 20
    wait_for(lambda: modified(ec2, disk) == "completed")


def test_a_volume_does_not_shrink(ec2: EC2Client, volume: Make) -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyVolume.html: the target size must be at least the existing one."""
    with refused("InvalidParameterValue"):
        ec2.modify_volume(VolumeId=volume(Size=10), Size=9)


def test_one_modification_at_a_time(ec2: EC2Client, volume: Make, switches: Switches) -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyVolume.html: wait for the completed state."""
    disk = volume(Size=10)
    switches.set(modifying=0.5, optimizing=30)
    ec2.modify_volume(VolumeId=disk, Size=11)
    for state in ("modifying", "optimizing"):
        wait_for(lambda state=state: modified(ec2, disk) == state)  # type: ignore[misc]
        with refused("IncorrectModificationState"):
            ec2.modify_volume(VolumeId=disk, Size=12)


def test_four_modifications_in_a_rolling_day(ec2: EC2Client, volume: Make, switches: Switches) -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyVolume.html: up to four times within a rolling 24-hour period."""
    disk = volume(Size=10)
    switches.set(modifying=0.01, optimizing=0.01)
    for size in (11, 12, 13, 14):
        ec2.modify_volume(VolumeId=disk, Size=size)
        wait_for(lambda: modified(ec2, disk) == "completed")
    with refused("VolumeModificationRateExceeded"):
        ec2.modify_volume(VolumeId=disk, Size=15)


def test_a_modification_has_the_bounds_of_its_type(ec2: EC2Client, volume: Make) -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyVolume.html: 3,000 - 80,000 IOPS for gp3."""
    disk = volume(Size=200)
    with refused("InvalidParameterValue"):
        ec2.modify_volume(VolumeId=disk, Iops=80_001)
    with refused("InvalidVolumeModification.NotFound"):
        ec2.describe_volumes_modifications(VolumeIds=[disk])


def test_pages_of_volumes_are_stable_while_volumes_come_and_go(ec2: EC2Client) -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeVolumes.html and
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/Query-Requests.html#api-pagination (5 to 1,000)."""
    mark = f"page {next(numbers)}"
    made = [ec2.create_volume(AvailabilityZone=ZONE, Size=1, TagSpecifications=specification(Name=mark))["VolumeId"] for _ in range(12)]
    asked: Any = {"Filters": [{"Name": "tag:Name", "Values": [mark]}], "MaxResults": 5}
    first = ec2.describe_volumes(**asked)
    wait_for(lambda: volume_state(ec2, made[4]) == "available")
    ec2.delete_volume(VolumeId=made[4])
    wait_for(lambda: made[4] not in tagged(ec2, "Name", mark))
    second = ec2.describe_volumes(**asked, NextToken=first["NextToken"])
    third = ec2.describe_volumes(**asked, NextToken=second["NextToken"])
    assert [each["VolumeId"] for page in (first, second, third) for each in page["Volumes"]] == made
    assert "NextToken" not in third


def test_a_page_has_five_volumes_at_least_and_a_known_token(ec2: EC2Client) -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html: InvalidParameterValue, InvalidPaginationToken."""
    with refused("InvalidParameterValue"):
        ec2.describe_volumes(MaxResults=4)
    with refused("InvalidPaginationToken"):
        ec2.describe_volumes(MaxResults=5, NextToken="made-up")


def test_tags_are_fifty_at_most_and_not_awss_own(ec2: EC2Client, volume: Make) -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html#tag-restrictions"""
    disk = volume()
    with refused("InvalidParameterValue"):
        ec2.create_tags(Resources=[disk], Tags=[{"Key": "aws:mine", "Value": "x"}])
    with refused("InvalidParameterValue"):
        ec2.create_tags(Resources=[disk], Tags=[{"Key": "k" * 129, "Value": "x"}])
    with refused("InvalidParameterValue"):
        ec2.create_tags(Resources=[disk], Tags=[{"Key": "k", "Value": "x" * 257}])
    ec2.create_tags(Resources=[disk], Tags=[{"Key": f"k{number}", "Value": "x"} for number in range(50)])
    with refused("TagLimitExceeded"):
        ec2.create_tags(Resources=[disk], Tags=[{"Key": "one more", "Value": "x"}])


def test_a_volume_with_tags_that_may_not_be_is_not_made(ec2: EC2Client) -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html#tag-restrictions: at creation, too."""
    before = len(ec2.describe_volumes()["Volumes"])
    with refused("TagLimitExceeded"):
        ec2.create_volume(AvailabilityZone=ZONE, Size=1, TagSpecifications=specification(**{f"k{number}": "x" for number in range(51)}))
    with refused("InvalidParameterValue"):
        ec2.create_volume(AvailabilityZone=ZONE, Size=1, TagSpecifications=specification(**{"aws:mine": "x"}))
    assert len(ec2.describe_volumes()["Volumes"]) == before


def test_tags_are_deleted_by_key_by_value_or_all(ec2: EC2Client, volume: Make) -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteTags.html"""
    disk = volume(TagSpecifications=specification(a="1", b="2", c="3"))

    def tags() -> dict[str, str]:
        found = ec2.describe_volumes(VolumeIds=[disk])["Volumes"][0].get("Tags", [])
        return {each["Key"]: each["Value"] for each in found}

    ec2.delete_tags(Resources=[disk], Tags=[{"Key": "a"}, {"Key": "b", "Value": "other"}])
    assert tags() == {"b": "2", "c": "3"}
    ec2.delete_tags(Resources=[disk])
    assert tags() == {}
