"""Elastic addresses, one a member, each associated with the member's interface."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from providers import marked
from reconciler.kinds import FieldPolicy, Kind, Reading, Sources
from reconciler.model.environment import Environment
from reconciler.model.observation import Observation, Scope
from reconciler.model.resource import Resource
from reconciler.model.value import Fields
from reconciler.ports import Payload


class _Address:
    name = "address"
    ours = True

    def readings(self, environment: Environment) -> Iterable[Reading]:
        return (Reading(Scope(self.name, environment.name), self._read),)

    def _read(self, sources: Sources) -> Iterator[Observation]:
        environment = sources.environment.name
        for page in sources.cloud.pages("ec2", "describe_addresses", Filters=marked.filters(environment)):
            yield from (self.view(address, environment) for address in page["Addresses"])

    def view(self, payload: Payload, environment: str) -> Observation:
        fields: Fields = {
            "interface": payload.get("NetworkInterfaceId"),  # None while it is associated with nothing
            "tags": marked.tags(payload.get("Tags")),
        }
        attributes = {"id": payload["AllocationId"], "public_ip": payload["PublicIp"], "association": payload.get("AssociationId", "")}
        return marked.observation(self.name, environment, payload["AllocationId"], fields, attributes=attributes)

    def policy(self, _resource: Resource, _path: tuple[str, ...]) -> FieldPolicy:
        return marked.UPDATE

    def list_key(self, _resource: Resource, _path: tuple[str, ...]) -> str:
        return ""

    def terraform_type(self, _resource_name: str) -> str:
        return "aws_eip"

    def declare(self, resource: Resource, fields: Mapping[str, Any], options: Any) -> Mapping[str, Any]:
        from pulumi_aws import ec2  # noqa: PLC0415 - takes a third of a second, and only the engine's program needs it

        made = ec2.Eip(str(resource.id), domain="vpc", network_interface=fields["interface"], tags=fields["tags"], opts=options)
        return {"": made, "id": made.id, "public_ip": made.public_ip}

    def recall(self, inputs: Payload) -> Fields:
        return marked.recalled(inputs, {"interface": "networkInterface", "tags": "tags"})


KIND: Kind = _Address()
