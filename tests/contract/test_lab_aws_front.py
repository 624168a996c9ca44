"""What stands before the lab's AWS: faults, throttles, the log of calls, IAM, events. Each fault and switch has a test."""

from __future__ import annotations

import concurrent.futures
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError

from lab.aws.client import Switches

from .conftest import ZONE, client, make_user, numbers, refused, wait_for

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_route53 import Route53Client

Make = Callable[..., str]


def create(ec2: EC2Client, **more: Any) -> str:
    return ec2.create_volume(AvailabilityZone=ZONE, Size=1, **more)["VolumeId"]


def named(name: str) -> list[Any]:
    return [{"ResourceType": "volume", "Tags": [{"Key": "Name", "Value": name}]}]


def found(ec2: EC2Client, name: str) -> list[str]:
    return [each["VolumeId"] for each in ec2.describe_volumes(Filters=[{"Name": "tag:Name", "Values": [name]}])["Volumes"]]


def test_a_throttled_call_is_refused_as_its_service_does(ec2: EC2Client, route53: Route53Client, switches: Switches) -> None:
    """https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html (RequestLimitExceeded) and
    https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/throttling-api-requests.html (Throttling)"""
    switches.order("throttle", count=2)
    with refused("RequestLimitExceeded"):
        ec2.describe_volumes()
    with refused("Throttling"):
        route53.list_hosted_zones()
    ec2.describe_volumes()


def test_boto3_waits_out_a_throttle(aws_endpoint: str, switches: Switches) -> None:
    """https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html#api-backoff"""
    switches.order("throttle", match={"action": "DescribeVolumes"}, count=2)
    patient = boto3.client(
        "ec2",
        endpoint_url=aws_endpoint,
        region_name="us-east-1",
        aws_access_key_id="AKIAMADEUP",
        aws_secret_access_key="made-up",
        config=Config(retries={"mode": "standard", "total_max_attempts": 5}),
    )
    patient.describe_volumes()
    patient.close()
    assert [each["code"] for each in switches.calls(action="DescribeVolumes")] == ["RequestLimitExceeded", "RequestLimitExceeded", ""]


def test_an_error_has_the_code_that_was_ordered(ec2: EC2Client, route53: Route53Client, switches: Switches) -> None:
    switches.order("error", match={"service": "ec2"}, code="Unavailable", status=503, count=1)
    switches.order("error", match={"service": "route53"}, code="PriorRequestNotComplete", count=1)
    with refused("Unavailable"):
        ec2.describe_volumes()
    with refused("PriorRequestNotComplete"):
        route53.list_hosted_zones()


def test_a_timeout_before_does_nothing(ec2: EC2Client, switches: Switches) -> None:
    name = f"before {next(numbers)}"
    switches.order("timeout-before", match={"action": "CreateVolume"}, count=1)
    with pytest.raises(ConnectionClosedError):
        create(ec2, TagSpecifications=named(name))
    assert found(ec2, name) == []


def test_a_timeout_after_success_leaves_what_was_made(ec2: EC2Client, switches: Switches) -> None:
    """And a retry with the same client token finds it. https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html"""
    name = f"after {next(numbers)}"
    switches.order("timeout-after-success", match={"action": "CreateVolume"}, count=1)
    with pytest.raises(ConnectionClosedError):
        create(ec2, TagSpecifications=named(name), ClientToken=name)
    assert found(ec2, name) == [create(ec2, TagSpecifications=named(name), ClientToken=name)]


def test_a_timeout_may_outlast_the_client(aws_endpoint: str, switches: Switches) -> None:
    switches.order("timeout-after-success", seconds=1, count=1)
    impatient = boto3.client(
        "ec2",
        endpoint_url=aws_endpoint,
        region_name="us-east-1",
        aws_access_key_id="AKIAMADEUP",
        aws_secret_access_key="made-up",
        config=Config(retries={"total_max_attempts": 1}, read_timeout=0.3),
    )
    with pytest.raises(ReadTimeoutError):
        impatient.describe_volumes()
    impatient.close()


def test_latency_delays_and_holds_nobody_else_up(ec2: EC2Client, route53: Route53Client, switches: Switches) -> None:
    switches.order("latency", match={"service": "ec2"}, seconds=1.2, count=1)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        began = time.monotonic()
        slow = pool.submit(lambda: (ec2.describe_volumes(), time.monotonic() - began)[1])
        wait_for(lambda: switches.faults()[0]["hits"])
        route53.list_hosted_zones()
        assert time.monotonic() - began < 1.2
        assert slow.result() >= 1.2


def test_a_fault_strikes_after_and_as_often_as_ordered(ec2: EC2Client, switches: Switches) -> None:
    switches.order("throttle", match={"action": "DescribeVolumes"}, after=1, count=2)
    ec2.describe_volumes()
    for _ in range(2):
        with refused("RequestLimitExceeded"):
            ec2.describe_volumes()
    ec2.describe_volumes()
    assert [(each["seen"], each["hits"]) for each in switches.faults()] == [(4, 2)]


def test_a_fault_may_be_for_one_object_only(ec2: EC2Client, switches: Switches) -> None:
    switches.order("error", match={"action": "CreateVolume", "contains": "unlucky"}, code="InternalError", status=500)
    create(ec2, TagSpecifications=named("lucky"))
    with refused("InternalError"):
        create(ec2, TagSpecifications=named("unlucky"))


def test_faults_are_lifted_one_by_one_or_all(ec2: EC2Client, switches: Switches) -> None:
    first, second = switches.order("throttle"), switches.order("error", code="Unavailable")
    switches.lift(first)
    assert [each["id"] for each in switches.faults()] == [second]
    switches.lift()
    ec2.describe_volumes()


def test_a_fault_that_cannot_be_is_refused_with_what_can(switches: Switches) -> None:
    with pytest.raises(ValueError, match="timeout-after-success"):
        switches.order("explode")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="acton"):
        switches.order("throttle", match={"acton": "CreateVolume"})


def test_a_stale_describe_shows_what_was(ec2: EC2Client, switches: Switches) -> None:
    """https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html: also when asked by id."""
    name = f"stale {next(numbers)}"
    switches.order("stale", seconds=4)
    made = create(ec2, TagSpecifications=named(name))
    assert found(ec2, name) == []
    with refused("InvalidVolume.NotFound"):
        ec2.describe_volumes(VolumeIds=[made])
    wait_for(lambda: found(ec2, name) == [made])


def test_a_stale_describe_shows_changes_of_state_and_tags_late(ec2: EC2Client, switches: Switches, volume: Make, instance: Make) -> None:
    """https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html"""
    disk, node = volume(), instance()
    switches.set(attaching=5.0)  # longer than any pause between two looks, so that none misses it
    switches.order("stale", match={"action": "DescribeVolumes"}, seconds=4)
    ec2.attach_volume(VolumeId=disk, InstanceId=node, Device="/dev/sdf")
    ec2.create_tags(Resources=[disk], Tags=[{"Key": "late", "Value": "yes"}])

    def seen() -> tuple[str, list[str], bool]:
        each = ec2.describe_volumes(VolumeIds=[disk])["Volumes"][0]
        return each["State"], [one["State"] for one in each["Attachments"]], "Tags" in each

    assert seen() == ("available", [], False)
    wait_for(lambda: seen() == ("in-use", ["attaching"], True))
    wait_for(lambda: seen() == ("in-use", ["attached"], True))


def test_a_stale_list_shows_records_late(route53: Route53Client, zone: str, switches: Switches) -> None:
    switches.order("stale", match={"service": "route53"}, seconds=4)
    one: Any = {"Name": "a.lab.example", "Type": "A", "TTL": 1, "ResourceRecords": [{"Value": "192.0.2.1"}]}
    route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": [{"Action": "CREATE", "ResourceRecordSet": one}]})

    def count() -> int:
        return len(route53.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"])

    assert count() == 2
    wait_for(lambda: count() == 3)


def test_writes_are_never_stale(ec2: EC2Client, switches: Switches) -> None:
    switches.order("stale", seconds=30)
    made = create(ec2)
    ec2.create_tags(Resources=[made], Tags=[{"Key": "Name", "Value": "at once"}])
    switches.lift()
    assert made in found(ec2, "at once")


def test_a_bucket_empties_and_fills(ec2: EC2Client, switches: Switches) -> None:
    """https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html: each action has a bucket of its own."""
    switches.set(throttle=True, buckets={"ec2:DescribeAddresses": [2, 4]})
    for _ in range(2):
        ec2.describe_addresses()
    with refused("RequestLimitExceeded"):
        ec2.describe_addresses()
    ec2.describe_volumes()
    time.sleep(0.3)
    ec2.describe_addresses()


def test_route_53_has_a_bucket_for_the_account(route53: Route53Client, switches: Switches) -> None:
    """https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/throttling-api-requests.html"""
    switches.set(throttle=True, buckets={"route53:account": [2, 0.01]})
    route53.list_hosted_zones()
    route53.get_hosted_zone_count()
    with refused("Throttling"):
        route53.list_hosted_zones()
    switches.set(buckets={"route53:account": [50, 10]})


def test_throttling_is_on_by_default(fresh: str) -> None:
    """50 mutating calls at once, 5 a second after (lab.aws.settings). https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html"""
    with client("ec2", fresh) as ec2, refused("RequestLimitExceeded"):
        for _ in range(120):
            create(ec2)


def test_calls_are_counted_with_who_and_what(ec2: EC2Client, route53: Route53Client, switches: Switches) -> None:
    ec2.describe_volumes()
    create(ec2)
    route53.list_hosted_zones()
    with refused("InvalidVolume.NotFound"):
        ec2.delete_volume(VolumeId="vol-0123456789abcdef0")
    assert switches.counts() == {"": {"ec2:DescribeVolumes": 1, "ec2:CreateVolume": 1, "route53:ListHostedZones": 1, "ec2:DeleteVolume": 1}}
    assert switches.writes() == ["ec2:CreateVolume", "ec2:DeleteVolume"]
    assert [(each["status"], each["code"]) for each in switches.calls(action="DeleteVolume")] == [(400, "InvalidVolume.NotFound")]
    assert all(each["request_id"] and each["access_key"] == "AKIAMADEUP" for each in switches.calls())
    switches.forget_calls()
    assert switches.calls() == []


def test_policies_are_enforced_once_armed(fresh: str) -> None:
    """UnauthorizedOperation is EC2's word: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html"""
    switches = Switches(fresh)
    with client("iam", fresh) as iam, client("ec2", fresh) as anyone:
        create(anyone)
        reader = make_user(iam, "reader", "ec2:Describe*", "route53:List*")
        engine = make_user(iam, "engine", "ec2:*", but_not="ec2:DeleteVolume")
        switches.arm_iam()
        with refused("AuthFailure"):
            anyone.describe_volumes()
    with client("ec2", fresh, *reader) as ec2, client("route53", fresh, *reader) as route53:
        switches.forget_calls()
        assert len(ec2.describe_volumes()["Volumes"]) == 1
        route53.list_hosted_zones()
        with refused("UnauthorizedOperation"):
            create(ec2)
        with refused("AccessDenied"):
            route53.create_hosted_zone(Name="lab.example", CallerReference="x")
        assert len(ec2.describe_volumes()["Volumes"]) == 1
        assert switches.counts()["reader"]["ec2:CreateVolume"] == 1
        assert switches.writes(user="reader", code="") == []
    with client("ec2", fresh, *engine) as ec2:
        made = create(ec2)
        with refused("UnauthorizedOperation"):
            ec2.delete_volume(VolumeId=made)
        switches.order("throttle", match={"user": "reader"})
        ec2.describe_volumes()
        switches.lift()
    for service, code in (("ec2", "AuthFailure"), ("route53", "SignatureDoesNotMatch")):
        with client(service, fresh, reader[0], "a wrong secret") as forged, refused(code):
            forged.describe_volumes() if service == "ec2" else forged.list_hosted_zones()
    with client("sts", fresh, *reader) as sts:
        assert sts.get_caller_identity()["Arn"].endswith(":user/reader")
    with pytest.raises(urllib.error.HTTPError) as unsigned:
        urllib.request.urlopen(fresh + "/?Action=DescribeVolumes")
    with unsigned.value as error:
        assert error.code == 403


def test_events_tell_of_attachments(ec2: EC2Client, switches: Switches, volume: Make, instance: Make) -> None:
    disk, node = volume(), instance()
    last = max((each["id"] for each in switches.events()), default=0)
    ec2.attach_volume(VolumeId=disk, InstanceId=node, Device="/dev/sdf")
    told = switches.events(last, patience=5)
    assert [(each["kind"], each["volume"], each["instance"], each["device"]) for each in told] == [
        ("volume.attached", disk, node, "/dev/sdf")
    ]
    ec2.detach_volume(VolumeId=disk)
    assert [each["kind"] for each in switches.events(told[-1]["id"], patience=5)] == ["volume.detached"]


def test_parallel_calls_with_one_token_make_one_volume(aws_endpoint: str, switches: Switches) -> None:
    """https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html"""

    def one(_: int) -> str:
        with client("ec2", aws_endpoint) as ec2:
            return create(ec2, ClientToken="all at once")

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(one, range(16)))) == 1


def test_the_switches_that_there_are_not_are_named(aws_endpoint: str, switches: Switches) -> None:
    assert switches.healthy()
    with pytest.raises(ValueError, match="no such setting: attachng"):
        switches.set(attachng=1)
    for path in ("/lab/nothing", "/moto-api/reset"):
        with pytest.raises(urllib.error.HTTPError) as refusal:
            urllib.request.urlopen(aws_endpoint + path)
        with refusal.value as error:
            assert (error.code, "/lab/faults" in json.load(error)["error"]) == (404, True)
