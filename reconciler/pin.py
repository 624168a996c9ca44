"""Zone is a fact of a member: the formula gives a new member's, an existing one keeps that of its volume or interface. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from reconciler.kinds import ServiceType
from reconciler.model.desired import Desired
from reconciler.model.observation import Observed
from reconciler.model.service import Service
from reconciler.resources import declare


def pin(desired: Desired, observed: Observed, types: Mapping[str, ServiceType]) -> Desired:
    """*desired* with every service rendered anew whose members live in other zones than the formula gives."""
    held = zones(observed)
    moved = {service.name: pinned for service in desired.services if (pinned := _pinned(service, desired, held, types))}
    if not moved:
        return desired
    resources = {id: resource for id, resource in desired.resources.items() if resource.stack not in moved}
    for service in moved.values():
        resources |= {resource.id: resource for resource in declare.resources(service, desired.environment, types[service.type])}
    services = tuple(moved.get(service.name, service) for service in desired.services)
    return replace(desired, services=services, resources=resources)


def zones(observed: Observed) -> dict[str, str]:
    """The zone of every member that has a live volume or interface."""
    placed = ((id, live) for id, found in observed.live.items() if id.kind in {"volume", "interface"} for live in found if live.marked)
    return {id.member: live.attributes["zone"] for id, live in placed if live.attributes.get("zone")}


def _pinned(service: Service, desired: Desired, held: Mapping[str, str], types: Mapping[str, ServiceType]) -> Service | None:
    members = declare.members(service, desired.environment, types[service.type])
    other = {member.name: held[member.name] for member in members if held.get(member.name, member.zone) != member.zone}
    return service.model_copy(update={"pinned": {**service.pinned, **other}}).placed(service.locate) if other else None
