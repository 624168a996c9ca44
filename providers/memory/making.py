"""How each kind comes to be, changes and goes in the fakes: what the engine's plugins do for the real ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from providers import marked
from providers.memory.cloud import MemoryCloud
from providers.memory.cluster import MemoryCluster
from reconciler.model.address import ResourceId
from reconciler.model.quantity import Quantity
from reconciler.ports import Payload
from reconciler.resources import kubernetes

Fields = Mapping[str, Any]
MANAGER = "pulumi-kubernetes-memory"


@dataclass(frozen=True, slots=True)
class Maker:
    """What one kind does: *make* gives the live id, *find* the payload that its view reads (None where it is gone)."""

    make: Callable[[ResourceId, Fields], str]
    change: Callable[[ResourceId, str, Fields], None]
    unmake: Callable[[ResourceId, str], None]
    find: Callable[[ResourceId, str], Payload | None]


def makers(cloud: MemoryCloud, cluster: MemoryCluster) -> dict[str, Maker]:
    """By kind."""
    aws, objects = _Aws(cloud), _Objects(cluster)
    return {
        "volume": Maker(aws.make_volume, aws.change_volume, aws.unmake_volume, lambda _, live: cloud.ec2.volumes.get(live)),
        "interface": Maker(aws.make_interface, aws.change_interface, aws.unmake_interface, lambda _, live: cloud.ec2.interfaces.get(live)),
        "address": Maker(aws.make_address, aws.change_address, aws.unmake_address, lambda _, live: cloud.ec2.addresses.get(live)),
        "zone": Maker(aws.make_zone, aws.change_zone, aws.unmake_zone, aws.find_zone),
        "record": Maker(aws.make_record, aws.change_record, aws.unmake_record, aws.find_record),
        "kubernetes": Maker(objects.make, objects.change, objects.unmake, objects.find),
    }


@dataclass(frozen=True, slots=True)
class _Aws:
    cloud: MemoryCloud

    def make_volume(self, _id: ResourceId, fields: Fields) -> str:
        asked = {"AvailabilityZone": fields["zone"], "Encrypted": fields["encrypted"], "KmsKeyId": fields.get("kms_key"), **_disk(fields)}
        asked |= {"SnapshotId": fields["snapshot"]} if "snapshot" in fields else {}
        made = self.cloud.call("ec2", "create_volume", **asked, TagSpecifications=_tagged("volume", fields))
        return str(made["VolumeId"])

    def change_volume(self, _id: ResourceId, live: str, fields: Fields) -> None:
        """Tags first and all that differs in one modification, as the real plugin does: it is one of four a day."""
        self._tag(live, fields)
        now = self.cloud.ec2.volumes.get(live, {})
        wanted = _disk(fields)
        if any(now.get(name) != value for name, value in wanted.items()):
            self.cloud.call("ec2", "modify_volume", VolumeId=live, **wanted)

    def unmake_volume(self, _id: ResourceId, live: str) -> None:
        self.cloud.call("ec2", "delete_volume", VolumeId=live)

    def make_interface(self, id: ResourceId, fields: Fields) -> str:
        asked = {"SubnetId": fields["subnet"], "Groups": fields["security_groups"], "Description": str(id)}
        made = self.cloud.call("ec2", "create_network_interface", **asked, TagSpecifications=_tagged("network-interface", fields))
        return str(made["NetworkInterface"]["NetworkInterfaceId"])

    def change_interface(self, _id: ResourceId, live: str, fields: Fields) -> None:
        self.cloud.call("ec2", "modify_network_interface_attribute", NetworkInterfaceId=live, Groups=fields["security_groups"])
        self._tag(live, fields)

    def unmake_interface(self, _id: ResourceId, live: str) -> None:
        attachment = self.cloud.ec2.interfaces.get(live, {}).get("Attachment")
        if attachment:
            self.cloud.call("ec2", "detach_network_interface", AttachmentId=attachment["AttachmentId"])
        self.cloud.call("ec2", "delete_network_interface", NetworkInterfaceId=live)

    def make_address(self, id: ResourceId, fields: Fields) -> str:
        made = self.cloud.call("ec2", "allocate_address", Domain="vpc", TagSpecifications=_tagged("elastic-ip", fields))
        self.change_address(id, made["AllocationId"], fields)
        return str(made["AllocationId"])

    def change_address(self, _id: ResourceId, live: str, fields: Fields) -> None:
        self.cloud.call("ec2", "associate_address", AllocationId=live, NetworkInterfaceId=fields["interface"])
        self._tag(live, fields)

    def unmake_address(self, _id: ResourceId, live: str) -> None:
        association = self.cloud.ec2.addresses.get(live, {}).get("AssociationId")
        if association:
            self.cloud.call("ec2", "disassociate_address", AssociationId=association)
        self.cloud.call("ec2", "release_address", AllocationId=live)

    def make_zone(self, id: ResourceId, fields: Fields) -> str:
        network = {"VPC": {"VPCId": fields["vpc"]}} if "vpc" in fields else {}
        made = self.cloud.call("route53", "create_hosted_zone", Name=fields["name"], CallerReference=str(id), **network)
        live = str(made["HostedZone"]["Id"]).removeprefix("/hostedzone/")
        self.change_zone(id, live, fields)
        return live

    def change_zone(self, _id: ResourceId, live: str, fields: Fields) -> None:
        inside = [network["VPCId"] for network in self.cloud.route53.zones[live]["VPCs"]]
        if "vpc" in fields and fields["vpc"] not in inside:
            self.cloud.call("route53", "associate_vpc_with_hosted_zone", HostedZoneId=live, VPC={"VPCId": fields["vpc"]})
        gone = [name for name in self.cloud.route53.tags[live] if name not in fields["tags"]]
        changed = {"AddTags": marked.written(fields["tags"]), "RemoveTagKeys": gone}
        self.cloud.call("route53", "change_tags_for_resource", ResourceType="hostedzone", ResourceId=live, **changed)

    def unmake_zone(self, _id: ResourceId, live: str) -> None:
        self.cloud.call("route53", "delete_hosted_zone", Id=live)

    def find_zone(self, _id: ResourceId, live: str) -> Payload | None:
        found = self.cloud.route53.zones.get(live)
        return {**found, "Tags": marked.written(self.cloud.route53.tags[live])} if found else None

    def make_record(self, id: ResourceId, fields: Fields) -> str:
        self._write("UPSERT", fields["zone"], {"Name": id.name, "Type": fields["type"], **_answer(fields)})
        return f"{fields['zone']}_{id.name}_{fields['type']}"

    def change_record(self, id: ResourceId, _live: str, fields: Fields) -> None:
        self.make_record(id, fields)

    def unmake_record(self, id: ResourceId, live: str) -> None:
        found = self.find_record(id, live)
        if found:
            self._write("DELETE", found["HostedZoneId"], found)

    def find_record(self, id: ResourceId, live: str) -> Payload | None:
        zone, _, kind = live.split("_")[:3]
        found = self.cloud.route53.records.get(zone, {}).get((id.name, kind, ""))
        return {**found, "HostedZoneId": zone} if found else None

    def _write(self, action: str, zone: str, record: Payload) -> None:
        plain = {name: value for name, value in record.items() if name != "HostedZoneId"}
        batch = {"Changes": [{"Action": action, "ResourceRecordSet": plain}]}
        self.cloud.call("route53", "change_resource_record_sets", HostedZoneId=zone, ChangeBatch=batch)

    def _tag(self, live: str, fields: Fields) -> None:
        """All its tags are then those of *fields*: what is not among them goes."""
        surplus = self.cloud.ec2.tags_of(live).keys() - fields["tags"].keys()
        if surplus:
            self.cloud.call("ec2", "delete_tags", Resources=[live], Tags=[{"Key": key} for key in sorted(surplus)])
        self.cloud.call("ec2", "create_tags", Resources=[live], Tags=marked.written(fields["tags"]))


def _answer(fields: Fields) -> dict[str, Any]:
    """What a record says: values, or where its alias leads."""
    alias = fields.get("alias")
    if alias:
        return {"AliasTarget": {"DNSName": alias["name"], "HostedZoneId": alias["zone"], "EvaluateTargetHealth": alias["health"]}}
    return {"TTL": fields["ttl"], "ResourceRecords": [{"Value": value} for value in fields["values"]]}


def _disk(fields: Fields) -> dict[str, Any]:
    asked = {"VolumeType": fields["type"], "Iops": fields.get("iops"), "Throughput": fields.get("throughput")}
    return {"Size": Quantity.parse(fields["size"]).gib, **{name: value for name, value in asked.items() if value is not None}}


def _tagged(kind: str, fields: Fields) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": marked.written(fields["tags"])}]


@dataclass(frozen=True, slots=True)
class _Objects:
    cluster: MemoryCluster

    def make(self, _id: ResourceId, fields: Fields) -> str:
        self.cluster.apply(kubernetes.KINDS[fields["kind"]], fields, MANAGER)
        metadata = fields["metadata"]
        return "/".join(part for part in (metadata.get("namespace", ""), metadata["name"]) if part)

    def change(self, id: ResourceId, _live: str, fields: Fields) -> None:
        self.make(id, fields)

    def unmake(self, id: ResourceId, _live: str) -> None:
        kind, namespace, name = id.name.split("/")
        self.cluster.delete(kubernetes.KINDS[kind], name, namespace=namespace)

    def find(self, id: ResourceId, _live: str) -> Payload | None:
        kind, namespace, name = id.name.split("/")
        return self.cluster.get(kubernetes.KINDS[kind], name, namespace=namespace)
