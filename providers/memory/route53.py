"""Route53 in memory: hosted zones, their tags, record sets. A batch of changes is done whole or not at all."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping
from typing import Any

from providers import zones
from providers.memory.refusal import refuse

Thing = dict[str, Any]
Key = tuple[str, str, str]  # name, type, set identifier
_SPECIAL = re.compile(r"[^a-z0-9._-]")
_GIVEN = {"NS": "ns-1.example.", "SOA": "ns-1.example. admin.example. 1 7200 900 1209600 86400"}


class Route53:
    """One account's zones."""

    def __init__(self) -> None:
        self.zones: dict[str, Thing] = {}
        self.records: dict[str, dict[Key, Thing]] = {}
        self.tags: dict[str, dict[str, str]] = {}
        self._numbers = itertools.count(1)

    def create_hosted_zone(self, Name: str, CallerReference: str, **asked: Any) -> Thing:  # noqa: N803 - AWS's own names
        if any(zone["HostedZone"]["CallerReference"] == CallerReference for zone in self.zones.values()):
            raise refuse("HostedZoneAlreadyExists", f"A hosted zone has already been created with the caller reference {CallerReference}")
        id, network = f"Z{next(self._numbers):013d}", asked.get("VPC")
        config = {**asked.get("HostedZoneConfig", {}), "PrivateZone": network is not None}
        told = {"Id": f"/hostedzone/{id}", "Name": f"{Name.lower().rstrip('.')}.", "CallerReference": CallerReference, "Config": config}
        self.zones[id] = {"HostedZone": told, "VPCs": [network] if network else []}
        self.records[id], self.tags[id] = {}, {}
        for kind, value in _GIVEN.items():
            given = {"Name": told["Name"], "Type": kind, "TTL": 900, "ResourceRecords": [{"Value": value}]}
            self._write(id, "UPSERT", given, self.records[id])
        return {"HostedZone": told, "VPC": network}

    def delete_hosted_zone(self, Id: str) -> Thing:  # noqa: N803
        id = self._known(Id)
        if any(kind not in {"NS", "SOA"} for _, kind, _ in self.records[id]):
            raise refuse("HostedZoneNotEmpty", "The specified hosted zone contains non-required resource record sets")
        del self.zones[id], self.records[id], self.tags[id]
        return {}

    def list_hosted_zones_by_name(self, DNSName: str = "") -> Thing:  # noqa: N803
        """Zones from *DNSName* on, ordered by their names read from the right."""
        found = sorted((zone["HostedZone"] for zone in self.zones.values()), key=lambda zone: _reversed(zone["Name"]))
        return {"HostedZones": [zone for zone in found if _reversed(zone["Name"]) >= _reversed(DNSName)]}

    def get_hosted_zone(self, Id: str) -> Thing:  # noqa: N803
        return self.zones[self._known(Id)]

    def associate_vpc_with_hosted_zone(self, HostedZoneId: str, VPC: Mapping[str, str]) -> Thing:  # noqa: N803
        networks = self.zones[self._known(HostedZoneId)]["VPCs"]
        if not networks:
            raise refuse("PublicZoneVPCAssociation", "a public zone is in no network")
        networks[:] = [one for one in networks if one["VPCId"] != VPC["VPCId"]] + [dict(VPC)]
        return {}

    def list_tags_for_resource(self, ResourceType: str, ResourceId: str) -> Thing:  # noqa: N803
        tags = [{"Key": key, "Value": value} for key, value in self.tags[self._known(ResourceId)].items()]
        return {"ResourceTagSet": {"ResourceType": ResourceType, "ResourceId": ResourceId, "Tags": tags}}

    def change_tags_for_resource(
        self,
        ResourceType: str,  # noqa: N803, ARG002
        ResourceId: str,  # noqa: N803
        AddTags: Iterable[Mapping[str, str]] = (),  # noqa: N803
        RemoveTagKeys: Iterable[str] = (),  # noqa: N803
    ) -> Thing:
        tags = self.tags[self._known(ResourceId)]
        tags.update({tag["Key"]: tag["Value"] for tag in AddTags})
        for key in RemoveTagKeys:
            tags.pop(key, None)
        return {}

    def list_resource_record_sets(self, HostedZoneId: str) -> Thing:  # noqa: N803
        found = self.records[self._known(HostedZoneId)]
        return {"ResourceRecordSets": [found[key] for key in sorted(found, key=lambda key: (_reversed(key[0]), key))]}

    def change_resource_record_sets(self, HostedZoneId: str, ChangeBatch: Mapping[str, Any]) -> Thing:  # noqa: N803
        id = self._known(HostedZoneId)
        after = dict(self.records[id])
        for change in ChangeBatch["Changes"]:
            self._write(id, change["Action"], change["ResourceRecordSet"], after)
        self.records[id] = after
        return {"ChangeInfo": {"Id": f"/change/C{next(self._numbers)}", "Status": "INSYNC"}}

    def _write(self, id: str, action: str, record: Mapping[str, Any], records: dict[Key, Thing]) -> None:
        name, zone = zones.plain(record["Name"]), zones.plain(self.zones[id]["HostedZone"]["Name"])
        if name != zone and not name.endswith(f".{zone}"):
            raise refuse("InvalidChangeBatch", f"[RRSet with DNS name {name}. is not permitted in zone {zone}.]")
        key = (name, record["Type"], record.get("SetIdentifier", ""))
        told = f"name='{name}.', type='{record['Type']}'"
        if action == "DELETE":
            if key not in records or _content(records[key]) != _content(record):
                raise refuse("InvalidChangeBatch", f"[Tried to delete resource record set [{told}] but it was not found]")
            del records[key]
            return
        if action == "CREATE" and key in records:
            raise refuse("InvalidChangeBatch", f"[Tried to create resource record set [{told}] but it already exists]")
        if any(other[0] == name and "CNAME" in {other[1], record["Type"]} and other[1] != record["Type"] for other in records):
            raise refuse("InvalidChangeBatch", f"[RRSet of type {record['Type']} with DNS name {name}. conflicts with a CNAME]")
        if any(other[:2] == key[:2] and bool(other[2]) != bool(key[2]) for other in records):
            raise refuse("InvalidChangeBatch", f"[RRSet with DNS name {name}. conflicts with one of another routing policy]")
        records[key] = _kept(name, record)

    def _known(self, id: str) -> str:
        bare = id.removeprefix("/hostedzone/")
        if bare not in self.zones:
            raise refuse("NoSuchHostedZone", f"No hosted zone found with ID: {bare}")
        return bare


def _content(record: Mapping[str, Any]) -> object:
    return record.get("TTL"), sorted(one["Value"] for one in record.get("ResourceRecords", ())), record.get("AliasTarget")


def _kept(name: str, record: Mapping[str, Any]) -> Thing:
    """*record* as Route53 answers it: names in lower case, escaped, with a dot at the end; values as they were given."""
    kept: Thing = {**record, "Name": _spelled(name)}
    if "AliasTarget" in record:
        kept["AliasTarget"] = {**record["AliasTarget"], "DNSName": _spelled(zones.plain(record["AliasTarget"]["DNSName"]))}
    return kept


def _spelled(name: str) -> str:
    return _SPECIAL.sub(lambda found: f"\\{ord(found[0]):03o}", name) + "."


def _reversed(name: str) -> list[str]:
    return zones.plain(name).split(".")[::-1]
