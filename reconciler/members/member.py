"""A declared member, as the controller needs to know it; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from reconciler.kinds import MemberPlan, ServiceType
from reconciler.model.address import ResourceId
from reconciler.model.change import Change
from reconciler.model.environment import Environment
from reconciler.model.service import Service
from reconciler.resources import cloud, declare, storage


@dataclass(frozen=True, slots=True)
class Member:
    """One member. *follows* says that its record follows its Pod; otherwise it has an interface that follows its Pod to its node.

    *disks* are its volumes: name → PersistentVolume. A *stopped* member has no Pod and needs none. *turn* is its place in the order in
    which the members of its service restart; of a *paused* one's nobody does.
    """

    name: str
    service: str
    namespace: str
    zone: str
    set_name: str
    fqdn: str
    record: ResourceId
    interface: ResourceId
    follows: bool
    ttl: int
    disks: Mapping[str, str]
    stopped: bool = False
    turn: int = 0
    paused: bool = False


def declared(services: Iterable[Service], environment: Environment, types: Mapping[str, ServiceType]) -> tuple[Member, ...]:
    """The members of *services*, in the order of their ordinals."""
    found: list[Member] = []
    for service in services:
        plans = declare.members(service, environment, types[service.type])
        turns = {name: turn for turn, name in enumerate(types[service.type].order(tuple(plan.name for plan in plans)))}
        found += (_member(service, environment, plan, turns[plan.name]) for plan in plans)
    return tuple(found)


def _member(service: Service, environment: Environment, plan: MemberPlan, turn: int) -> Member:
    return Member(
        name=plan.name,
        service=service.name,
        namespace=service.namespace,
        zone=plan.zone,
        set_name=plan.set_name,
        fqdn=cloud.fqdn(environment, plan.name),
        record=ResourceId("record", environment.name, "", cloud.fqdn(environment, plan.name)),
        interface=ResourceId("interface", environment.name, service.name, plan.name),
        follows=service.addresses == "none",
        ttl=int(environment.dns.ttl.seconds),
        disks={name: storage.persistent_name(environment, plan.name, name) for name in storage.names(service)},
        stopped=service.stopped,
        turn=turn,
        paused=service.paused,
    )


def by_service(members: Iterable[Member]) -> dict[str, list[Member]]:
    """The members of each service, in the order in which they come."""
    found: dict[str, list[Member]] = {}
    for member in members:
        found.setdefault(member.service, []).append(member)
    return found


def departing(changes: Iterable[Change], environment: Environment) -> frozenset[str]:
    """The members that the changes of a plan do away with: those whose interface or record goes."""
    going = [change.id for change in changes if change.action in {"delete", "forget"}]
    records = {id.name.removesuffix(f".{environment.dns.zone}") for id in going if id.kind == "record"}
    return frozenset(records | {id.member for id in going if id.kind == "interface"})
