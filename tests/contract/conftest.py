"""The lab's AWS as a process of its own on a free port, for tests that talk to it with boto3."""

from __future__ import annotations

import contextlib
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from lab.aws.client import Switches

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_route53 import Route53Client

QUICK = {"creating": 0.1, "deleting": 0.1, "attaching": 0.1, "detaching": 0.1, "modifying": 0.15, "optimizing": 0.15, "insync": 0.1} | {
    "snapshotting": 0.3
}
ONCE = Config(retries={"total_max_attempts": 1}, read_timeout=5)
IMAGE = "ami-12c6146b"
ZONE = "us-east-1a"
numbers = itertools.count(1)


@contextlib.contextmanager
def serving(directory: Path, settings: dict[str, Any]) -> Iterator[str]:
    """The endpoint of a lab's AWS that lives as long as this."""
    command = [sys.executable, "-m", "lab.aws.server", "--port", "0", "--dir", str(directory), "--settings", json.dumps(settings)]
    process = subprocess.Popen(command)
    try:
        told = directory / "aws" / "server.json"
        wait_for(told.exists, seconds=20)
        yield f"http://127.0.0.1:{json.loads(told.read_text())['port']}"
    finally:
        process.terminate()
        process.wait(10)


def wait_for(condition: Callable[[], Any], seconds: float = 20) -> Any:
    """What *condition* gives once it gives something."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.02)
    return found


@contextlib.contextmanager
def client(service: str, endpoint: str, key: str = "AKIAMADEUP", secret: str = "made-up") -> Iterator[Any]:
    """A boto3 client that tries once."""
    found: Any = boto3.client(  # type: ignore[call-overload] # any service
        service, region_name="us-east-1", endpoint_url=endpoint, aws_access_key_id=key, aws_secret_access_key=secret, config=ONCE
    )
    with contextlib.closing(found):
        yield found


@contextlib.contextmanager
def refused(code: str) -> Iterator[None]:
    """Expect AWS's error *code*."""
    with pytest.raises(ClientError) as caught:
        yield
    assert caught.value.response["Error"]["Code"] == code


@pytest.fixture(scope="session")
def aws_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One quick lab for all tests that don't arm IAM."""
    with serving(tmp_path_factory.mktemp("lab"), QUICK | {"throttle": False, "addresses": 1000}) as endpoint:
        yield endpoint


@pytest.fixture
def switches(aws_endpoint: str) -> Iterator[Switches]:
    """The lab's switches, put back after the test."""
    found = Switches(aws_endpoint)
    found.forget_calls()
    yield found
    found.lift()
    found.set(**QUICK, throttle=False, addresses=1000, ahead=0)


@pytest.fixture
def ec2(aws_endpoint: str, switches: Switches) -> Iterator[EC2Client]:
    with client("ec2", aws_endpoint) as found:
        yield found


@pytest.fixture
def route53(aws_endpoint: str, switches: Switches) -> Iterator[Route53Client]:
    with client("route53", aws_endpoint) as found:
        yield found


@pytest.fixture
def zone(route53: Route53Client) -> str:
    """A hosted zone, `lab.example.`."""
    return route53.create_hosted_zone(Name="Lab.Example", CallerReference=f"zone {next(numbers)}")["HostedZone"]["Id"]


@pytest.fixture(scope="session")
def subnets(aws_endpoint: str) -> dict[str, str]:
    """A subnet a zone."""
    with client("ec2", aws_endpoint) as found:
        return {each["AvailabilityZone"]: each["SubnetId"] for each in found.describe_subnets()["Subnets"]}


@pytest.fixture
def instance(ec2: EC2Client, subnets: dict[str, str]) -> Callable[..., str]:
    """Makes an instance of a type in a zone; gives its id."""

    def make(zone: str = ZONE, kind: str = "t3.medium") -> str:
        made = ec2.run_instances(ImageId=IMAGE, InstanceType=kind, MinCount=1, MaxCount=1, SubnetId=subnets[zone])  # type: ignore[arg-type]
        return made["Instances"][0]["InstanceId"]

    return make


@pytest.fixture
def volume(ec2: EC2Client) -> Callable[..., str]:
    """Makes a volume and waits until it may be had; gives its id."""

    def make(**more: Any) -> str:
        asked: dict[str, Any] = {"AvailabilityZone": ZONE, "Size": 10, "VolumeType": "gp3"} | more
        made = ec2.create_volume(**asked)["VolumeId"]
        wait_for(lambda: volume_state(ec2, made) == "available")
        return made

    return make


def volume_state(ec2: EC2Client, volume: str) -> str:
    return ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["State"]


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[str]:
    """The endpoint of a lab of this test's own."""
    with serving(tmp_path, QUICK) as endpoint:
        yield endpoint


def make_user(iam: IAMClient, name: str, *actions: str, but_not: str = "none:None") -> tuple[str, str]:
    """A user who may do *actions* but not one; the access key and its secret."""
    allow = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    deny = {"Effect": "Deny", "Action": but_not, "Resource": "*"}
    iam.create_user(UserName=name)
    for effect in (allow, deny):
        policy = {"Version": "2012-10-17", "Statement": [effect]}
        iam.put_user_policy(UserName=name, PolicyName=str(effect["Effect"]), PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return key["AccessKeyId"], key["SecretAccessKey"]
