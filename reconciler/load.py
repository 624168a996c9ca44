"""Spec texts → Desired. Pure: reads nothing, and whatever is wrong comes back at once, as a SpecError with every place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from reconciler import documents, membership, reference
from reconciler.errors import SpecError
from reconciler.model import cloneurl
from reconciler.model.desired import Desired
from reconciler.model.environment import Environment
from reconciler.model.origin import Fault, Origin
from reconciler.model.text import Unreadable
from reconciler.reference import Commons
from reconciler.resources import shared

if TYPE_CHECKING:
    from reconciler.documents import Draft
    from reconciler.kinds import ServiceType
    from reconciler.model.address import ResourceId
    from reconciler.model.configuration import Configuration
    from reconciler.model.origin import Revision
    from reconciler.model.resource import Resource

FOLDER = "specs"
RESERVED = "schema"


def load(
    texts: Mapping[str, bytes],
    revision: Revision,
    types: Mapping[str, ServiceType],
    *,
    base_url: str = "",
    settle: Callable[[Environment], Environment] = lambda declared: declared,
) -> Desired:
    """The desired state of `revision.environment`.

    *texts* are its files by their path in the repository; relative clone URLs are taken from *base_url*, where the repository itself
    lies. *settle* fills what an environment leaves to the machine that it is loaded on.
    *settle* fills what the Environment leaves to the machine that it is used on.
    """
    faults: list[Fault] = []
    commons = _read(texts, faults)
    faults += _about_environment(commons, revision.environment)
    environment = next((settle(draft.noun) for draft in commons.of("Environment")), None)
    faults += reference.faults(commons)
    faults += membership.faults(commons, environment, types)
    faults += _rooted(commons, base_url)
    resources = _declared(commons, environment, types, faults) if environment else {}
    if faults or not environment:
        raise SpecError(sorted(set(faults)))
    return _desired(commons, environment, resources, revision)


def _read(texts: Mapping[str, bytes], faults: list[Fault]) -> Commons:
    drafts: dict[str, list[Draft]] = {kind: [] for kind in documents.KINDS}
    lost: list[bytes] = []
    for path, text in sorted(texts.items()):
        if isinstance(text, Unreadable):
            faults.append(Fault(Origin(path), *text.decode().split(": ", maxsplit=1)))
        elif path.endswith(".yml"):
            faults.append(Fault(Origin(path), "only files that end in .yaml are read", "rename it"))
        elif path.endswith(".yaml"):
            reading = documents.read(path, text)
            faults += reading.faults
            lost += [reading.lost] if reading.lost else []
            for draft in reading.drafts:
                drafts[draft.kind].append(draft)
    return Commons(drafts, lost)


def _about_environment(commons: Commons, name: str) -> Iterator[Fault]:
    """Faults where there is not exactly the one Environment document that its folder asks for."""
    drafts = commons.of("Environment")
    folder = Origin(f"{FOLDER}/{name}")
    if name == RESERVED:
        yield Fault(folder, f"the name {RESERVED} is reserved", "rename the environment's folder")
    if not drafts and not commons.may_be_lost("Environment"):
        yield Fault(folder, f"there is no Environment document named {name}", "write one; of its spec, only zones is required")
    for draft in drafts:
        if draft.name != name:
            yield draft.fault(f"the Environment is named {draft.name}, its folder {name}", "name both the same", "metadata", "name")
        if draft is not drafts[0]:
            yield draft.fault("an environment has one Environment document", f"the first is {drafts[0].origin}")
    for draft in commons.sound("Environment", "aws", "zones"):
        for index, zone in enumerate(draft.noun.zones):
            if not zone.startswith(draft.noun.region):
                yield draft.fault(f"the zone {zone} is not in aws.region {draft.noun.region}", "", "spec", "zones", index)


def _rooted(commons: Commons, base_url: str) -> Iterator[Fault]:
    """Makes relative clone URLs absolute; faults where they lead nowhere."""
    for draft in commons.sound("Source"):
        try:
            draft.noun = draft.noun.model_copy(update={"clone_url": cloneurl.resolve(base_url, draft.noun.clone_url)})
        except ValueError as error:
            yield draft.fault(f"cloneUrl {error}", "", "spec", "cloneUrl")
    for draft in commons.sound("Configuration"):
        yield from _rooted_layers(draft, base_url)


def _rooted_layers(draft: Draft, base_url: str) -> Iterator[Fault]:
    configuration: Configuration = draft.noun
    steps = [("spec", "layers", index) for index in range(len(configuration.layers))]
    layers = list(configuration.layers)
    for index, layer in enumerate(layers):
        try:
            layers[index] = layer.rooted(base_url)
        except ValueError as error:
            yield draft.fault(f"cloneUrl {error}", "", *steps[index], "cloneUrl")
    inventory = configuration.additional_inventory
    try:
        inventory = inventory.rooted(base_url) if inventory else None
    except ValueError as error:
        yield draft.fault(f"cloneUrl {error}", "", "spec", "additionalInventory", "cloneUrl")
    draft.noun = configuration.model_copy(update={"layers": tuple(layers), "additional_inventory": inventory})


def _declared(
    commons: Commons, environment: Environment, types: Mapping[str, ServiceType], faults: list[Fault]
) -> dict[ResourceId, Resource]:
    """Everything that services of sound files declare, and what they share; faults where it does not fit together."""
    troubled = {fault.origin.path for fault in faults}
    sound = [draft for draft in commons.sound("Service") if draft.noun.type in types and draft.place.path not in troubled]
    declared = {resource.id: resource for resource in shared.shared(environment, [draft.noun for draft in sound])}
    objects: dict[str, Draft] = {}
    for draft in sound:
        for resource in types[draft.noun.type].resources(draft.noun, environment):
            name = resource.id.name if resource.id.kind == "kubernetes" else str(resource.id)
            other = objects.setdefault(name, draft)
            if resource.id in declared or other is not draft:
                faults.append(draft.fault(f"{resource.id} is declared by {other.name} too ({other.origin})", "rename one of them"))
            declared[resource.id] = resource
    if len(sound) == len(commons.of("Service")):
        faults += [fault for resource in declared.values() for fault in _unmet(resource, declared)]
    return declared


def _unmet(resource: Resource, declared: Mapping[ResourceId, Resource]) -> Iterator[Fault]:
    for need in sorted(need for need in resource.needs if need not in declared):
        yield Fault(resource.origin, f"{resource.id} needs {need}, which nothing declares")


def _desired(commons: Commons, environment: Environment, resources: Mapping[ResourceId, Resource], revision: Revision) -> Desired:
    retries = environment.sessions.retry_policy
    components = [draft.noun for draft in commons.of("Components")]
    return Desired(
        environment,
        revision,
        tuple(sorted((draft.noun for draft in commons.of("Service")), key=lambda service: str(service.name))),
        dict(resources),
        {draft.name: draft.noun for draft in commons.of("Configuration")},
        {draft.name: draft.noun for draft in commons.of("Source")},
        tuple(one if one.retry_policy else one.model_copy(update={"retry_policy": retries}) for one in components),
    )
