"""Records of the environment's zone: A, and CNAME since it would stand in an A's way. Route53 keeps no marks on them.

Which of them are ours is told by what else is ours: see `reconciler.diff.marking`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache, partial
from itertools import groupby
from typing import Any

from providers import marked, rdata, zones
from reconciler.kinds import FieldPolicy, Kind, Reading, Sources
from reconciler.model.address import ResourceId
from reconciler.model.environment import Environment
from reconciler.model.observation import Observation, Scope
from reconciler.model.resource import Resource
from reconciler.model.value import Fields, Value
from reconciler.ports import Payload

OURS = frozenset({"A", "CNAME"})
PAGE = "300"  # records, the most that Route53 gives


class _Record:
    name = "record"
    ours = False

    def readings(self, environment: Environment) -> Iterable[Reading]:
        return (Reading(Scope(self.name, environment.name), self._read),)

    def _read(self, sources: Sources) -> Iterator[Observation]:
        """The records of the zone that serves the environment; without a zone there are none. Sets of one name are others', and one."""
        for zone in zones.ids(sources.cloud, sources.environment):
            pages = sources.cloud.pages("route53", "list_resource_record_sets", HostedZoneId=zone, MaxItems=PAGE)
            records = (record for page in pages for record in page["ResourceRecordSets"] if record["Type"] in OURS)
            for _, group in groupby(records, key=lambda record: (record["Name"], record["Type"])):
                yield self.view({**_together(list(group)), "HostedZoneId": zone}, sources.environment.name)

    def view(self, payload: Payload, environment: str) -> Observation:
        """Of a record set, with its zone as `HostedZoneId`. An alias has no values and no TTL: writing ours replaces it."""
        name, kind, zone, sets = zones.plain(payload["Name"]), payload["Type"], payload["HostedZoneId"], payload.get("SetIdentifier", "")
        fields: dict[str, Value] = {"zone": zone, "type": f"{kind} of the set {sets}" if sets else kind}
        if "AliasTarget" in payload:
            fields["alias"] = _alias(payload["AliasTarget"])
        else:
            fields["values"] = [record["Value"] for record in payload.get("ResourceRecords") or ()]
        if "TTL" in payload:
            fields["ttl"] = int(payload["TTL"])
        id = ResourceId(self.name, environment, "", name)
        return Observation(id, "_".join(part for part in (zone, name, kind, sets) if part), fields, {"fqdn": name}, marked=False)

    def policy(self, resource: Resource, path: tuple[str, ...]) -> FieldPolicy:
        return _values(str(resource.fields.get("type"))) if path == ("values",) else _POLICIES.get(path, marked.UPDATE)

    def list_key(self, _resource: Resource, path: tuple[str, ...]) -> str:
        return "=" if path == ("values",) else ""

    def terraform_type(self, _resource_name: str) -> str:
        return "aws_route53_record"

    def declare(self, resource: Resource, fields: Mapping[str, Any], options: Any) -> Mapping[str, Any]:
        from pulumi_aws import route53  # noqa: PLC0415 - takes a third of a second, and only the engine's program needs it

        alias = fields.get("alias")
        target = {"name": alias["name"], "zone_id": alias["zone"], "evaluate_target_health": alias["health"]} if alias else None
        made = route53.Record(
            str(resource.id),
            zone_id=fields["zone"],
            name=resource.id.name,
            type=fields["type"],
            ttl=fields.get("ttl"),
            records=fields.get("values"),
            aliases=[route53.RecordAliasArgs(**target)] if target else None,
            allow_overwrite=True,
            opts=options,
        )
        return {"": made, "fqdn": made.fqdn}

    def recall(self, inputs: Payload) -> Fields:
        found = marked.recalled(inputs, {"zone": "zoneId", "type": "type", "ttl": "ttl", "values": "records"})
        targets = [
            {"name": one["name"], "zone": one["zoneId"], "health": one["evaluateTargetHealth"]} for one in inputs.get("aliases") or ()
        ]
        return {**found, "alias": targets[0]} if targets else found


def _together(group: list[Payload]) -> Payload:
    """The record sets of one name and type as one: a weighted or multi-value set is its owner's whole, and nobody writes beside it."""
    names = [record["SetIdentifier"] for record in group if "SetIdentifier" in record]
    return {**group[0], "SetIdentifier": ", ".join(names)} if names else group[0]


def _alias(target: Payload) -> dict[str, Value]:
    """Where an alias leads: a name, the zone that it is in (for AWS's own services a zone of theirs), whether its health counts."""
    zone, health = zones.bare(target["HostedZoneId"]), bool(target.get("EvaluateTargetHealth"))
    return {"name": zones.plain(target["DNSName"]), "zone": zone, "health": health}


@lru_cache(maxsize=32)
def _values(kind: str) -> FieldPolicy:
    return FieldPolicy(canonical=partial(_text, partial(rdata.canonical, kind)))


def _text(form: Any, value: Value) -> Value:
    return form(value) if isinstance(value, str) else value


_ALIAS = {"name": "name", "zone": "zoneId", "health": "evaluateTargetHealth"}
_POLICIES: dict[tuple[str, ...], FieldPolicy] = {
    ("alias", "name"): FieldPolicy(canonical=partial(_text, zones.plain)),
    ("alias", "zone"): FieldPolicy(canonical=partial(_text, zones.bare)),
    ("type",): marked.refused("a record of another type holds the name; remove it, or give the service another name"),
    ("zone",): FieldPolicy(effect="replace", canonical=partial(_text, zones.bare)),
}

KIND: Kind = _Record()
