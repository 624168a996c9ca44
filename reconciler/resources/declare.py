"""What a service declares: what its type says, with what the service itself adds to all of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from reconciler.resources import cede, marks, moved

if TYPE_CHECKING:
    from reconciler.kinds import MemberPlan, ServiceType
    from reconciler.model.environment import Environment
    from reconciler.model.resource import Resource
    from reconciler.model.service import Service


def resources(service: Service, environment: Environment, type_: ServiceType) -> tuple[Resource, ...]:
    """Everything that *service* declares: fields that it leaves to others are named, and what it protects or gives up says so."""
    found = type_.resources(moved.base(service), environment)
    if service.moved_from:
        found = tuple(moved.renamed(one, service) for one in found)
    if given := cede.rules(service):
        found = tuple(replace(one, ceded=cede.ceded(one, given)) for one in found)
    if service.deletion_policy == "Delete":
        found = tuple(_given_up(one) for one in found)
    return tuple(_protected(one) for one in found) if service.protect else found


def members(service: Service, environment: Environment, type_: ServiceType) -> tuple[MemberPlan, ...]:
    """Who the members of *service* are."""
    return type_.members(moved.base(service), environment)


def _protected(resource: Resource) -> Resource:
    """*resource* with the mark that outlives its spec; records carry none, and go by their service's other things."""
    fields, metadata = dict(resource.fields), resource.fields.get("metadata")
    if isinstance(metadata, Mapping):
        noted = metadata.get("annotations")
        annotations = {**(noted if isinstance(noted, Mapping) else {}), marks.PROTECTED: "true"}
        fields["metadata"] = {**metadata, "annotations": annotations}
    elif isinstance(tags := fields.get("tags"), Mapping):
        fields["tags"] = {**tags, marks.PROTECTED: "true"}
    return replace(resource, fields=fields, protected=True)


def _given_up(resource: Resource) -> Resource:
    """A volume with the mark that outlives its spec: whoever removes it may delete its data; everything else as it is."""
    tags = resource.fields.get("tags")
    if resource.id.kind != "volume" or not isinstance(tags, Mapping):
        return resource
    return replace(resource, fields={**resource.fields, "tags": {**tags, marks.DELETION_POLICY: "Delete"}})
