"""What was something else before: things of a service that has a new name, volumes that a removed service has kept, and copies."""

from __future__ import annotations

from dataclasses import replace

from reconciler.diff.context import Scene
from reconciler.diff.verdict import say
from reconciler.model.change import Change
from reconciler.model.observation import Observation
from reconciler.model.resource import Resource
from reconciler.model.service import Service

BACK = "restoreFrom: {retained: true}"


def retained(resource: Resource, scene: Scene) -> Change | None:
    """A volume that was kept comes back only to a service that asks for it."""
    live = scene.found(resource.id)
    if not live[0].retained or _asks(scene.service(resource.stack)):
        return None
    kept = f"{live[0].live_id} was kept when {live[0].retained} removed its service; it is not taken back by itself"
    return say(resource, "refuse", f"{resource.origin}: {kept}: say {BACK}, or choose another name", live)


def nothing_kept(resource: Resource, scene: Scene) -> Change | None:
    """A volume that should come back, where no volume of its service is left: an empty one is not what was asked for."""
    if resource.id.kind != "volume" or not _asks(scene.service(resource.stack)) or scene.has_volumes(resource.stack):
        return None
    where = resource.locate("spec.restoreFrom") if resource.locate else resource.origin
    return say(resource, "refuse", f"{where}: nothing of {resource.stack} is retained; leave restoreFrom out to begin with an empty volume")


def not_restored(resource: Resource, scene: Scene) -> Change | None:
    """A volume that should be made from a snapshot, where there is none to make it from."""
    source = scene.context.sources.get(resource.id)
    if source is None or source.snapshot:
        return None
    return say(resource, "refuse", source.refused) if source.refused else say(resource, "hold", source.unread)


def taken_over(change: Change, resource: Resource, live: Observation, scene: Scene) -> Change:
    """*change* as what it is for a thing that was kept, or that another name had: taken back, or moved."""
    if live.retained and change.action == "update":
        reason = f"was kept when {live.retained} removed its service; it is taken back"
        return replace(change, action="adopt", reason=reason)
    if not _moves(resource, live, scene):
        return change
    if change.action == "replace":
        why = f"{resource.origin}: {change.reason}, and it moves from {resource.moved_from}: do one after the other"
        return replace(change, action="refuse", reason=why, impact="")
    if change.action not in {"keep", "update", "adopt"}:
        return change
    return replace(change, action="move", reason=f"{resource.moved_from} was renamed {resource.stack}", was=str(resource.was))


def unsaid(live: Observation, scene: Scene) -> str:
    """Why what was moved may not go: its service lives, but says no more where it came from. "" for all else."""
    service, source = scene.forgetful.get(live.stack, (None, ""))
    if service is None:
        return ""
    told = f"{service.name} was made as {source}, and so are the names of its members"
    return f"{service.origin}: {told}: keep movedFrom: {{name: {source}}} for as long as {service.name} lives"


def _asks(service: Service | None) -> bool:
    return bool(service and service.restore_from and service.restore_from.retained)


def _moves(resource: Resource, live: Observation, scene: Scene) -> bool:
    if not resource.moved_from or resource.owner != "engine":
        return False
    return live.id != resource.id or resource.was in scene.context.recorded(resource.moved_from)
