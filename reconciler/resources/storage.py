"""A member's volumes, from the disk to the claim that its Pod adopts: EBS volume, PersistentVolume, PersistentVolumeClaim."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from reconciler.kinds import MemberPlan
from reconciler.model.address import SHARED, ResourceId
from reconciler.model.environment import Environment
from reconciler.model.resource import Resource
from reconciler.model.service import Service
from reconciler.model.value import Ref
from reconciler.resources import cloud, kubernetes

DRIVER = "ebs.csi.aws.com"
ZONE_LABEL = "topology.kubernetes.io/zone"
FILE_SYSTEM = "xfs"  # grows while mounted, and has no lost+found that a database would trip over
_TEMPLATE_SIZE = "1Gi"  # constant for ever: a change would replace the StatefulSet; the claims made beside it say the real size


def disks(service: Service, environment: Environment, members: Iterable[MemberPlan], needs: Iterable[ResourceId]) -> Iterator[Resource]:
    """Everything that the members' volumes are, in the order in which it can be made. Claims are declared after *needs*."""
    for member in members:
        for name in names(service):
            disk = cloud.volume(service, environment, member.name, name, member.zone)
            persistent = _persistent_volume(service, environment, member.name, name, disk.id)
            yield from (disk, persistent, _claim(service, environment, member.name, name, {persistent.id, *needs}))


def names(service: Service) -> list[str]:
    """Its volumes in an order that does not hang on how the spec is written."""
    return sorted(service.volumes)


def claim_name(member: str, volume: str) -> str:
    """`<template>-<set>-<ordinal>`: the name under which the StatefulSet looks for the claim before it makes one."""
    return f"{volume}-{member}"


def persistent_name(environment: Environment, member: str, volume: str) -> str:
    return f"{environment.name}-{member}-{volume}"


def claim_templates(service: Service, environment: Environment) -> list[dict[str, Any]]:
    """What makes a StatefulSet look for claims; it never makes one itself, since ours are there before it is.

    With all that the server would fill in: the list cannot change, so a set that is imported must be declared as it is read.
    """
    spec = {**_access(environment), "resources": {"requests": {"storage": _TEMPLATE_SIZE}}}
    whole = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "spec": spec, "status": {"phase": "Pending"}}
    return [{**whole, "metadata": {"name": name}} for name in names(service)]


def _access(environment: Environment) -> dict[str, Any]:
    return {"accessModes": ["ReadWriteOnce"], "volumeMode": "Filesystem", "storageClassName": kubernetes.class_name(environment)}


def _persistent_volume(service: Service, environment: Environment, member: str, name: str, disk: ResourceId) -> Resource:
    """Bound to its claim from birth and tied to the zone where the disk really is, which is not asked of the formula again."""
    zone = {"key": ZONE_LABEL, "operator": "In", "values": [Ref(disk, "zone")]}
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": service.namespace, "name": claim_name(member, name)}
    manifest = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": persistent_name(environment, member, name)},
        "spec": {
            **_access(environment),
            "capacity": {"storage": str(service.volumes[name].size)},
            "persistentVolumeReclaimPolicy": "Retain",
            "csi": {"driver": DRIVER, "volumeHandle": Ref(disk, "id"), "fsType": FILE_SYSTEM},
            "claimRef": claim,
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [zone]}]}},
        },
    }
    return kubernetes.claimed(environment, service.name, manifest, needs={disk}, origin=service.locate(f"spec.volumes.{name}"))


def _claim(service: Service, environment: Environment, member: str, name: str, needs: Iterable[ResourceId]) -> Resource:
    manifest = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"namespace": service.namespace, "name": claim_name(member, name)},
        "spec": {
            **_access(environment),
            "volumeName": persistent_name(environment, member, name),
            "resources": {"requests": {"storage": str(service.volumes[name].size)}},
        },
    }
    storage_class = kubernetes.object_id(environment.name, SHARED, "StorageClass", "", kubernetes.class_name(environment))
    origin = service.locate(f"spec.volumes.{name}")
    return kubernetes.claimed(environment, service.name, manifest, needs={storage_class, *needs}, origin=origin)
