"""The lab's AWS is as strict with interfaces and Elastic addresses as AWS. Each test names the page of docs.aws.amazon.com that says so."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from lab.aws.client import Switches

from .conftest import ZONE, numbers, refused, wait_for

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

Make = Callable[..., str]


@pytest.fixture
def interface(ec2: EC2Client, subnets: dict[str, str]) -> Make:
    """Makes an interface in a zone; gives its id."""
    return lambda zone=ZONE, **more: ec2.create_network_interface(SubnetId=subnets[zone], **more)["NetworkInterface"]["NetworkInterfaceId"]


def described(ec2: EC2Client, interface: str) -> Any:
    return ec2.describe_network_interfaces(NetworkInterfaceIds=[interface])["NetworkInterfaces"][0]


def attached(ec2: EC2Client, interface: str, node: str, index: int = 1) -> str:
    made = ec2.attach_network_interface(NetworkInterfaceId=interface, InstanceId=node, DeviceIndex=index)["AttachmentId"]
    wait_for(lambda: described(ec2, interface)["Attachment"]["Status"] == "attached")
    return made


def test_the_same_client_token_gives_the_same_interface(interface: Make) -> None:
    """https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html"""
    assert interface(ClientToken="twice") == interface(ClientToken="twice")
    with refused("IdempotentParameterMismatch"):
        interface(ClientToken="twice", Description="another")


def test_an_attached_interface_can_be_attached_nowhere_else_nor_deleted(ec2: EC2Client, interface: Make, instance: Make) -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html: InvalidNetworkInterface.InUse, "if a network
    interface is in use, you may also receive the InvalidParameterValue error" (which DeleteNetworkInterface gives)."""
    mine, first, second = interface(), instance(), instance()
    attached(ec2, mine, first)
    for node in (first, second):
        with refused("InvalidNetworkInterface.InUse"):
            ec2.attach_network_interface(NetworkInterfaceId=mine, InstanceId=node, DeviceIndex=2)
    with refused("InvalidParameterValue"):
        ec2.delete_network_interface(NetworkInterfaceId=mine)


@pytest.mark.parametrize(("kind", "most"), [("t3.micro", 2), ("t3.medium", 3), ("m5.large", 3), ("m5.xlarge", 4)])
def test_an_instance_takes_as_many_interfaces_as_its_type(ec2: EC2Client, interface: Make, instance: Make, kind: str, most: int) -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/AvailableIpPerENI.html and
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html: AttachmentLimitExceeded."""
    node = instance(kind=kind)
    for index in range(1, most):
        ec2.attach_network_interface(NetworkInterfaceId=interface(), InstanceId=node, DeviceIndex=index)
    with refused("AttachmentLimitExceeded"):
        ec2.attach_network_interface(NetworkInterfaceId=interface(), InstanceId=node, DeviceIndex=most)


def test_an_interface_is_attached_in_its_own_zone_only(ec2: EC2Client, interface: Make, instance: Make) -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-eni.html: instance and interface in the same Availability Zone."""
    with refused("InvalidParameterCombination"):
        ec2.attach_network_interface(NetworkInterfaceId=interface(), InstanceId=instance("us-east-1b"), DeviceIndex=1)


def test_a_device_index_is_used_once(ec2: EC2Client, interface: Make, instance: Make) -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html: InvalidParameterValue."""
    node = instance()
    attached(ec2, interface(), node)
    with refused("InvalidParameterValue"):
        ec2.attach_network_interface(NetworkInterfaceId=interface(), InstanceId=node, DeviceIndex=1)


def test_attaching_and_detaching_an_interface_take_time(ec2: EC2Client, interface: Make, instance: Make, switches: Switches) -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_NetworkInterfaceAttachment.html: attaching, attached, detaching."""
    mine, node = interface(), instance()
    switches.set(attaching=0.8, detaching=0.8)
    attachment = ec2.attach_network_interface(NetworkInterfaceId=mine, InstanceId=node, DeviceIndex=1)["AttachmentId"]
    assert (described(ec2, mine)["Status"], described(ec2, mine)["Attachment"]["Status"]) == ("in-use", "attaching")
    wait_for(lambda: described(ec2, mine)["Attachment"]["Status"] == "attached")
    ec2.detach_network_interface(AttachmentId=attachment)
    assert (described(ec2, mine)["Status"], described(ec2, mine)["Attachment"]["Status"]) == ("in-use", "detaching")
    wait_for(lambda: described(ec2, mine)["Status"] == "available")
    assert "Attachment" not in described(ec2, mine)


def test_a_primary_interface_stays(ec2: EC2Client, instance: Make) -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-eni.html: you can't detach a primary network interface."""
    found = ec2.describe_instances(InstanceIds=[instance()])["Reservations"][0]["Instances"][0]
    with refused("OperationNotPermitted"):
        ec2.detach_network_interface(AttachmentId=found["NetworkInterfaces"][0]["Attachment"]["AttachmentId"])


def test_an_address_is_in_its_subnet_and_given_once(ec2: EC2Client, interface: Make, subnets: dict[str, str]) -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html: InvalidIPAddress.InUse, InvalidParameterValue;
    https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html: the first four and the last are reserved."""
    network = ipaddress.ip_network(ec2.describe_subnets(SubnetIds=[subnets[ZONE]])["Subnets"][0]["CidrBlock"])
    mine = interface(PrivateIpAddress=str(network[200]))
    with refused("InvalidIPAddress.InUse"):
        interface(PrivateIpAddress=str(network[200]))
    for address in (network[0], network[3], network[-1], ipaddress.ip_address("192.0.2.1")):
        with refused("InvalidParameterValue"):
            interface(PrivateIpAddress=str(address))
    ec2.delete_network_interface(NetworkInterfaceId=mine)
    interface(PrivateIpAddress=str(network[200]))


def test_addresses_that_nobody_asked_for_are_free_ones(ec2: EC2Client) -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html: InsufficientFreeAddressesInSubnet;
    https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html: a /28 has eleven."""
    home = ec2.create_vpc(CidrBlock=f"10.{next(numbers)}.0.0/16")["Vpc"]
    small = ec2.create_subnet(VpcId=home["VpcId"], CidrBlock=home["CidrBlock"].replace("/16", "/28"))["Subnet"]["SubnetId"]
    given = [ec2.create_network_interface(SubnetId=small)["NetworkInterface"]["PrivateIpAddress"] for _ in range(11)]
    assert len(set(given)) == 11
    with refused("InsufficientFreeAddressesInSubnet"):
        ec2.create_network_interface(SubnetId=small)


def test_an_interface_needs_groups_that_exist(interface: Make) -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html: InvalidGroup.NotFound."""
    with refused("InvalidGroup.NotFound"):
        interface(Groups=["sg-0123456789abcdef0"])


def test_pages_of_interfaces(ec2: EC2Client, interface: Make) -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeNetworkInterfaces.html: 5 to 1,000, not together with ids."""
    mark = f"page {next(numbers)}"
    made = [interface(Description=mark) for _ in range(7)]
    asked: Any = {"Filters": [{"Name": "description", "Values": [mark]}], "MaxResults": 5}
    first = ec2.describe_network_interfaces(**asked)
    second = ec2.describe_network_interfaces(**asked, NextToken=first["NextToken"])
    assert [each["NetworkInterfaceId"] for page in (first, second) for each in page["NetworkInterfaces"]] == made
    assert "NextToken" not in second
    with refused("InvalidParameterValue"):
        ec2.describe_network_interfaces(MaxResults=1001)
    with refused("InvalidParameterCombination"):
        ec2.describe_network_interfaces(NetworkInterfaceIds=[made[0]], MaxResults=5)


def test_pages_of_instances(ec2: EC2Client, instance: Make) -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html: not together with ids."""
    made = {instance() for _ in range(6)}
    first = ec2.describe_instances(MaxResults=5)
    assert len(first["Reservations"]) == 5
    found = [
        each for page in ec2.get_paginator("describe_instances").paginate(PaginationConfig={"PageSize": 5}) for each in page["Reservations"]
    ]
    assert made <= {node["InstanceId"] for each in found for node in each["Instances"]}
    with refused("InvalidParameterCombination"):
        ec2.describe_instances(InstanceIds=list(made)[:1], MaxResults=5)
    with refused("InvalidPaginationToken"):
        ec2.describe_instances(MaxResults=5, NextToken="made-up")


def test_a_terminated_instance_lets_go(ec2: EC2Client, interface: Make, instance: Make, volume: Make) -> None:
    """Volumes and further interfaces are detached, the primary interface is deleted.
    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/terminating-instances.html,
    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-eni.html"""
    disk, mine, node = volume(), interface(), instance()
    primary = ec2.describe_instances(InstanceIds=[node])["Reservations"][0]["Instances"][0]["NetworkInterfaces"][0]["NetworkInterfaceId"]
    attached(ec2, mine, node)
    ec2.attach_volume(VolumeId=disk, InstanceId=node, Device="/dev/sdf")
    ec2.terminate_instances(InstanceIds=[node])
    wait_for(lambda: described(ec2, mine)["Status"] == "available")
    wait_for(lambda: ec2.describe_volumes(VolumeIds=[disk])["Volumes"][0]["State"] == "available")
    with refused("InvalidNetworkInterfaceID.NotFound"):
        described(ec2, primary)


def allocated(ec2: EC2Client) -> str:
    return ec2.allocate_address(Domain="vpc")["AllocationId"]


def holder(ec2: EC2Client, allocation: str) -> str | None:
    return ec2.describe_addresses(AllocationIds=[allocation])["Addresses"][0].get("NetworkInterfaceId") or None


def test_an_associated_address_moves_unless_told_not_to(ec2: EC2Client, interface: Make) -> None:
    """Reassociation is automatic, but false makes it fail.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AssociateAddress.html, Resource.AlreadyAssociated in errors-overview.html"""
    address, first, second = allocated(ec2), interface(), interface()
    ec2.associate_address(AllocationId=address, NetworkInterfaceId=first)
    with refused("Resource.AlreadyAssociated"):
        ec2.associate_address(AllocationId=address, NetworkInterfaceId=second, AllowReassociation=False)
    assert holder(ec2, address) == first
    ec2.associate_address(AllocationId=address, NetworkInterfaceId=second)
    assert holder(ec2, address) == second
    assert "Association" not in described(ec2, first)


def test_associating_twice_is_once(ec2: EC2Client, interface: Make) -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AssociateAddress.html: an idempotent operation."""
    address, mine = allocated(ec2), interface()
    first = ec2.associate_address(AllocationId=address, NetworkInterfaceId=mine, AllowReassociation=False)
    second = ec2.associate_address(AllocationId=address, NetworkInterfaceId=mine, AllowReassociation=False)
    assert first["AssociationId"] == second["AssociationId"]


def test_an_interface_has_one_address_for_its_primary_one(ec2: EC2Client, interface: Make) -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AssociateAddress.html: the existing address is disassociated."""
    first, second, mine = allocated(ec2), allocated(ec2), interface()
    ec2.associate_address(AllocationId=first, NetworkInterfaceId=mine)
    ec2.associate_address(AllocationId=second, NetworkInterfaceId=mine)
    assert (holder(ec2, first), holder(ec2, second)) == (None, mine)


def test_disassociating_twice_is_no_error_but_a_made_up_association_is(ec2: EC2Client, interface: Make) -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DisassociateAddress.html: an idempotent operation."""
    address = allocated(ec2)
    association = ec2.associate_address(AllocationId=address, NetworkInterfaceId=interface())["AssociationId"]
    for _ in range(2):
        ec2.disassociate_address(AssociationId=association)
    assert holder(ec2, address) is None
    with refused("InvalidAssociationID.NotFound"):
        ec2.disassociate_address(AssociationId="eipassoc-0123456789abcdef0")


def test_an_address_is_released_when_nothing_holds_it(ec2: EC2Client, interface: Make) -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ReleaseAddress.html: InvalidIPAddress.InUse."""
    address = allocated(ec2)
    association = ec2.associate_address(AllocationId=address, NetworkInterfaceId=interface())["AssociationId"]
    with refused("InvalidIPAddress.InUse"):
        ec2.release_address(AllocationId=address)
    ec2.disassociate_address(AssociationId=association)
    ec2.release_address(AllocationId=address)
    with refused("InvalidAllocationID.NotFound"):
        ec2.describe_addresses(AllocationIds=[address])


def test_an_account_has_its_quota_of_addresses(ec2: EC2Client, switches: Switches) -> None:
    """https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html (five a region) and AddressLimitExceeded in
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html"""
    switches.set(addresses=len(ec2.describe_addresses()["Addresses"]) + 5)
    for _ in range(5):
        allocated(ec2)
    with refused("AddressLimitExceeded"):
        allocated(ec2)


def test_deleting_an_interface_frees_its_elastic_address(ec2: EC2Client, interface: Make) -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-eni.html: deleting an interface releases the attributes it has."""
    address, mine = allocated(ec2), interface()
    ec2.associate_address(AllocationId=address, NetworkInterfaceId=mine)
    ec2.delete_network_interface(NetworkInterfaceId=mine)
    assert holder(ec2, address) is None
