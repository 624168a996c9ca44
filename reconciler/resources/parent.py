"""How a type speaks of the services that its own depends on: which it needs, and by which names their members are reached. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from reconciler.kinds import Check
from reconciler.model.environment import Environment
from reconciler.model.service import Parent, Service
from reconciler.resources import cloud


def one(service: Service, type_: str) -> Parent | None:
    """The parent of *type_*; None while something is wrong with its document, or with which it names."""
    return next((parent for parent in service.parents if parent.type == type_), None)


def hosts(parent: Parent | None, environment: Environment) -> list[str]:
    """The names of a parent's members, which stay theirs wherever they run."""
    return [cloud.fqdn(environment, name) for name in parent.members] if parent else []


def checks(service: Service, types: Collection[str], *, several: bool = False) -> Iterator[Check]:
    """Whether `dependsOn` names services of *types* only: exactly one, or, if *several*, at least one."""
    known = " or ".join(sorted(types))
    for index, parent in enumerate(service.parents):
        if parent.type not in types:
            what = f"{parent.service.name} is of type {parent.type}, and a service of type {service.type} depends on {known}"
            yield f"dependsOn.{index}", what, "name another, or leave it out"
    fitting = sum(parent.type in types for parent in service.parents)
    if not service.depends_on:
        yield "dependsOn", f"a service of type {service.type} needs one of type {known}", "add dependsOn: [NAME]"
    if fitting > 1 and not several:
        yield "dependsOn", f"a service of type {service.type} has one parent of type {known}, and these are {fitting}", "leave one"
