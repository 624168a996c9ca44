"""What an account holds before the first service: a VPC, a subnet a zone, a security group, an instance a node, a private zone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab import layout
from lab.nodes import INSTANCE_TYPE, Node

if TYPE_CHECKING:
    from mypy_boto3_ec2.client import EC2Client
    from mypy_boto3_ec2.type_defs import TagTypeDef
    from mypy_boto3_route53.client import Route53Client

_MAY_BE_STOPPED: list[TagTypeDef] = [{"Key": "reconciler/node", "Value": "true"}]  # by the members role; see docs/how-to/dead-nodes.md
_IMAGE = "ami-12c6146b"  # one that moto knows; nothing boots


@dataclass(frozen=True, slots=True)
class Cloud:
    """The ids of what was made; *subnets* by zone, *instances* by node, *hosted_zones* by name."""

    vpc: str
    subnets: dict[str, str]
    security_groups: list[str]
    instances: dict[str, str]
    hosted_zones: dict[str, str]


def furnish(ec2: EC2Client, route53: Route53Client, nodes: Iterable[Node]) -> Cloud:
    vpc = ec2.create_vpc(CidrBlock=layout.VPC)["Vpc"]["VpcId"]
    subnets = {
        zone: ec2.create_subnet(VpcId=vpc, CidrBlock=block, AvailabilityZone=zone)["Subnet"]["SubnetId"]
        for zone, block in zip(layout.ZONES, layout.SUBNETS, strict=True)
    }
    group = ec2.create_security_group(GroupName="nodes", Description="The lab's nodes and members", VpcId=vpc)["GroupId"]
    instances = {node.name: _run(ec2, node, subnets, group) for node in nodes}
    return Cloud(vpc, subnets, [group], instances, {layout.HOSTED_ZONE: _private_zone(route53, vpc)})


def _run(ec2: EC2Client, node: Node, subnets: Mapping[str, str], group: str) -> str:
    reservation = ec2.run_instances(
        ImageId=_IMAGE,
        InstanceType=INSTANCE_TYPE,
        MinCount=1,
        MaxCount=1,
        SubnetId=subnets[node.zone],
        PrivateIpAddress=node.address,
        SecurityGroupIds=[group],
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": node.name}, *_MAY_BE_STOPPED]}],
    )
    return reservation["Instances"][0]["InstanceId"]


def _private_zone(route53: Route53Client, vpc: str) -> str:
    made = route53.create_hosted_zone(
        Name=layout.HOSTED_ZONE,
        CallerReference="lab",
        VPC={"VPCRegion": layout.REGION, "VPCId": vpc},
        HostedZoneConfig={"PrivateZone": True, "Comment": "The lab's own"},
    )
    return made["HostedZone"]["Id"].removeprefix("/hostedzone/")
