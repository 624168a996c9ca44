"""What the kinds of AWS declare, under the real engine against the lab: what AWS answers in other words makes the engine do nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pulumi
import pytest

from lab.layout import Layout
from reconciler import kinds
from reconciler.model.address import ResourceId, parse
from reconciler.model.desired import Desired
from reconciler.model.environment import Environment
from reconciler.model.observation import gather
from reconciler.model.origin import Revision
from reconciler.model.resource import Resource
from reconciler.resources import baseline
from tests.integration.plugin_stack import Declare, EngineFailed, Stack, client, new_stack, nothing

pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore")]  # the SDK warns of itself
KINDS = kinds.kinds()
ALIAS = "arn:aws:kms:us-east-1:123456789012:alias/data"


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


def declare(address: str, fields: dict[str, Any]) -> Declare:
    """A program of the one resource at *address*, as its kind declares it."""
    id = parse(address)

    def program(to_aws: pulumi.ResourceOptions, _: pulumi.ResourceOptions) -> None:
        KINDS[id.kind].declare(Resource(id, fields, "kv"), fields, to_aws)

    return program


def disk(name: str, **more: Any) -> dict[str, Any]:
    return {"size": "10Gi", "type": "gp3", "zone": "us-east-1a", "encrypted": True, "tags": {"Name": name}, **more}


def test_a_volume_keeps_the_key_behind_the_alias_that_its_spec_names(stack: Stack, ec2: Any) -> None:
    """Read back as a key, the alias would be a reason to replace the volume, and its data with it."""
    address = f"volume/lab/kv/{stack.name}/data"
    assert stack.up(declare(address, disk(stack.name, kms_key=ALIAS))) == {address: "create"}
    volume = _volume(ec2, stack.name)
    assert volume["KmsKeyId"] != ALIAS
    assert stack.up(declare(address, disk(stack.name, kms_key=ALIAS))) == {address: "same"}
    assert stack.up(declare(address, disk(stack.name, kms_key=ALIAS, size="11Gi"))) == {address: "update"}
    grown = _volume(ec2, stack.name)
    assert (grown["VolumeId"], grown["KmsKeyId"], grown["Size"]) == (volume["VolumeId"], volume["KmsKeyId"], 11)


def test_a_volume_that_has_a_key_by_an_alias_can_be_imported(stack: Stack, ec2: Any) -> None:
    made = ec2.create_volume(
        AvailabilityZone="us-east-1a",
        Size=10,
        VolumeType="gp3",
        Encrypted=True,
        KmsKeyId=ALIAS,
        TagSpecifications=[{"ResourceType": "volume", "Tags": [{"Key": "Name", "Value": stack.name}]}],
    )
    ec2.get_waiter("volume_available").wait(VolumeIds=[made["VolumeId"]], WaiterConfig={"Delay": 1})
    address = f"volume/lab/kv/{stack.name}/data"
    id, fields = parse(address), disk(stack.name, kms_key=ALIAS)

    def program(to_aws: pulumi.ResourceOptions, _: pulumi.ResourceOptions) -> None:
        options = pulumi.ResourceOptions.merge(to_aws, pulumi.ResourceOptions(import_=made["VolumeId"]))
        KINDS["volume"].declare(Resource(id, fields, "kv"), fields, options)

    assert stack.up(program) == {address: "import"}
    assert stack.up(declare(address, fields)) == {address: "same"}


def test_a_volume_becomes_gp3_with_gp3s_iops(stack: Stack, ec2: Any) -> None:
    """As the provider does it, it would ask for the hundred of a small gp2, and EBS refuses them."""
    address = f"volume/lab/kv/{stack.name}/data"
    assert stack.up(declare(address, disk(stack.name, type="gp2"))) == {address: "create"}
    with pytest.raises(EngineFailed, match="iops of 100 is too low"):
        stack.up(declare(address, disk(stack.name)))
    live = KINDS["volume"].view({**_volume(ec2, stack.name), "Tags": _marks(parse(address))}, "lab")
    resource = Resource(parse(address), disk(stack.name), "kv")
    environment = Environment(name="lab", zones=("us-east-1a",))
    desired = Desired(environment, Revision("c", "t", "lab"), resources={resource.id: resource})
    filled = baseline.fill(desired, gather([live], {})).resources[resource.id]
    assert stack.up(declare(address, dict(filled.fields))) == {address: "update"}
    assert (_volume(ec2, stack.name)["VolumeType"], _volume(ec2, stack.name)["Iops"]) == ("gp3", 3000)
    assert stack.up(declare(address, disk(stack.name))) == {address: "same"}


def test_iops_that_no_spec_says_stay_as_a_person_set_them(stack: Stack, ec2: Any) -> None:
    address = f"volume/lab/kv/{stack.name}/data"
    stack.up(declare(address, disk(stack.name)))
    ec2.modify_volume(VolumeId=_volume(ec2, stack.name)["VolumeId"], Iops=4000)
    assert stack.up(declare(address, disk(stack.name))) == {address: "same"}


def test_what_members_and_persons_do_with_an_interface_is_left_alone(stack: Stack, ec2: Any, lab: Layout) -> None:
    address = f"interface/lab/kv/{stack.name}"
    fields = {"subnet": lab.aws.subnets["us-east-1a"], "security_groups": list(lab.aws.security_groups), "tags": {"Name": stack.name}}
    assert stack.up(declare(address, fields)) == {address: "create"}
    (made,) = ec2.describe_network_interfaces(Filters=[{"Name": "tag:Name", "Values": [stack.name]}])["NetworkInterfaces"]
    id = made["NetworkInterfaceId"]
    ec2.modify_network_interface_attribute(NetworkInterfaceId=id, SourceDestCheck={"Value": False})
    ec2.modify_network_interface_attribute(NetworkInterfaceId=id, Description={"Value": "by hand"})
    assert stack.up(declare(address, fields)) == {address: "same"}
    stack.up(nothing)


def test_a_tag_that_is_declared_no_more_goes_and_those_of_others_stay(stack: Stack, ec2: Any) -> None:
    """The program is told of the others' (`apply` finds them), and sets the whole of a thing's tags."""
    address = f"volume/lab/kv/{stack.name}/data"
    stack.up(declare(address, disk(stack.name, tags={"Name": stack.name, "team": "db", "Cost Center": "42"})))
    volume = _volume(ec2, stack.name)
    ec2.create_tags(Resources=[volume["VolumeId"]], Tags=[{"Key": "backup", "Value": "nightly"}])
    assert stack.up(declare(address, disk(stack.name, tags={"Name": stack.name, "team": "db", "backup": "nightly"}))) == {address: "update"}
    tags = {tag["Key"]: tag["Value"] for tag in _volume(ec2, stack.name)["Tags"]}
    assert tags == {"Name": stack.name, "team": "db", "backup": "nightly"}


def test_a_zone_stays_in_the_networks_of_others(stack: Stack, route53: Any, ec2: Any, lab: Layout) -> None:
    name = f"{stack.name}.internal"
    address = f"zone/lab/{name}"
    fields: dict[str, Any] = {"name": name, "vpc": lab.aws.vpc, "tags": {"Name": stack.name}}
    assert stack.up(declare(address, fields)) == {address: "create"}
    (zone,) = (one["Id"] for one in route53.list_hosted_zones()["HostedZones"] if one["Name"] == f"{name}.")
    other = ec2.create_vpc(CidrBlock="10.77.0.0/16")["Vpc"]["VpcId"]
    route53.associate_vpc_with_hosted_zone(HostedZoneId=zone, VPC={"VPCId": other, "VPCRegion": lab.region})
    told = {**route53.get_hosted_zone(Id=zone), "Tags": _marks(parse(address))}
    seen = KINDS["zone"].view(told, "lab")
    resource = Resource(parse(address), fields, "-")
    environment = Environment(name="lab", zones=("us-east-1a",))
    desired = Desired(environment, Revision("c", "t", "lab"), resources={resource.id: resource})
    filled = baseline.fill(desired, gather([seen], {})).resources[resource.id]
    assert stack.up(declare(address, dict(filled.fields))).keys() == {address}
    inside = {one["VPCId"] for one in route53.get_hosted_zone(Id=zone)["VPCs"]}
    assert inside == {lab.aws.vpc, other}
    stack.up(nothing)


def _marks(id: ResourceId) -> list[dict[str, str]]:
    """The tags by which the live thing is known to be at *id*."""
    marks = {"reconciler/environment": "lab", "reconciler/service": "kv", "reconciler/address": str(id)}
    return [{"Key": key, "Value": value} for key, value in marks.items()]


def _volume(ec2: Any, name: str) -> Any:
    (found,) = ec2.describe_volumes(Filters=[{"Name": "tag:Name", "Values": [name]}])["Volumes"]
    return found
