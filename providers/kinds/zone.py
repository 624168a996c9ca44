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
from reconciler.resources import baseline, marks


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
        attributes = {"zone_id": id, **_all(networks)}
        return Observation(own, id, fields, attributes, marked.owned(tags), marked=ours, stack=stack)

    def policy(self, _resource: Resource, path: tuple[str, ...]) -> FieldPolicy:
        return _POLICIES.get(path, marked.UPDATE)

    def list_key(self, _resource: Resource, _path: tuple[str, ...]) -> str:
        return ""

    def terraform_type(self, _resource_name: str) -> str:
        return "aws_route53_zone"

    def declare(self, resource: Resource, fields: Mapping[str, Any], options: Any) -> Mapping[str, Any]:
        import pulumi  # noqa: PLC0415 - takes long, and only the engine's program needs it
        from pulumi_aws import route53  # noqa: PLC0415 - a third of a second, likewise

        networks = [fields["vpc"], *fields.get(baseline.OTHERS, ())] if "vpc" in fields else []
        made = route53.Zone(
            str(resource.id),
            name=fields["name"],
            comment=f"Names of the members of {resource.id.environment}",
            vpcs=[route53.ZoneVpcArgs(**_network(one)) for one in networks] or None,
            tags=fields["tags"],
            opts=pulumi.ResourceOptions.merge(options, pulumi.ResourceOptions(ignore_changes=["comment"])),
        )
        return {"": made, "zone_id": made.zone_id}

    def recall(self, inputs: Payload) -> Fields:
        found = marked.recalled(inputs, {"name": "name", "tags": "tags"})
        networks = [one["vpcId"] for one in inputs.get("vpcs") or ()]
        return {**found, "vpc": networks[0]} if networks else found


def _plain(name: Value) -> Value:
    return zones.plain(name) if isinstance(name, str) else name


def _all(networks: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """All the networks as one attribute, `vpc-1/us-east-1 vpc-2/eu-west-1`; a public zone has none."""
    told = " ".join(f"{one['VPCId']}/{one.get('VPCRegion', '')}" for one in networks)
    return {baseline.NETWORKS: told} if told else {}


def _network(told: str) -> dict[str, str]:
    """A network as the engine wants it; without a region it is in the provider's own."""
    id, _, region = told.partition("/")
    return {"vpc_id": id, **({"vpc_region": region} if region else {})}


_POLICIES: dict[tuple[str, ...], FieldPolicy] = {
    ("name",): FieldPolicy(canonical=_plain, effect="refuse", why="a zone cannot change its name"),
    (baseline.OTHERS,): FieldPolicy(canonical=lambda _: None),  # said to the engine only: they are as others have made them
}

KIND: Kind = _Zone()
