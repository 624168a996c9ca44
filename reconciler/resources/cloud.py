"""The AWS side: volumes, interfaces, addresses, the hosted zone and its records.

Attributes that a Ref can name: volume `id`, `zone` · interface `id`, `private_ip`, `mac_address`, `zone` ·
address `id`, `public_ip` · zone `zone_id`.
"""

from __future__ import annotations

from reconciler.model.address import SHARED, ResourceId
from reconciler.model.environment import Environment
from reconciler.model.resource import Owner, Resource
from reconciler.model.service import Service, VolumeSpec
from reconciler.model.value import Ref, Value
from reconciler.resources import marks


def zone_id(environment: Environment) -> ResourceId:
    return ResourceId("zone", environment.name, "", environment.dns.zone)


def fqdn(environment: Environment, member: str) -> str:
    """A member's name in DNS, without the trailing dot."""
    return f"{member}.{environment.dns.zone}"


def hosted_zone(environment: Environment) -> Resource:
    """The environment's hosted zone; one that lives already, made by others, serves as it is."""
    id = zone_id(environment)
    fields: dict[str, Value] = {"name": environment.dns.zone, "tags": dict(marks.tags(id, SHARED, environment.aws.tags))}
    if environment.dns.private and environment.aws.vpc:
        fields["vpc"] = environment.aws.vpc
    return Resource(id, fields, SHARED, removal="retain", shared=True, origin=environment.origin)


def volume(service: Service, environment: Environment, member: str, name: str, zone: str) -> Resource:
    """A member's EBS volume: size ("100Gi"), type, zone, encrypted, iops, throughput, kms_key, tags. Kept when its spec goes."""
    spec: VolumeSpec = service.volumes[name]
    id = ResourceId("volume", environment.name, service.name, f"{member}/{name}")
    optional = {"iops": spec.iops, "throughput": spec.throughput, "kms_key": spec.kms_key}
    fields: dict[str, Value] = {
        "size": str(spec.size),
        "type": spec.type,
        "zone": zone,
        "encrypted": spec.encrypted,
        **{key: value for key, value in optional.items() if value is not None},
        "tags": dict(marks.tags(id, service.name, environment.aws.tags)),
    }
    spelt = {key: f"spec.volumes.{name}.{key}" for key in fields} | {"zone": "spec.zones"}
    return Resource(id, fields, service.name, removal="retain", origin=service.origin, locate=service.locate, spelt=spelt)


def interface(service: Service, environment: Environment, member: str, zone: str) -> Resource:
    """A member's own network interface: a fixed private address in its zone's subnet. The VPC CNI is told to leave it alone."""
    id = ResourceId("interface", environment.name, service.name, member)
    unmanaged = {"node.k8s.amazonaws.com/no_manage": "true"}
    fields: dict[str, Value] = {
        "subnet": environment.aws.subnets.get(zone, ""),
        "security_groups": list(environment.aws.security_groups),
        "tags": dict(marks.tags(id, service.name, {**environment.aws.tags, **unmanaged})),
    }
    return Resource(id, fields, service.name, origin=service.origin)


def address(service: Service, environment: Environment, member: str) -> Resource:
    """An elastic address that stays with the member's interface."""
    id = ResourceId("address", environment.name, service.name, member)
    own = ResourceId("interface", environment.name, service.name, member)
    fields: dict[str, Value] = {"interface": Ref(own, "id"), "tags": dict(marks.tags(id, service.name, environment.aws.tags))}
    return Resource(id, fields, service.name, needs=frozenset({own}), origin=service.origin)


def record(service: Service, environment: Environment, member: str, value: Ref | None = None) -> Resource:
    """A member's A record. With *value* it is declared and the engine's; without, it follows the member's Pod and belongs to `members`."""
    owner: Owner = "engine" if value else "members"
    fields: dict[str, Value] = {"zone": Ref(zone_id(environment), "zone_id"), "type": "A", "ttl": int(environment.dns.ttl)}
    if value:
        fields["values"] = [value]
    needs = frozenset({zone_id(environment)} | ({value.id} if value else set()))
    id = ResourceId("record", environment.name, "", fqdn(environment, member))
    return Resource(id, fields, service.name, needs=needs, owner=owner, origin=service.origin)
