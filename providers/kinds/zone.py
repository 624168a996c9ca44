"""The environment's hosted zone. One of its name that others made serves as it is; none is ever deleted by its marks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from providers import marked, zones
from reconciler.kinds import FieldPolicy, Kind, Reading, Sources
from reconciler.model.address import SHARED, ResourceId
from reconciler.model.environment import Environment
from reconciler.model.observation import Observation, Scope
from reconciler.model.resource import Resource
from reconciler.model.value import Fields, Value
from reconciler.ports import Payload
from reconciler.resources import marks


class _Zone:
    name = "zone"
    ours = False

    def readings(self, environment: Environment) -> Iterable[Reading]:
        return (Reading(Scope(self.name, environment.name), self._read),)

    def _read(self, sources: Sources) -> Iterator[Observation]:
        """The zone with its networks (the environment's first, where it is one of them) and its tags, one call more."""
        environment, cloud = sources.environment, sources.cloud
        for zone in zones.serving(cloud, environment):
            first = sorted(zone.get("VPCs") or (), key=lambda network: network.get("VPCId") != environment.aws.vpc)
            yield self.view({**zone, "VPCs": first, "Tags": marked.written(zones.tags(cloud, zone))}, environment.name)

    def view(self, payload: Payload, environment: str) -> Observation:
        """Of what Route53 answers to get_hosted_zone, with its `Tags`."""
        zone, networks = payload["HostedZone"], payload.get("VPCs") or ()
        name, id, tags = zones.plain(zone["Name"]), zones.bare(zone["Id"]), marked.tags(payload.get("Tags"))
        fields: dict[str, Value] = {"name": name, "tags": tags}
        if networks:
            fields["vpc"] = networks[0]["VPCId"]
        own = ResourceId(self.name, environment, "", name)
        ours = marked.claim(self.name, environment, tags) == own
        stack = tags.get(marks.SERVICE, SHARED) if ours else ""
        return Observation(own, id, fields, {"zone_id": id}, marked.owned(tags), marked=ours, stack=stack)

    def policy(self, _resource: Resource, path: tuple[str, ...]) -> FieldPolicy:
        return _NAME if path == ("name",) else marked.UPDATE

    def list_key(self, _resource: Resource, _path: tuple[str, ...]) -> str:
        return ""

    def terraform_type(self, _resource_name: str) -> str:
        return "aws_route53_zone"

    def declare(self, resource: Resource, fields: Mapping[str, Any], options: Any) -> Mapping[str, Any]:
        from pulumi_aws import route53  # noqa: PLC0415 - takes a third of a second, and only the engine's program needs it

        made = route53.Zone(
            str(resource.id),
            name=fields["name"],
            comment=f"Names of the members of {resource.id.environment}",
            vpcs=[route53.ZoneVpcArgs(vpc_id=fields["vpc"])] if "vpc" in fields else None,
            tags=fields["tags"],
            opts=options,
        )
        return {"": made, "zone_id": made.zone_id}

    def recall(self, inputs: Payload) -> Fields:
        found = marked.recalled(inputs, {"name": "name", "tags": "tags"})
        networks = [one["vpcId"] for one in inputs.get("vpcs") or ()]
        return {**found, "vpc": networks[0]} if networks else found


def _plain(name: Value) -> Value:
    return zones.plain(name) if isinstance(name, str) else name


_NAME = FieldPolicy(canonical=_plain, effect="refuse", why="a zone cannot change its name")

KIND: Kind = _Zone()
