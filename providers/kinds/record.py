"""Records of the environment's zone: A, and CNAME since it would stand in an A's way. Route53 keeps no marks on them.

Which of them are ours is told by what else is ours: see `reconciler.marking`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from providers import marked, zones
from reconciler.kinds import FieldPolicy, Kind, Reading, Sources
from reconciler.model.address import ResourceId
from reconciler.model.environment import Environment
from reconciler.model.observation import Observation, Scope
from reconciler.model.resource import Resource
from reconciler.model.value import Value
from reconciler.ports import Payload

OURS = frozenset({"A", "CNAME"})
PAGE = "300"  # records, the most that Route53 gives


class _Record:
    name = "record"
    ours = False

    def readings(self, environment: Environment) -> Iterable[Reading]:
        return (Reading(Scope(self.name, environment.name), self._read),)

    def _read(self, sources: Sources) -> Iterator[Observation]:
        """The records of the zone that serves the environment; without a zone there are none."""
        for zone in zones.ids(sources.cloud, sources.environment):
            for page in sources.cloud.pages("route53", "list_resource_record_sets", HostedZoneId=zone, MaxItems=PAGE):
                records = (record for record in page["ResourceRecordSets"] if record["Type"] in OURS)
                yield from (self.view({**record, "HostedZoneId": zone}, sources.environment.name) for record in records)

    def view(self, payload: Payload, environment: str) -> Observation:
        """Of a record set, with its zone as `HostedZoneId`. An alias has no values and no TTL: writing ours replaces it."""
        name, kind, zone = zones.plain(payload["Name"]), payload["Type"], payload["HostedZoneId"]
        values = [record["Value"] for record in payload.get("ResourceRecords") or ()]
        fields: dict[str, Value] = {"zone": zone, "type": kind, "values": values}
        if "TTL" in payload:
            fields["ttl"] = int(payload["TTL"])
        told = (zone, name, kind, payload.get("SetIdentifier", ""))
        id = ResourceId(self.name, environment, "", name)
        return Observation(id, "_".join(part for part in told if part), fields, {"fqdn": name}, marked=False)

    def policy(self, _resource: Resource, path: tuple[str, ...]) -> FieldPolicy:
        return _POLICIES.get(path, marked.UPDATE)

    def list_key(self, _resource: Resource, path: tuple[str, ...]) -> str:
        return "=" if path == ("values",) else ""

    def terraform_type(self, _resource_name: str) -> str:
        return "aws_route53_record"

    def declare(self, resource: Resource, fields: Mapping[str, Any], options: Any) -> Mapping[str, Any]:
        from pulumi_aws import route53  # noqa: PLC0415 - takes a third of a second, and only the engine's program needs it

        made = route53.Record(
            str(resource.id),
            zone_id=fields["zone"],
            name=resource.id.name,
            type=fields["type"],
            ttl=fields["ttl"],
            records=fields["values"],
            allow_overwrite=True,
            opts=options,
        )
        return {"": made, "fqdn": made.fqdn}


def _plain(value: Value) -> Value:
    return zones.plain(value) if isinstance(value, str) else value


_POLICIES: dict[tuple[str, ...], FieldPolicy] = {
    ("values",): FieldPolicy(canonical=_plain),
    ("type",): marked.refused("a record of another type holds the name; remove it, or give the service another name"),
    ("zone",): FieldPolicy(effect="replace"),
}

KIND: Kind = _Record()
