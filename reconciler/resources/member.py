"""Who a service's members are and where they are found: names, zones, addresses, records, and what their init container is told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from reconciler.kinds import Check, MemberPlan
from reconciler.model.address import ResourceId
from reconciler.model.environment import Environment
from reconciler.model.resource import Resource
from reconciler.model.service import Service
from reconciler.model.value import Ref
from reconciler.resources import cloud, kubernetes, storage

FACTS_PATH = "/etc/member"  # where the init container finds its interface's address and hardware address
GATE = "member"  # the init container that holds a member back
MARK_PATH = "/volume"  # where it sees the member's first volume, on which it leaves its mark


def members(service: Service, environment: Environment) -> tuple[MemberPlan, ...]:
    """`<service>-<n>`, zones taken in turn. An existing member keeps the zone of its volume, whatever the turn says."""
    zones = service.zones or environment.zones
    names = (f"{service.name}-{n}" for n in range(service.replicas))
    return tuple(MemberPlan(name, n, service.pinned.get(name, zones[n % len(zones)]), service.name) for n, name in enumerate(names))


def spare(voters: int) -> int:
    """How many of *voters* a drain may take at once: one less than their quorum survives.

    So a failure at the same time costs nothing, nor does a budget that is a step ahead of their number, or behind it, while that changes.
    """
    return (voters - 1) // 2 - 1


def refilled_by_majority(service: Service, _environment: Environment, lost: frozenset[str]) -> str:
    """Why *lost* members are not given their data back where what a majority has is what counts: it has to have it still."""
    most = (service.replicas - 1) // 2
    if len(lost) <= most:
        return ""
    return f"{len(lost)} of {service.replicas} members have lost their data, and a majority has to have it to give it back"


def has_interface(service: Service) -> bool:
    return service.addresses != "none"


def places(service: Service, environment: Environment, plan: Iterable[MemberPlan]) -> Iterator[Resource]:
    """Each member's address and name: a record that follows its Pod, or an interface of its own and a record that names it."""
    for member in plan:
        if not has_interface(service):
            yield cloud.record(service, environment, member.name)
            continue
        own = cloud.interface(service, environment, member.name, member.zone)
        yield own
        if service.addresses == "elastic":
            yield cloud.address(service, environment, member.name)
        yield cloud.record(service, environment, member.name, Ref(own.id, "private_ip"))


def facts(service: Service, environment: Environment, plan: Iterable[MemberPlan], needs: Iterable[ResourceId]) -> Resource:
    """The ConfigMap that tells each member's init container which interface to wait for."""
    interfaces = {member.name: ResourceId("interface", environment.name, service.name, member.name) for member in plan}
    texts: dict[str, Any] = {}
    for name, id in interfaces.items():
        texts |= {f"{name}.address": Ref(id, "private_ip"), f"{name}.mac": Ref(id, "mac_address")}
    metadata = {"namespace": service.namespace, "name": facts_name(service)}
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": texts}
    return kubernetes.claimed(environment, service.name, manifest, needs={*interfaces.values(), *needs}, origin=service.origin)


def facts_name(service: Service) -> str:
    return f"{service.name}-members"


def environment_variables(environment: Environment) -> list[dict[str, Any]]:
    """What every container of a member knows of itself. FQDN comes after MEMBER, of which it is made."""
    own = {"MEMBER": "metadata.name", "POD_IP": "status.podIP", "NODE_NAME": "spec.nodeName"}
    fields = [{"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in own.items()]
    return [*fields, {"name": "FQDN", "value": cloud.fqdn(environment, "$(MEMBER)")}]


def gate(service: Service, environment: Environment) -> dict[str, Any]:
    """The init container that holds a member back until it is reachable under its own name and address (`runner/member.py`)."""
    capabilities = ["DAC_OVERRIDE", *(["NET_ADMIN"] if has_interface(service) else [])]
    mounts: list[dict[str, Any]] = [{"name": name, "mountPath": MARK_PATH} for name in storage.names(service)[:1]]
    if has_interface(service):
        mounts.append({"name": "member", "mountPath": FACTS_PATH, "readOnly": True})
    return {
        "name": GATE,
        "image": environment.sessions.image,
        "command": ["python", "-m", "runner.member"],
        "env": environment_variables(environment),
        "volumeMounts": mounts,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        # root, for the mark on a volume that belongs to whoever the service runs as
        "securityContext": {"runAsUser": 0, "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"], "add": capabilities}},
    }


def checks(service: Service, environment: Environment) -> Iterator[Check]:
    """What can be wrong with any type's members."""
    if not has_interface(service):
        return
    if not service.volumes:
        yield "addresses", "a member's address lies in one zone, and without a volume nothing keeps its Pod there", "give it a volume"
    subnets = environment.aws.subnets  # where it names none at all, the machine that plans may know them
    for zone in dict.fromkeys(member.zone for member in members(service, environment)):
        if subnets and zone not in subnets:
            yield "addresses", f"the environment names no subnet in zone {zone}", f"add {zone} to spec.aws.subnets of the Environment"
