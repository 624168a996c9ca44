"""Network interfaces, one a member: its fixed private address. Never replaced, since the address would change."""

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


class _Interface:
    name = "interface"
    ours = True

    def readings(self, environment: Environment) -> Iterable[Reading]:
        return (Reading(Scope(self.name, environment.name), self._read),)

    def _read(self, sources: Sources) -> Iterator[Observation]:
        environment = sources.environment.name
        asked = {"Filters": marked.filters(environment), "MaxResults": marked.PAGE}
        for page in sources.cloud.pages("ec2", "describe_network_interfaces", **asked):
            yield from (self.view(interface, environment) for interface in page["NetworkInterfaces"])

    def view(self, payload: Payload, environment: str) -> Observation:
        fields: Fields = {
            "subnet": payload["SubnetId"],
            "security_groups": [group["GroupId"] for group in payload.get("Groups") or ()],
            "tags": marked.tags(payload.get("TagSet")),
        }
        attachment = payload.get("Attachment") or {}
        attributes = {
            "id": payload["NetworkInterfaceId"],
            "private_ip": payload.get("PrivateIpAddress", ""),
            "mac_address": payload.get("MacAddress", ""),
            "zone": payload.get("AvailabilityZone", ""),
            "status": payload.get("Status", ""),
            "instance": attachment.get("InstanceId", ""),
            "attachment": attachment.get("AttachmentId", ""),
        }
        return marked.observation(self.name, environment, payload["NetworkInterfaceId"], fields, attributes=attributes)

    def policy(self, resource: Resource, path: tuple[str, ...]) -> FieldPolicy:
        match path:
            case ("subnet",):
                return _SUBNET
            case ("security_groups",) if not resource.fields.get("security_groups"):
                return _UNCOMPARED  # AWS puts an interface that names none into the network's default group
            case _:
                return marked.UPDATE

    def list_key(self, resource: Resource, path: tuple[str, ...]) -> str:
        return "=" if path == ("security_groups",) and resource.fields.get("security_groups") else ""

    def terraform_type(self, _resource_name: str) -> str:
        return "aws_network_interface"

    def declare(self, resource: Resource, fields: Mapping[str, Any], options: Any) -> Mapping[str, Any]:
        import pulumi  # noqa: PLC0415 - takes long, and only the engine's program needs it
        from pulumi_aws import ec2  # noqa: PLC0415 - a third of a second, likewise

        # only what is declared is put right: these the provider has values of its own for, and would set them again
        kept = pulumi.ResourceOptions(ignore_changes=["description", "sourceDestCheck"])
        made = ec2.NetworkInterface(
            str(resource.id),
            subnet_id=fields["subnet"],
            security_groups=fields["security_groups"] or None,
            description=str(resource.id),
            tags=fields["tags"],
            opts=pulumi.ResourceOptions.merge(options, kept),
        )
        return {"": made, "id": made.id, "private_ip": made.private_ip, "mac_address": made.mac_address}

    def recall(self, inputs: Payload) -> Fields:
        return marked.recalled(inputs, {"subnet": "subnetId", "security_groups": "securityGroups", "tags": "tags"})


_SUBNET = marked.refused("an interface cannot leave its subnet, and a new one would have another address")
_UNCOMPARED = FieldPolicy(canonical=lambda _: None)

KIND: Kind = _Interface()
