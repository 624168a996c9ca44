"""EC2 in memory: volumes, snapshots, interfaces, elastic addresses and tags. Methods are named and answer as the operations of its API."""

from __future__ import annotations

import fnmatch
import itertools
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from providers.memory import copied, disk
from providers.memory.disk import Modifications
from providers.memory.refusal import refuse
from providers.memory.still import FixedClock

Thing = dict[str, Any]
Tags = Iterable[Mapping[str, str]]
_CREATED = datetime(2026, 1, 1, tzinfo=UTC)
_COMPARED = {
    "status": "State",
    "instance-id": "InstanceId",
    "volume-id": "VolumeId",
    "network-interface-id": "NetworkInterfaceId",
    "availability-zone": "AvailabilityZone",
}


class Ec2:
    """One region. *subnets* by zone, *instances* by id with their zones."""

    def __init__(self, subnets: dict[str, str], instances: dict[str, str], clock: FixedClock) -> None:
        self.subnets, self.instances = subnets, instances
        self.volumes: dict[str, Thing] = {}
        self.modifications = Modifications(clock)
        self.interfaces: dict[str, Thing] = {}
        self.addresses: dict[str, Thing] = {}
        self._tokens: dict[str, str] = {}
        self._numbers = itertools.count(1)
        self.snapshots = copied.Snapshots(clock, self._id)

    def describe_volumes(self, Filters: Iterable[Any] = (), VolumeIds: Iterable[str] = ()) -> Thing:  # noqa: N803 - AWS's own names
        return {"Volumes": _chosen(self.volumes, VolumeIds, Filters, "InvalidVolume.NotFound")}

    def create_volume(self, **asked: Any) -> Thing:
        known = self._tokens.get(asked.get("ClientToken", ""))
        if known:
            return self.volumes[known]
        source = self.snapshots.of(asked)
        volume = {
            "VolumeId": self._id("vol"),
            "State": "available",
            "Encrypted": False,
            "CreateTime": _CREATED,
            "Attachments": [],
            **{name: value for name, value in asked.items() if name not in {"TagSpecifications", "ClientToken"} and value is not None},
            **disk.shaped({**asked, **source}),
            **source,
            "Tags": _specified(asked),
        }
        self.volumes[volume["VolumeId"]] = volume
        self._tokens[asked.get("ClientToken") or volume["VolumeId"]] = volume["VolumeId"]
        return volume

    def modify_volume(self, VolumeId: str, **asked: Any) -> Thing:  # noqa: N803
        """Done at once, or refused; how long until the next may follow is up to `modifications`."""
        volume = _one(self.volumes, VolumeId, "InvalidVolume.NotFound")
        return {"VolumeModification": self.modifications.modify(volume, asked)}

    def describe_volumes_modifications(self) -> Thing:
        return self.modifications.latest()

    def delete_volume(self, VolumeId: str) -> Thing:  # noqa: N803
        if _one(self.volumes, VolumeId, "InvalidVolume.NotFound")["Attachments"]:
            raise refuse("VolumeInUse", f"Volume {VolumeId} is currently attached")
        del self.volumes[VolumeId]
        self.modifications.begun.pop(VolumeId, None)
        return {}

    def describe_snapshots(self, Filters: Iterable[Any] = (), OwnerIds: Iterable[str] = ()) -> Thing:  # noqa: N803, ARG002 - all are our own
        return {"Snapshots": _chosen(self.snapshots.told(), (), Filters, "InvalidSnapshot.NotFound")}

    def create_snapshot(self, VolumeId: str, **asked: Any) -> Thing:  # noqa: N803
        return self.snapshots.make(_one(self.volumes, VolumeId, "InvalidVolume.NotFound"), _specified(asked))

    def create_snapshots(self, InstanceSpecification: Mapping[str, Any], CopyTagsFromSource: str = "", **asked: Any) -> Thing:  # noqa: N803
        given = _specified(asked)
        volumes = copied.attached(self.volumes.values(), InstanceSpecification)
        return {"Snapshots": [self.snapshots.make(one, [*(one["Tags"] if CopyTagsFromSource else ()), *given]) for one in volumes]}

    def delete_snapshot(self, SnapshotId: str) -> Thing:  # noqa: N803
        self.snapshots.delete(SnapshotId)
        return {}

    def describe_network_interfaces(self, Filters: Iterable[Any] = (), NetworkInterfaceIds: Iterable[str] = ()) -> Thing:  # noqa: N803
        return {"NetworkInterfaces": _chosen(self.interfaces, NetworkInterfaceIds, Filters, "InvalidNetworkInterfaceID.NotFound")}

    def create_network_interface(self, SubnetId: str, **asked: Any) -> Thing:  # noqa: N803
        zone = next((zone for zone, subnet in self.subnets.items() if subnet == SubnetId), None)
        if zone is None:
            raise refuse("InvalidSubnetID.NotFound", f"The subnet ID '{SubnetId}' does not exist")
        number = next(self._numbers)
        interface = {
            "NetworkInterfaceId": self._id("eni"),
            "SubnetId": SubnetId,
            "AvailabilityZone": zone,
            "PrivateIpAddress": f"10.0.{number // 250}.{number % 250 + 4}",
            "MacAddress": f"0a:00:00:00:{number // 256:02x}:{number % 256:02x}",
            "Groups": [{"GroupId": group} for group in asked.get("Groups") or ("sg-default",)],
            "Description": asked.get("Description", ""),
            "Status": "available",
            "TagSet": _specified(asked),
        }
        self.interfaces[interface["NetworkInterfaceId"]] = interface
        return {"NetworkInterface": interface}

    def modify_network_interface_attribute(self, NetworkInterfaceId: str, Groups: Iterable[str]) -> Thing:  # noqa: N803
        found = _one(self.interfaces, NetworkInterfaceId, "InvalidNetworkInterfaceID.NotFound")
        found["Groups"] = [{"GroupId": group} for group in Groups]
        return {}

    def delete_network_interface(self, NetworkInterfaceId: str) -> Thing:  # noqa: N803
        if _one(self.interfaces, NetworkInterfaceId, "InvalidNetworkInterfaceID.NotFound").get("Attachment"):
            raise refuse("InvalidParameterValue", f"Network interface '{NetworkInterfaceId}' is currently in use.")
        del self.interfaces[NetworkInterfaceId]
        return {}

    def attach_network_interface(self, NetworkInterfaceId: str, InstanceId: str, DeviceIndex: int) -> Thing:  # noqa: N803
        interface = _one(self.interfaces, NetworkInterfaceId, "InvalidNetworkInterfaceID.NotFound")
        if interface.get("Attachment"):
            raise refuse("InvalidNetworkInterface.InUse", f"Interface: [{NetworkInterfaceId}] in use.")
        if self.instances.get(InstanceId) != interface["AvailabilityZone"]:
            raise refuse("InvalidParameterCombination", "the interface and the instance are not in the same zone")
        attached = {"AttachmentId": self._id("eni-attach"), "InstanceId": InstanceId, "DeviceIndex": DeviceIndex, "Status": "attached"}
        interface.update(Attachment=attached, Status="in-use")
        return {"AttachmentId": attached["AttachmentId"]}

    def detach_network_interface(self, AttachmentId: str, Force: bool = False) -> Thing:  # noqa: N803, FBT002, ARG002
        for interface in self.interfaces.values():
            if interface.get("Attachment", {}).get("AttachmentId") == AttachmentId:
                del interface["Attachment"]
                interface["Status"] = "available"
                return {}
        raise refuse("InvalidAttachmentID.NotFound", f"The attachment '{AttachmentId}' does not exist")

    def describe_instances(self, Filters: Iterable[Any] = ()) -> Thing:  # noqa: N803
        found = _chosen({id: self._instance(id) for id in self.instances}, (), Filters, "InvalidInstanceID.NotFound")
        return {"Reservations": [{"Instances": found}]}

    def _instance(self, id: str) -> Thing:
        held = [one for one in self.interfaces.values() if one.get("Attachment", {}).get("InstanceId") == id]
        placed = {"InstanceId": id, "InstanceType": "m5.large", "Placement": {"AvailabilityZone": self.instances[id]}}
        volumes = [one["VolumeId"] for one in copied.attached(self.volumes.values(), {"InstanceId": id})]
        mapped = [{"DeviceName": f"/dev/xvd{number}", "Ebs": {"VolumeId": volume}} for number, volume in enumerate(volumes)]
        return {**placed, "State": {"Name": "running"}, "NetworkInterfaces": held, "BlockDeviceMappings": mapped}

    def describe_addresses(self, Filters: Iterable[Any] = (), AllocationIds: Iterable[str] = ()) -> Thing:  # noqa: N803
        return {"Addresses": _chosen(self.addresses, AllocationIds, Filters, "InvalidAllocationID.NotFound")}

    def allocate_address(self, **asked: Any) -> Thing:
        address = {"AllocationId": self._id("eipalloc"), "PublicIp": f"198.51.100.{next(self._numbers) % 250 + 1}", "Domain": "vpc"}
        self.addresses[address["AllocationId"]] = {**address, "Tags": _specified(asked)}
        return address

    def associate_address(self, AllocationId: str, NetworkInterfaceId: str, AllowReassociation: bool = True) -> Thing:  # noqa: N803, FBT002
        address = _one(self.addresses, AllocationId, "InvalidAllocationID.NotFound")
        _one(self.interfaces, NetworkInterfaceId, "InvalidNetworkInterfaceID.NotFound")
        if address.get("NetworkInterfaceId", NetworkInterfaceId) != NetworkInterfaceId and not AllowReassociation:
            raise refuse("Resource.AlreadyAssociated", f"the address {AllocationId} is already associated")
        address.update(NetworkInterfaceId=NetworkInterfaceId, AssociationId=self._id("eipassoc"))
        return {"AssociationId": address["AssociationId"]}

    def disassociate_address(self, AssociationId: str) -> Thing:  # noqa: N803
        for address in self.addresses.values():
            if address.get("AssociationId") == AssociationId:
                del address["AssociationId"], address["NetworkInterfaceId"]
                return {}
        raise refuse("InvalidAssociationID.NotFound", f"The association ID '{AssociationId}' does not exist")

    def release_address(self, AllocationId: str) -> Thing:  # noqa: N803
        if _one(self.addresses, AllocationId, "InvalidAllocationID.NotFound").get("AssociationId"):
            raise refuse("InvalidIPAddress.InUse", f"Address {AllocationId} is in use.")
        del self.addresses[AllocationId]
        return {}

    def create_tags(self, Resources: Iterable[str], Tags: Tags) -> Thing:  # noqa: N803
        for known in [self._tags(id) for id in Resources]:
            new = {tag["Key"]: tag["Value"] for tag in Tags}
            known[:] = [tag for tag in known if tag["Key"] not in new] + [{"Key": key, "Value": value} for key, value in new.items()]
        return {}

    def delete_tags(self, Resources: Iterable[str], Tags: Tags) -> Thing:  # noqa: N803
        for known in [self._tags(id) for id in Resources]:
            names = {tag["Key"] for tag in Tags if tag.get("Value") in {None, *(one["Value"] for one in known if one["Key"] == tag["Key"])}}
            known[:] = [tag for tag in known if tag["Key"] not in names]
        return {}

    def tags_of(self, id: str) -> dict[str, str]:
        """The tags of a thing by name; no operation of the API."""
        return {tag["Key"]: tag["Value"] for tag in self._tags(id)}

    def _tags(self, id: str) -> list[dict[str, str]]:
        found = {**self.volumes, **self.interfaces, **self.addresses}.get(id)
        if found is None:
            raise refuse("InvalidID", f"The ID '{id}' is not valid")
        tags: list[dict[str, str]] = found["TagSet" if "TagSet" in found else "Tags"]
        return tags

    def _id(self, prefix: str) -> str:
        return f"{prefix}-{next(self._numbers):017x}"


def _one(things: Mapping[str, Thing], id: str, code: str) -> Thing:
    if id not in things:
        raise refuse(code, f"The ID '{id}' does not exist")
    return things[id]


def _chosen(things: Mapping[str, Thing], ids: Iterable[str], filters: Iterable[Any], code: str) -> list[Thing]:
    found = [_one(things, id, code) for id in ids] or list(things.values())
    return [thing for thing in found if all(_fits(thing, one["Name"], one["Values"]) for one in filters)]


def _fits(thing: Thing, name: str, values: Iterable[str]) -> bool:
    """Whether one of *values*, which may hold `*` and `?`, is what *thing* has."""
    tags = {tag["Key"]: tag["Value"] for tag in thing.get("TagSet") or thing.get("Tags") or ()}
    if name == "tag-key":
        return any(fnmatch.fnmatchcase(key, value) for key in tags for value in values)
    has = tags.get(name.removeprefix("tag:")) if name.startswith("tag:") else thing.get(_COMPARED[name])
    return has is not None and any(fnmatch.fnmatchcase(str(has), value) for value in values)


def _specified(asked: Mapping[str, Any]) -> list[dict[str, str]]:
    return [dict(tag) for one in asked.get("TagSpecifications") or () for tag in one["Tags"]]
