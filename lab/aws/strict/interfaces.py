"""Network interfaces as EC2 keeps them: one holder, as many as an instance's type allows, addresses of their subnet, time to attach."""

from __future__ import annotations

from functools import partial
from typing import Any, cast

from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import elastic_network_interfaces
from moto.ec2.models.instance_types import INSTANCE_TYPES
from moto.ec2.responses.elastic_network_interfaces import ElasticNetworkInterfaces

from lab.aws.strict import pages, subnet, tags
from lab.aws.strict.attachment import detach_interface, tell_interface
from lab.aws.strict.base import StrictBase

ATTACHABLE = {"running", "stopped"}


class NetworkInterface(elastic_network_interfaces.NetworkInterface):
    """An interface whose attachment has states. It has its parent's name because moto's serializer goes by it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.serial = pages.serial()
        self.attachment_status = "attached"

    def get_filter_value(self, filter_name: str, method_name: str | None = None) -> Any:
        if filter_name == "attachment.status":
            return self.attachment_status if self.attachment_id else None
        return super().get_filter_value(filter_name, method_name)


class Attachment(elastic_network_interfaces.Attachment):
    """An attachment as its interface says it stands."""

    def __init__(self, eni: elastic_network_interfaces.NetworkInterface) -> None:
        super().__init__(eni)
        self.status = cast("NetworkInterface", eni).attachment_status


def install() -> None:
    """Let moto make its interfaces of this kind."""
    elastic_network_interfaces.NetworkInterface = NetworkInterface  # type: ignore[misc]
    elastic_network_interfaces.Attachment = Attachment  # type: ignore[misc]


class Interfaces(StrictBase, ElasticNetworkInterfaces):
    """EC2's actions on network interfaces."""

    def create_network_interface(self) -> ActionResult:
        self.error_on_dryrun()
        tags.check_specifications(self._get_params())
        interface = self._once(self._make_interface)
        return ActionResult({"NetworkInterface": interface, "ClientToken": self._get_param("ClientToken")})

    def _make_interface(self) -> NetworkInterface:
        home = self.ec2_backend.get_subnet(self._get_param("SubnetId"))
        for group in self._get_param("Groups", []):
            if self.ec2_backend.get_security_group_from_id(group) is None:
                raise EC2ClientError("InvalidGroup.NotFound", f"The security group '{group}' does not exist")
        wanted = [each["PrivateIpAddress"] for each in self._get_param("PrivateIpAddresses", []) if each.get("PrivateIpAddress")]
        wanted += [each for each in [self._get_param("PrivateIpAddress")] if each and each not in wanted]
        for address in wanted:
            subnet.check(self.ec2_backend, home, address)
        if not wanted:
            self.params["PrivateIpAddress"] = subnet.free(self.ec2_backend, home)
        interface = cast("dict[str, NetworkInterface]", super().create_network_interface().result)["NetworkInterface"]
        for each in interface.private_ip_addresses:
            home.request_ip(each["PrivateIpAddress"], interface)
        return interface

    def delete_network_interface(self) -> ActionResult:
        self.error_on_dryrun()
        interface = self._asked_interface()
        if interface.attachment_id:
            raise EC2ClientError("InvalidParameterValue", f"Network interface '{interface.id}' is currently in use.")
        for address in self.ec2_backend.addresses:
            if address.eni is interface:
                self.world.parted.add(address.association_id)
                self.ec2_backend.disassociate_address(association_id=address.association_id)
        interface.delete()
        self.ec2_backend.tags.pop(interface.id, None)
        return EmptyResult()

    def attach_network_interface(self) -> ActionResult:
        self.error_on_dryrun()
        interface, instance = self._asked_interface(), self.ec2_backend.get_instance(self._get_param("InstanceId"))
        index = int(self._get_param("DeviceIndex"))
        _check_attachable(interface, instance, index)
        attachment = self.ec2_backend.attach_network_interface(interface.id, instance.id, index)
        interface.attachment_status = "attaching"
        self.world.later.add(self.world.settings.attaching, partial(self._interface_attached, interface, attachment.attachment_id))
        return ActionResult({"AttachmentId": attachment.attachment_id, "NetworkCardIndex": 0})

    def _interface_attached(self, interface: NetworkInterface, attachment: str) -> None:
        if interface.attachment_id == attachment and interface.attachment_status == "attaching":
            interface.attachment_status = "attached"
            tell_interface(self.world, "interface.attached", interface)

    def detach_network_interface(self) -> ActionResult:
        self.error_on_dryrun()
        attachment = self._get_param("AttachmentId")
        interface = next((each for each in self.ec2_backend.enis.values() if each.attachment_id == attachment), None)
        if interface is None:
            raise EC2ClientError("InvalidAttachmentID.NotFound", f"The attachment '{attachment}' does not exist")
        if interface.device_index == 0:
            raise EC2ClientError("OperationNotPermitted", "The network interface at device index 0 cannot be detached.")
        if interface.attachment_status != "detaching":
            detach_interface(self.world, interface)
        return EmptyResult()

    def describe_network_interfaces(self) -> ActionResult:
        wanted = self._get_param("MaxResults")
        pages.alone(self._get_param("NetworkInterfaceIds", []), wanted, "networkInterfaceIdSet")
        found = cast("dict[str, list[NetworkInterface]]", super().describe_network_interfaces().result)["NetworkInterfaces"]
        page, token = pages.cut(found, pages.size(wanted), self._get_param("NextToken"))
        return ActionResult({"NetworkInterfaces": page, "NextToken": token})

    def _asked_interface(self) -> NetworkInterface:
        return cast("NetworkInterface", self.ec2_backend.get_network_interface(self._get_param("NetworkInterfaceId")))


def _check_attachable(interface: NetworkInterface, instance: Any, index: int) -> None:
    if interface.attachment_id:
        raise EC2ClientError("InvalidNetworkInterface.InUse", f"Interface: [{interface.id}] in use.")
    if instance.state not in ATTACHABLE:
        raise EC2ClientError(
            "IncorrectInstanceState", f"Instance '{instance.id}' is not in a state that a network interface can be attached in."
        )
    if interface.availability_zone != instance.placement.zone:
        message = "You may not attach a network interface to an instance if they are not in the same availability zone"
        raise EC2ClientError("InvalidParameterCombination", message)
    if interface.vpc_id != instance.vpc_id:
        raise EC2ClientError("InvalidParameterCombination", "The network interface and the instance are not in the same VPC")
    if index in instance.nics:
        raise EC2ClientError(
            "InvalidParameterValue", f"Instance '{instance.id}' already has an interface attached at device index '{index}'."
        )
    most = INSTANCE_TYPES[instance.instance_type]["NetworkInfo"]["MaximumNetworkInterfaces"]
    if len(instance.nics) + 1 > most:
        message = f"Interface count {len(instance.nics) + 1} exceeds the limit for {instance.instance_type}"
        raise EC2ClientError("AttachmentLimitExceeded", message)
