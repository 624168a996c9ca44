"""What the lab's DNS server knows: the record sets of Route53, and the endpoints of Kubernetes' Services. Reads, and keeps little."""

from __future__ import annotations

import asyncio
import sys
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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

    from lab.aws.client import Switches

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
        return {} if self._exists(name) else self._wildcard(name)

    def _exists(self, name: Name) -> bool:
        return any(other.is_subdomain(name) for other in self.records)

    def _wildcard(self, name: Name) -> Mapping[RdataType, RRset] | None:
        """RFC 4592: only a star right below the nearest ancestor that exists counts."""
        while name != self.origin:
            name = name.parent()
            if self._exists(name):
                return self.records.get(dns.name.from_text("*", name))
        return None

    @property
    def start_of_authority(self) -> RRset | None:
        return self.records.get(self.origin, {}).get(SOA)


@dataclass(frozen=True, slots=True)
class Zones:
    """Route53's zones, as the lab's AWS has them at the moment of the question."""

    aws: Switches

    async def of(self, name: Name) -> Zone | None:
        """The zone that *name* belongs to: of two, the deeper."""
        zones = {dns.name.from_text(zone["name"]): zone["records"] for zone in await asyncio.to_thread(self.aws.zones)}
        origin = max((origin for origin in zones if name.is_subdomain(origin)), key=len, default=None)
        return Zone(origin, _read(zones[origin])) if origin else None


def _read(sets: Iterable[Mapping[str, Any]]) -> dict[Name, dict[RdataType, RRset]]:
    records: dict[Name, dict[RdataType, RRset]] = defaultdict(dict)
    for one in sets:
        try:
            found = dns.rrset.from_text_list(
                one["name"].replace("\\052", "*"), one["ttl"], "IN", one["type"], one["values"], origin=dns.name.root, relativize=False
            )
        except dns.exception.DNSException as error:  # one that no server could serve is no reason to serve none
            print(f"{one}: {error}", file=sys.stderr)  # noqa: T201 - the server's log
            continue
        _add(records[found.name], found.rdtype, found)
    return records


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
