"""What service types say of their services: whether each is as its type needs it, who its members are, what they declare."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from reconciler.model.origin import Fault
from reconciler.model.podtemplate import PodTemplate
from reconciler.specs import ceding, parents
from reconciler.specs.documents import validate
from reconciler.specs.draft import Draft
from reconciler.specs.explain import explain, nearest

if TYPE_CHECKING:
    from pydantic import BaseModel

    from reconciler.kinds import ServiceType
    from reconciler.model.environment import Environment
    from reconciler.model.service import Service
    from reconciler.specs.reference import Commons

LONGEST_SET = 52  # a StatefulSet's name and an 11-character hash make a label: https://github.com/kubernetes/kubernetes/issues/64023
LONGEST_LABEL = 63
_SEEN_BY_TYPES = {"addresses", "namespace", "options", "podTemplate", "replicas", "resources", "stopped", "version", "volumes", "zones"}


def complete(service: Service, environment: Environment, type_: ServiceType) -> Service:
    """*service* with what its document leaves to its type and its environment."""
    left = {"version": type_.versions[:1], "zones": (environment.zones,), "namespace": (environment.kubernetes.namespace,)}
    return service.model_copy(update={name: default[0] for name, default in left.items() if default and not getattr(service, name)})


def faults(commons: Commons, environment: Environment | None, types: Mapping[str, ServiceType]) -> Iterator[Fault]:
    """Every fault of a service that its type or its environment finds."""
    known: list[Draft] = []
    for draft in commons.sound("Service", "type"):
        if draft.outline and environment:
            draft.refine(partial(_completed, environment, types))
            known.append(draft)
            continue
        yield from _part(draft, "podTemplate", PodTemplate, draft.noun.pod_template)
        type_ = types.get(draft.noun.type)
        if not type_:
            yield draft.fault(f"there is no service type {draft.noun.type}", nearest(draft.noun.type, types), "spec", "type")
            continue
        known.append(draft)
        yield from _typed(draft, type_)
        if environment:
            draft.noun = complete(draft.noun, environment, type_)
            yield from _placed(draft, environment)
    if environment:
        parents.give(known, environment, types)
        yield from _among(known, environment, types)


def _among(drafts: Iterable[Draft], environment: Environment, types: Mapping[str, ServiceType]) -> Iterator[Fault]:
    """What is to be said only once each of *drafts* knows its parents."""
    owners: dict[str, Draft] = {}
    for draft in drafts:
        if draft.outline:
            yield from _taken(draft, draft.outline.members, owners)
            continue
        type_ = types[draft.noun.type]
        yield from _checked(draft, environment, type_)
        yield from _named(draft, environment, type_, owners)


def _completed(environment: Environment, types: Mapping[str, ServiceType], service: Service) -> Service:
    return complete(service, environment, types[service.type])


def _typed(draft: Draft, type_: ServiceType) -> Iterator[Fault]:
    service = draft.noun
    yield from _part(draft, "options", type_.options, service.options)
    if type_.versions and service.version and service.version not in type_.versions:
        known = ", ".join(type_.versions)
        yield draft.fault(f"{type_.name} has no version {service.version}", f"there are {known}", "spec", "version")
        draft.faulty |= {"version"}
    if not service.name[:1].isalpha():
        yield draft.fault(f"the service {service.name} must begin with a letter, as a Kubernetes Service does", "", "metadata", "name")


def _part(draft: Draft, name: str, model: type[BaseModel], raw: Mapping[str, Any]) -> Iterator[Fault]:
    """What is wrong with a field of the spec that has a model of its own."""
    errors = tuple(validate(model, raw)[2])
    yield from explain(draft.place, ("spec", name), model, errors)
    if errors:
        draft.faulty |= {name}


def _placed(draft: Draft, environment: Environment) -> Iterator[Fault]:
    service = draft.noun
    for index, zone in enumerate(service.zones):
        if zone not in environment.zones:
            hint = nearest(zone, environment.zones)
            yield draft.fault(f"the environment has no zone {zone}", hint, "spec", "zones", index)
            draft.faulty |= {"zones"}


def _checked(draft: Draft, environment: Environment, type_: ServiceType) -> Iterator[Fault]:
    """What the type itself finds, as long as what it looks at is whole."""
    if draft.faulty & _SEEN_BY_TYPES:
        return
    for path, message, hint in type_.check(draft.noun, environment):
        steps = tuple(path.split("."))
        if steps[0] not in draft.faulty:
            yield draft.fault(message, hint, "spec", *steps)
    yield from _copied(draft, type_)
    if draft.noun.rotation and "rotation" not in draft.faulty and type_.rotation(draft.noun, environment) is None:
        text = f"this {type_.name} service has no secrets that can be rotated yet"
        yield draft.fault(text, "leave rotation out", "spec", "rotation")
    if "ignore" not in draft.faulty:
        yield from ceding.faults(draft, environment, type_)


def _copied(draft: Draft, type_: ServiceType) -> Iterator[Fault]:
    """Where a service is to begin with a copy of another's data that says whose it is."""
    service: Service = draft.noun
    source = service.restore_from
    if source and source.service not in {None, service.name} and "restoreFrom" not in draft.faulty and (inside := type_.remembers(service)):
        text = f"a {type_.name} service cannot begin with the snapshots of another: its data has {inside}"
        yield draft.fault(
            text,
            f"only {source.service} itself can have them back; for another see docs/how-to/snapshots.md",
            "spec",
            "restoreFrom",
            "service",
        )


def _named(draft: Draft, environment: Environment, type_: ServiceType, owners: dict[str, Draft]) -> Iterator[Fault]:
    if draft.faulty & {"options", "zones", "replicas"}:
        return
    members = type_.members(draft.noun, environment)
    sets = {member.set_name for member in members}
    if any(len(name) > LONGEST_SET for name in sets) or any(len(member.name) > LONGEST_LABEL for member in members):
        longest = max(map(len, sets)) - len(draft.name)
        yield draft.fault(
            f"the name {draft.name} is too long for a StatefulSet and its Pods",
            f"{LONGEST_SET - longest} characters at most",
            "metadata",
            "name",
        )
    yield from _taken(draft, (member.name for member in members), owners)


def _taken(draft: Draft, names: Iterable[str], owners: dict[str, Draft]) -> Iterator[Fault]:
    """Where another service has a member of one of *names*; one of the same name left out: that is a fault of its own."""
    for name in names:
        other = owners.setdefault(name, draft)
        if other.name != draft.name:
            message = f"its member {name} is one of {other.name} too ({other.origin})"
            yield draft.clash(other, message, "rename one of them", "metadata", "name")
