"""Another version of a living service: refused where its server cannot go there one member at a time, else told. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from reconciler.diff import marked
from reconciler.diff.context import Scene
from reconciler.model.change import FieldChange
from reconciler.model.observation import Observation
from reconciler.model.resource import Resource
from reconciler.model.service import Service
from reconciler.model.upgrades import is_later
from reconciler.model.value import Value
from reconciler.resources import marks


def refused(resource: Resource, fields: Iterable[FieldChange], live: Observation, scene: Scene) -> str:
    """Why the members of *resource* must not become the version that is declared, with its place and what to do; "" where they may."""
    service, versions = scene.service(resource.stack), marked.turned(fields, marks.VERSION)
    if service is None or versions is None:
        return ""
    before, after = versions
    way = scene.context.conduct(resource.stack).upgrades
    why = way.why_not(before, after)
    if not why and way.goes_on(before, after):
        why = _astray(service, before, _replicas(live))
    return f"{service.locate('spec.version')}: version {before} -> {after}: {why}" if why else ""


def _astray(service: Service, before: str, replicas: Value) -> str:
    """Why members that go one step at a time cannot now, though their server could; "" where they can."""
    if not replicas:
        return f"its members are stopped, and go this way while they run; start them with {before} first"
    if replicas != service.replicas and not service.stopped:
        why = f"a member that is new would copy what another version has written, and replicas go from {replicas} to {service.replicas}"
        return f"{why}; change them in a commit of their own, before this one or after it"
    return ""


def waits(resource: Resource, fields: Iterable[FieldChange], live: Observation, scene: Scene) -> str:
    """Why the next step of an upgrade has to wait: while members are of the version before the last they would skip that; "" else."""
    versions, behind = marked.turned(fields, marks.VERSION), live.attributes.get("behind")
    if versions is None or not behind or not scene.context.conduct(resource.stack).upgrades.goes_on(*versions):
        return ""
    before, after = versions
    return f"version {before} -> {after} has to wait: {behind} members are still to restart into {before}"


def told(fields: Iterable[FieldChange]) -> str:
    """That members become another version, in words for the end of a headline."""
    versions = marked.turned(fields, marks.VERSION)
    if versions is None:
        return ""
    before, after = versions
    return f"{'upgrades' if is_later(before, after) else 'goes back'} from {before} to {after}"


def _replicas(live: Observation) -> Value:
    spec = live.fields.get("spec")
    return spec.get("replicas") if isinstance(spec, Mapping) else None
