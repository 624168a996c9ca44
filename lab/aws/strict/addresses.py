"""Elastic IP addresses: a quota, one association each, and release only when nothing holds the address."""

from __future__ import annotations

from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.responses.elastic_ip_addresses import ElasticIPAddresses

from lab.aws.strict import tags
from lab.aws.strict.base import StrictBase


class Addresses(StrictBase, ElasticIPAddresses):
    """EC2's actions on Elastic IP addresses."""

    def allocate_address(self) -> ActionResult:
        self.error_on_dryrun()
        tags.check_specifications(self._get_params())
        if len(self.ec2_backend.addresses) >= self.world.settings.addresses:
            raise EC2ClientError("AddressLimitExceeded", "The maximum number of addresses has been reached.")
        return super().allocate_address()

    def associate_address(self) -> ActionResult:
        self.error_on_dryrun()
        address, holder = self._asked_address(), self._asked_holder()
        if address.eni is holder:
            return ActionResult({"AssociationId": address.association_id})
        if address.eni and self._get_param("AllowReassociation", if_none=True) is False:
            message = f"resource {address.allocation_id} is already associated with associate-id {address.association_id}"
            raise EC2ClientError("Resource.AlreadyAssociated", message)
        for other in self.ec2_backend.addresses:
            if other is address or other.eni is holder:
                self._part_address(other)
        self.params["AllowReassociation"] = True
        return super().associate_address()

    def disassociate_address(self) -> ActionResult:
        self.error_on_dryrun()
        wanted = self._get_param("AssociationId")
        if wanted in self.world.parted:
            return EmptyResult()
        if wanted is None or any(each.association_id == wanted for each in self.ec2_backend.addresses):
            self.world.parted.add(wanted)
            return super().disassociate_address()
        raise EC2ClientError("InvalidAssociationID.NotFound", f"The association ID '{wanted}' does not exist")

    def release_address(self) -> ActionResult:
        self.error_on_dryrun()
        address = self._asked_address()
        if address.eni:
            raise EC2ClientError("InvalidIPAddress.InUse", f"Address {address.public_ip} is in use.")
        self.ec2_backend.tags.pop(address.allocation_id, None)
        return super().release_address()

    def _part_address(self, address: Any) -> None:
        if address.eni:
            self.world.parted.add(address.association_id)
            self.ec2_backend.disassociate_address(association_id=address.association_id)

    def _asked_address(self) -> Any:
        allocation, public = self._get_param("AllocationId"), self._get_param("PublicIp")
        if allocation is None and public is None:
            raise EC2ClientError("MissingParameter", "The request must contain the parameter AllocationId")
        if allocation is None:
            return self.ec2_backend.address_by_ip([public])[0]
        return self.ec2_backend.address_by_allocation([allocation])[0]

    def _asked_holder(self) -> Any:
        """The interface that is to hold the address."""
        interface, instance = self._get_param("NetworkInterfaceId"), self._get_param("InstanceId")
        if interface:
            return self.ec2_backend.get_network_interface(interface)
        if not instance:
            raise EC2ClientError("MissingParameter", "Either 'InstanceId' or 'NetworkInterfaceId' must be provided")
        nics = self.ec2_backend.get_instance(instance).nics
        if len(nics) != 1:
            message = f"There are multiple interfaces attached to instance '{instance}'. Please specify an interface ID."
            raise EC2ClientError("InvalidInstanceID", message)
        return nics[0]
