"""The lab's snapshots are as EBS's: pending first, of one instant, and with the data. Each test names the page that says so."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from lab.aws.client import Switches
from lab.aws.disks import Disks

from .conftest import refused, wait_for

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

Make = Callable[..., str]


def state(ec2: EC2Client, snapshot: str) -> str:
    return ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]["State"]


def test_a_snapshot_is_pending_and_makes_no_volume_until_it_is_completed(ec2: EC2Client, volume: Make, switches: Switches) -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateVolume.html: the snapshot has to be completed."""
    switches.set(snapshotting=0.5)
    made = ec2.create_snapshot(VolumeId=volume())
    assert made["State"] == "pending"
    with refused("IncorrectState"):
        ec2.create_volume(AvailabilityZone="us-east-1b", SnapshotId=made["SnapshotId"])
    wait_for(lambda: state(ec2, made["SnapshotId"]) == "completed")
    copy = ec2.create_volume(AvailabilityZone="us-east-1b", SnapshotId=made["SnapshotId"])
    assert (copy["Size"], copy["SnapshotId"]) == (made["VolumeSize"], made["SnapshotId"]), "another zone may have it, too"


def test_a_snapshot_remembers_the_size_that_its_volume_had(ec2: EC2Client, volume: Make) -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Snapshot.html: volumeSize."""
    disk = volume()
    made = ec2.create_snapshot(VolumeId=disk)
    ec2.modify_volume(VolumeId=disk, Size=made["VolumeSize"] + 5)
    wait_for(lambda: ec2.describe_volumes(VolumeIds=[disk])["Volumes"][0]["Size"] > made["VolumeSize"])
    assert ec2.describe_snapshots(SnapshotIds=[made["SnapshotId"]])["Snapshots"][0]["VolumeSize"] == made["VolumeSize"]


def test_the_root_volume_is_not_left_out_by_its_id(ec2: EC2Client, instance: Make) -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_InstanceSpecification.html: "If you specify the ID of the root volume,
    the request fails." """
    node = instance()
    root = ec2.describe_instances(InstanceIds=[node])["Reservations"][0]["Instances"][0]["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
    with refused("InvalidParameterValue"):
        ec2.create_snapshots(InstanceSpecification={"InstanceId": node, "ExcludeDataVolumeIds": [root]})
    made = ec2.create_snapshots(InstanceSpecification={"InstanceId": node})["Snapshots"]
    assert [one["VolumeId"] for one in made] == [root]


WRITER = """
import pathlib, sys, time
folders = [pathlib.Path(one) for one in sys.argv[1:]]
number = 0
while True:
    number += 1
    for folder in folders:
        with (folder / "log").open("a") as log:
            log.write(f"{number}\\n")
"""


def test_what_two_volumes_have_is_of_one_instant(tmp_path: Path) -> None:
    """https://docs.aws.amazon.com/ebs/latest/userguide/ebs-create-snapshot.html#ebs-create-snapshots: crash-consistent across the volumes.

    A writer that has both mounted writes each number into one, then the other: a copy never has a number in the second alone, and none
    that is missing.
    """
    folders = [tmp_path / "volumes" / name for name in ("vol-1", "vol-2")]
    for folder in folders:
        folder.mkdir(parents=True)
    binds = " && ".join(f"mount --bind {folder} {folder}" for folder in folders)
    own = ["--user", "--map-root-user"] if os.geteuid() else []
    enter = ["unshare", *own, "--mount", "sh", "-c", f'{binds} && exec "$@"', "sh"]
    writer = subprocess.Popen([*enter, sys.executable, "-c", WRITER, *map(str, folders)])
    try:
        wait_for((folders[1] / "log").exists)
        disks = Disks(tmp_path)
        for number in range(5):
            disks.keep({f"snap-{number}a": "vol-1", f"snap-{number}b": "vol-2"})
            first, second = (read(tmp_path / "snapshots" / f"snap-{number}{half}") for half in "ab")
            assert len(first) - len(second) in {0, 1}
            assert first == [str(one) for one in range(1, len(first) + 1)]
        before = len(read(folders[0]))
        wait_for(lambda: len(read(folders[0])) > before)
    finally:
        writer.kill()
        writer.wait()
    disks.restore("snap-0a", "vol-3")
    assert read(tmp_path / "volumes" / "vol-3") == read(tmp_path / "snapshots" / "snap-0a")
    disks.drop("snap-0a")
    assert not (tmp_path / "snapshots" / "snap-0a").exists()


def read(folder: Path) -> list[str]:
    """The whole lines of a log, but for one that is being written."""
    text = (folder / "log").read_text()
    return text[: text.rfind("\n") + 1].splitlines()


def test_an_account_without_a_lab_has_no_data(tmp_path: Path) -> None:
    disks = Disks()
    disks.keep({"snap-1": "vol-1"})
    disks.restore("snap-1", "vol-2")
    disks.drop("snap-1")
    assert not list(tmp_path.iterdir())
