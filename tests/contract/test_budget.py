"""EBS's budget and defaults: one body for the fake and for botocore against the lab's AWS, and what the kind makes of their answers."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest

from lab.aws.client import Switches
from providers.aws import Aws
from providers.kinds import volume
from providers.memory import MemoryCloud, MemoryCluster
from reconciler import errors
from reconciler.kinds import Sources
from reconciler.model.environment import Environment
from reconciler.model.observation import Observation
from reconciler.ports import Cloud
from reconciler.resources import marks
from tests.contract.conftest import wait_for

ZONE = "us-east-1a"
NUMBERS = itertools.count(1)
Later = Callable[[float], None]  # seconds that the account's clock is to be ahead from now on


@pytest.fixture
def aws(aws_endpoint: str, switches: Switches, monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAMADEUP")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "made-up")
    switches.set(creating=0, modifying=0, optimizing=0)
    with closing(Aws("us-east-1", endpoint=aws_endpoint)) as found:
        yield found


@pytest.fixture(params=["memory", "aws"])
def cloud(request: pytest.FixtureRequest) -> Cloud:
    if request.param == "memory":
        return MemoryCloud(subnets={ZONE: "subnet-1"})
    found: Cloud = request.getfixturevalue("aws")
    return found


@pytest.fixture
def later(cloud: Cloud, request: pytest.FixtureRequest) -> Later:
    if isinstance(cloud, MemoryCloud):
        began = cloud.clock.time
        return lambda seconds: setattr(cloud.clock, "time", began + seconds)
    switches: Switches = request.getfixturevalue("switches")
    return lambda seconds: switches.set(ahead=seconds)


@pytest.fixture
def environment() -> Environment:
    """Whose things no other test has."""
    return Environment(name=f"budget-{next(NUMBERS)}", zones=(ZONE,))


def make(cloud: Cloud, environment: Environment, **asked: Any) -> str:
    tags = {marks.ENVIRONMENT: environment.name, marks.ADDRESS: f"volume/{environment.name}/kv/kv-0/data"}
    listed = [{"ResourceType": "volume", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}]
    made = cloud.call("ec2", "create_volume", AvailabilityZone=ZONE, TagSpecifications=listed, **{"Size": 10, "VolumeType": "gp3", **asked})
    wait_for(lambda: described(cloud, made["VolumeId"])["State"] == "available")
    return str(made["VolumeId"])


def described(cloud: Cloud, id: str) -> dict[str, Any]:
    found: dict[str, Any] = cloud.call("ec2", "describe_volumes", VolumeIds=[id])["Volumes"][0]
    return found


def latest(cloud: Cloud, id: str) -> dict[str, Any]:
    pages = cloud.pages("ec2", "describe_volumes_modifications", MaxResults=500)
    (found,) = [one for page in pages for one in page["VolumesModifications"] if one["VolumeId"] == id]
    return dict(found)


def grow(cloud: Cloud, id: str, size: int) -> None:
    cloud.call("ec2", "modify_volume", VolumeId=id, Size=size)
    wait_for(lambda: latest(cloud, id)["ModificationState"] == "completed")


def seen(cloud: Cloud, environment: Environment) -> Observation:
    (reading,) = volume.KIND.readings(environment)
    (found,) = reading.read(Sources(cloud, MemoryCluster(), environment))
    return found


def refused(code: str) -> Any:
    return pytest.raises(errors.ProviderError, match=code)


def test_a_day_has_room_for_four_and_the_next_for_more(cloud: Cloud, environment: Environment, later: Later) -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyVolume.html: up to four times within a rolling 24-hour period."""
    disk = make(cloud, environment)
    for size in (11, 12, 13, 14):
        grow(cloud, disk, size)
    with refused("VolumeModificationRateExceeded"):
        grow(cloud, disk, 15)
    later(23 * 3600)
    with refused("VolumeModificationRateExceeded"):
        grow(cloud, disk, 15)
    later(24 * 3600 + 5)
    grow(cloud, disk, 15)
    assert described(cloud, disk)["Size"] == 15


def test_only_the_latest_modification_is_told_and_when_it_was(cloud: Cloud, environment: Environment, later: Later) -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeVolumesModifications.html: the most recent request."""
    disk = make(cloud, environment)
    grow(cloud, disk, 11)
    first = latest(cloud, disk)["StartTime"]
    later(3600)
    grow(cloud, disk, 12)
    assert (latest(cloud, disk)["StartTime"] - first).total_seconds() >= 3599


def test_a_volume_is_seen_as_busy_until_its_modification_is_completed(
    cloud: Cloud, environment: Environment, request: pytest.FixtureRequest
) -> None:
    disk = make(cloud, environment)
    assert seen(cloud, environment).busy == ""
    _let_modifications_take(cloud, request)
    cloud.call("ec2", "modify_volume", VolumeId=disk, Size=11)
    wait_for(lambda: described(cloud, disk)["Size"] == 11)
    assert "is not completed yet" in seen(cloud, environment).busy
    with refused("IncorrectModificationState"):
        cloud.call("ec2", "modify_volume", VolumeId=disk, Size=12)


def _let_modifications_take(cloud: Cloud, request: pytest.FixtureRequest) -> None:
    if isinstance(cloud, MemoryCloud):
        cloud.ec2.modifications.takes = timedelta(hours=1)
    else:
        request.getfixturevalue("switches").set(optimizing=3600)


def test_the_budget_is_seen_by_the_accounts_own_clock(cloud: Cloud, environment: Environment, later: Later) -> None:
    """What EBS forgets stands in the tag; when the next is possible is told to the second, and is true."""
    disk = make(cloud, environment)
    grow(cloud, disk, 11)
    for hours, size in ((1, 12), (2, 13), (3, 14)):
        history = seen(cloud, environment).attributes["modified"]
        later(hours * 3600)
        cloud.call("ec2", "create_tags", Resources=[disk], Tags=[{"Key": marks.MODIFIED, "Value": history}])
        grow(cloud, disk, size)
    busy = seen(cloud, environment).busy
    assert "the next is possible at " in busy
    later(4 * 3600)
    assert seen(cloud, environment).busy == busy
    later(24 * 3600 + 5)
    assert seen(cloud, environment).busy == ""
    grow(cloud, disk, 15)


@pytest.mark.parametrize(
    ("asked", "filled"),
    [
        ({"VolumeType": "gp3"}, {"Iops": 3000, "Throughput": 125}),
        ({"VolumeType": "gp3", "Size": 100, "Iops": 6000, "Throughput": 500}, {"Iops": 6000, "Throughput": 500}),
        ({"VolumeType": "gp2"}, {"Iops": 100}),
        ({"VolumeType": "gp2", "Size": 1000}, {"Iops": 3000}),
        ({"VolumeType": "io2", "Iops": 200}, {"Iops": 200}),
        ({"VolumeType": "st1", "Size": 125}, {}),
    ],
    ids=lambda value: "-".join(map(str, value.values())),
)
def test_what_is_not_asked_for_is_filled_in(cloud: Cloud, environment: Environment, asked: dict[str, Any], filled: dict[str, int]) -> None:
    """https://docs.aws.amazon.com/ebs/latest/userguide/ebs-volume-types.html"""
    found = described(cloud, make(cloud, environment, **asked))
    assert {name: found[name] for name in ("Iops", "Throughput") if found.get(name)} == filled


@pytest.mark.parametrize(
    ("before", "asked", "after"),
    [
        ({"VolumeType": "gp2"}, {"VolumeType": "gp3"}, {"Iops": 3000, "Throughput": 125}),
        ({"VolumeType": "gp3", "Size": 100, "Iops": 6000, "Throughput": 500}, {"Size": 200}, {"Iops": 6000, "Throughput": 500}),
        ({"VolumeType": "gp3"}, {"VolumeType": "io2"}, {"Iops": 3000}),
        ({"VolumeType": "gp2"}, {"Size": 1000}, {"Iops": 3000}),
        ({"VolumeType": "io2", "Iops": 500}, {"VolumeType": "gp2"}, {"Iops": 100}),
    ],
    ids=lambda value: "-".join(map(str, value.values())),
)
def test_what_a_modification_does_not_name_is_kept_or_the_new_types_own(
    cloud: Cloud, environment: Environment, before: dict[str, Any], asked: dict[str, Any], after: dict[str, int]
) -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyVolume.html (Iops, Throughput)"""
    disk = make(cloud, environment, **before)
    cloud.call("ec2", "modify_volume", VolumeId=disk, **asked)
    wait_for(lambda: latest(cloud, disk)["ModificationState"] == "completed")
    found = described(cloud, disk)
    assert {name: found[name] for name in ("Iops", "Throughput") if found.get(name)} == after


@pytest.mark.parametrize(
    "asked",
    [{"VolumeType": "gp3", "Iops": 100}, {"VolumeType": "gp3", "Size": 10, "Iops": 5001}, {"VolumeType": "st1"}, {"Size": 9}],
    ids=lambda value: "-".join(map(str, value.values())),
)
def test_what_no_volume_can_be_is_refused_and_spends_nothing(cloud: Cloud, environment: Environment, asked: dict[str, Any]) -> None:
    disk = make(cloud, environment, VolumeType="gp2")
    for _ in range(5):
        with refused("InvalidParameterValue"):
            cloud.call("ec2", "modify_volume", VolumeId=disk, **asked)
    grow(cloud, disk, 11)
