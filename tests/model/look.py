"""The world in memory as it is, read without the product: who is there, under which address, with which tags."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from reconciler.resources import kubernetes
from tests.memory_world import MemoryWorld

ADDRESS, RETAINED, SERVICE = "reconciler/address", "reconciler/retained", "reconciler/service"
DECLARED = (
    *("StatefulSet", "Service", "ConfigMap", "PodDisruptionBudget", "PersistentVolume", "PersistentVolumeClaim"),
    *("ServiceAccount", "Role", "RoleBinding"),
)


def tags(thing: Mapping[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in thing.get("TagSet") or thing.get("Tags") or ()}


def things(world: MemoryWorld) -> dict[str, list[dict[str, Any]]]:
    """Volumes, interfaces and addresses by the address that their tags claim."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    ec2 = world.cloud.ec2
    for one in (*ec2.volumes.values(), *ec2.interfaces.values(), *ec2.addresses.values()):
        if ADDRESS in tags(one):
            found[tags(one)[ADDRESS]].append(one)
    return dict(found)


def id_of(thing: Mapping[str, Any]) -> str:
    name = next(key for key in ("VolumeId", "AllocationId", "NetworkInterfaceId") if key in thing)
    return str(thing[name])


def objects(world: MemoryWorld, kind: str) -> list[dict[str, Any]]:
    """The objects of *kind* that carry our label."""
    listed = world.cluster.list(kubernetes.KINDS[kind], selector="app.kubernetes.io/managed-by=reconciler")
    return [dict(one) for one in listed]


def records(world: MemoryWorld) -> dict[str, dict[str, Any]]:
    """The A records by name."""
    zones = world.cloud.route53.records.values()
    return {name: record for zone in zones for (name, kind, _), record in zone.items() if kind == "A"}


def addresses(world: MemoryWorld) -> frozenset[str]:
    """Every address that something of ours has now, retained volumes left out."""
    kept = {address for address, found in things(world).items() if any(RETAINED not in tags(one) for one in found)}
    named = {f"{kind}/{one['metadata']['name']}" for kind in DECLARED for one in objects(world, kind)}
    return frozenset(kept | named)
