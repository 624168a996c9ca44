"""What the lab's DNS server knows: the record sets of Route53, and the endpoints of Kubernetes' Services. Reads, and keeps little."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import dns.exception
import dns.name
import dns.rdatatype
import dns.rrset
from lightkube.resources.discovery_v1 import EndpointSlice

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import lightkube
    from dns.name import Name
    from dns.rdatatype import RdataType
    from dns.rrset import RRset
    from lightkube.models.discovery_v1 import Endpoint
    from mypy_boto3_route53.client import Route53Client
    from mypy_boto3_route53.type_defs import ResourceRecordSetOutputTypeDef

CLUSTER = dns.name.from_text("svc.cluster.local.")
SOA = dns.rdatatype.SOA
_CLUSTER_TTL = 5  # as CoreDNS's


@dataclass(frozen=True, slots=True)
class Zone:
    """One zone, or the part of the cluster's that was asked for; *records* by name and type."""

    origin: Name
    records: Mapping[Name, Mapping[RdataType, RRset]]

    def at(self, name: Name) -> Mapping[RdataType, RRset] | None:
        """What lies at *name*: nothing and None differ, as no such type and no such name do."""
        if name in self.records:
            return self.records[name]
        if any(other.is_subdomain(name) for other in self.records):
            return {}
        return self._wildcard(name)

    def _wildcard(self, name: Name) -> Mapping[RdataType, RRset] | None:
        """RFC 4592: the nearest ancestor that exists decides."""
        while name != self.origin:
            name = name.parent()
            found = self.records.get(dns.name.from_text("*", name))
            if found is not None or self.at(name) is not None:
                return found
        return None

    @property
    def start_of_authority(self) -> RRset | None:
        return self.records.get(self.origin, {}).get(SOA)


@dataclass(slots=True)
class Zones:
    """Route53's zones, read again when the last reading is older than *fresh* seconds."""

    client: Route53Client
    fresh: float = 0.3
    _read: list[Zone] = field(default_factory=list)
    _at: float = 0.0
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def of(self, name: Name) -> Zone | None:
        """The zone that *name* belongs to: of two, the deeper."""
        async with self._lock:
            if time.monotonic() - self._at > self.fresh:
                self._read = await asyncio.to_thread(_read_zones, self.client)
                self._at = time.monotonic()
        matching = [zone for zone in self._read if name.is_subdomain(zone.origin)]
        return max(matching, key=lambda zone: len(zone.origin), default=None)


def _read_zones(client: Route53Client) -> list[Zone]:
    zones = [zone for page in client.get_paginator("list_hosted_zones").paginate() for zone in page["HostedZones"]]
    return [_read_zone(client, zone["Id"], dns.name.from_text(zone["Name"])) for zone in zones]


def _read_zone(client: Route53Client, zone: str, origin: Name) -> Zone:
    records: dict[Name, dict[RdataType, RRset]] = defaultdict(dict)
    for page in client.get_paginator("list_resource_record_sets").paginate(HostedZoneId=zone):
        for one in page["ResourceRecordSets"]:
            if found := _parse(one):
                _add(records[found.name], found.rdtype, found)
    return Zone(origin, records)


def _parse(one: ResourceRecordSetOutputTypeDef) -> RRset | None:
    """A record set as DNS says it; None for an alias, which is not followed, and for what no DNS server could serve."""
    values = [value["Value"].removeprefix("{'Value': '").removesuffix("'}") for value in one.get("ResourceRecords", [])]  # moto 5.2's SOA
    try:
        return dns.rrset.from_text_list(one["Name"].replace("\\052", "*"), one.get("TTL", 0), "IN", one["Type"], values) if values else None
    except dns.exception.DNSException as error:
        print(f"{one['Name']} {one['Type']} {values}: {error}", file=sys.stderr)  # noqa: T201
        return None


def _add(at: dict[RdataType, RRset], kind: RdataType, found: RRset) -> None:
    """Sets that differ in their identifier only are one answer."""
    if kind in at:
        at[kind] = dns.rrset.from_rdata_list(found.name, found.ttl, [*at[kind], *found])
    else:
        at[kind] = found


@dataclass(frozen=True, slots=True)
class Services:
    """`<service>.<namespace>.svc.cluster.local` and `<pod>.…` of it. Cluster addresses lead nowhere in a lab: all get their Pods'."""

    client: lightkube.AsyncClient

    async def of(self, name: Name) -> Zone | None:
        """The names of the one Service that *name* speaks of."""
        labels = [label.decode() for label in name.relativize(CLUSTER).labels]
        if not name.is_subdomain(CLUSTER) or len(labels) < 2:
            return None
        service, namespace = labels[-2:]
        found = self.client.list(EndpointSlice, namespace=namespace, labels={"kubernetes.io/service-name": service})
        endpoints = [endpoint async for piece in found for endpoint in piece.endpoints or []]
        return Zone(CLUSTER, _endpoint_records(dns.name.from_text(f"{service}.{namespace}", CLUSTER), endpoints))


def _endpoint_records(service: Name, endpoints: Iterable[Endpoint]) -> dict[Name, dict[RdataType, RRset]]:
    addresses: dict[Name, list[str]] = defaultdict(list)
    for endpoint in endpoints:
        if endpoint.conditions and endpoint.conditions.ready is False:
            continue
        addresses[service] += endpoint.addresses
        if endpoint.hostname:
            addresses[dns.name.from_text(endpoint.hostname, service)] += endpoint.addresses
    return {name: {dns.rdatatype.A: dns.rrset.from_text_list(name, _CLUSTER_TTL, "IN", "A", values)} for name, values in addresses.items()}
