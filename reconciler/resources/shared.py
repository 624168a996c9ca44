"""What the services of an environment share: its hosted zone, its storage class, the namespaces they live in. One stack, `-`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from reconciler.model.address import SHARED, ResourceId
from reconciler.model.environment import Environment
from reconciler.model.resource import Resource
from reconciler.resources import cloud, kubernetes

_GIVEN = "default"  # every cluster has it, and nobody may declare or delete it


class Placed(Protocol):
    """Whatever says in which namespace its objects live, as a service does."""

    @property
    def namespace(self) -> str: ...


def shared(environment: Environment, services: Sequence[Placed]) -> tuple[Resource, ...]:
    """The resources of the stack `-`; an environment without services has none."""
    if not services:
        return ()
    names = {environment.kubernetes.namespace, *(service.namespace for service in services)} - {_GIVEN, ""}
    namespaces = (kubernetes.namespace(environment, name) for name in sorted(names))
    return (cloud.hosted_zone(environment), kubernetes.storage_class(environment), *namespaces)


def namespace_needs(environment: Environment, name: str) -> frozenset[ResourceId]:
    """What an object of namespace *name* has to wait for."""
    if name == _GIVEN:
        return frozenset()
    return frozenset({kubernetes.object_id(environment.name, SHARED, "Namespace", "", name)})
