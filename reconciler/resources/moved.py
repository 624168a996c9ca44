"""A service of a new name: its members and objects keep theirs, for those cannot change; only whose they are does. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reconciler.model.address import ResourceId
from reconciler.model.observation import Observation, Observed
from reconciler.model.value import Ref
from reconciler.resources import marks

if TYPE_CHECKING:
    from reconciler.model.desired import Desired
    from reconciler.model.resource import Resource
    from reconciler.model.service import Service


def base(service: Service) -> Service:
    """*service* under the name that its members and objects have."""
    if not service.moved_from:
        return service
    return service.model_copy(update={"name": service.moved_from.name}).placed(service.locate)


def renamed(resource: Resource, service: Service) -> Resource:
    """*resource*, as the type says it of `base(service)`, as one of *service*: its address and its marks say so, nothing else does."""
    former = base(service).name
    if resource.stack != former:
        return resource
    id = _address(resource.id, former, service.name)
    needs = frozenset(_address(need, former, service.name) for need in resource.needs)
    fields = {name: _followed(value, former, service.name) for name, value in resource.fields.items()}
    return replace(resource, id=id, fields=_marked(fields, id, service), stack=service.name, needs=needs, moved_from=former)


def follow(desired: Desired, observed: Observed) -> Observed:
    """*observed*, with what still has its former address where the service now declares it."""
    live = dict(observed.live)
    for resource in desired.resources.values():
        if resource.moved_from and resource.id not in live and resource.was in live:
            live[resource.id] = live.pop(resource.was)
    return replace(observed, live=live) if live.keys() != observed.live.keys() else observed


def former(live: Observation) -> str:
    """The service that *live* was moved from, as its marks remember; "" where it never was."""
    tags, metadata = live.fields.get("tags"), live.fields.get("metadata")
    noted = tags if isinstance(tags, Mapping) else metadata.get("annotations") if isinstance(metadata, Mapping) else None
    return str(noted.get(marks.MOVED, "")) if isinstance(noted, Mapping) else ""


def former_addresses(resources: Iterable[Resource]) -> dict[str, frozenset[ResourceId]]:
    """The addresses that *resources* had before they were moved, by the service of which they were."""
    found: dict[str, set[ResourceId]] = {}
    for one in resources:
        if one.moved_from:
            found.setdefault(one.moved_from, set()).add(one.was)
    return {stack: frozenset(ids) for stack, ids in found.items()}


def _address(id: ResourceId, former: str, name: str) -> ResourceId:
    return replace(id, service=name) if id.service == former else id


def _followed(value: Any, former: str, name: str) -> Any:
    """*value* with its references to the service's own things under their new addresses."""
    match value:
        case Ref(id, attribute):
            return Ref(_address(id, former, name), attribute)
        case Mapping():
            return {key: _followed(item, former, name) for key, item in value.items()}
        case list() | tuple():
            return [_followed(item, former, name) for item in value]
        case _:
            return value


def _marked(fields: dict[str, Any], id: ResourceId, service: Service) -> dict[str, Any]:
    own = {marks.SERVICE: service.name, marks.ADDRESS: str(id)}
    memory = {marks.MOVED: base(service).name}
    if isinstance(fields.get("tags"), Mapping):
        return {**fields, "tags": {**fields["tags"], **own, **memory}}
    metadata = fields.get("metadata")
    if not isinstance(metadata, Mapping):
        return fields
    labels = {**metadata["labels"], marks.SERVICE: service.name}
    annotations = {**metadata["annotations"], marks.ADDRESS: str(id), **memory}
    return {**fields, "metadata": {**metadata, "labels": labels, "annotations": annotations}}
