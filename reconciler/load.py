"""Spec texts → Desired. Pure: reads nothing. Whatever is wrong comes back at once with every place, and holds only what it concerns."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from reconciler import declare, documents, holding, membership, reference
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
    from reconciler.model.service import Service

FOLDER = "specs"
RESERVED = "schema"


def load(
    texts: Mapping[str, bytes],
    revision: Revision,
    types: Mapping[str, ServiceType],
    *,
    base_url: str = "",
    lost: str = "",
    settle: Callable[[Environment], Environment] = lambda declared: declared,
) -> Desired:
    """The desired state of `revision.environment`; SpecError where its Environment document is not sound, so that nothing can be planned.

    *texts* are its files by their path in the repository; relative clone URLs are taken from *base_url*, where the repository itself
    lies. *lost* says why the repository may not tell everything. *settle* fills what the Environment leaves to the machine that it is
    used on.
    """
    faults: list[Fault] = []
    commons = _read(texts, faults)
    faults += _about_environment(commons, revision.environment)
    environment = next((settle(draft.noun) for draft in commons.of("Environment") if draft.noun), None)
    faults += reference.faults(commons)
    faults += membership.faults(commons, environment, types)
    faults += _rooted(commons, base_url)
    resources = _declared(commons, environment, types, faults) if environment else {}
    blamed = holding.blame(commons, faults)
    if not environment or any(draft.origin in blamed for draft in commons.of("Environment")):
        raise SpecError(sorted(set(faults)))
    told, held = tuple(sorted(set(faults))), holding.services(commons, blamed)
    services, component_side = _services(commons, blamed), _components(commons, environment, blamed)
    return Desired(environment, revision, services, resources, *component_side, held, lost or holding.lost(told), told)


def _read(texts: Mapping[str, bytes], faults: list[Fault]) -> Commons:
    drafts: dict[str, list[Draft]] = {kind: [] for kind in documents.KINDS}
    commons = Commons(drafts, [], [])
    for path, text in sorted(texts.items()):
        if isinstance(text, Unreadable):
            what, _, hint = text.decode().partition(": ")
            faults.append(Fault(Origin(path), what, hint))
        elif path.endswith(".yml"):
            faults.append(Fault(Origin(path), "only files that end in .yaml are read", "rename it"))
        elif path.endswith(".yaml"):
            reading = documents.read(path, text)
            faults += reading.faults
            commons.lost.extend([reading.lost] if reading.lost else [])
            commons.nameless.extend(reading.nameless)
            for draft in reading.drafts:
                drafts[draft.kind].append(draft)
    return commons


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
    """Everything that services without faults declare, and what they share; faults where it does not fit together."""
    sound = holding.sound(commons.of("Service"), holding.blame(commons, faults))
    resources = {draft.origin: declare.resources(draft.noun, environment, types[draft.noun.type]) for draft in sound}
    common = {resource.id: resource for resource in shared.shared(environment, [draft.noun for draft in sound])}
    clashes = list(_clashes(sound, resources, common))
    if len(sound) == len(commons.of("Service")):
        known = {*common, *(one.id for declared in resources.values() for one in declared)}
        clashes += [fault for declared in resources.values() for one in declared for fault in _unmet(one, known)]
    faults += clashes
    blamed = holding.blame(commons, clashes)
    return common | {one.id: one for origin, declared in resources.items() if origin not in blamed for one in declared}


def _clashes(
    sound: Iterable[Draft], resources: Mapping[Origin, Iterable[Resource]], common: Mapping[ResourceId, Resource]
) -> Iterator[Fault]:
    """Faults where two services declare the same thing, or one declares what all share."""
    ids: dict[ResourceId, Draft] = {}
    objects: dict[str, Draft] = {}
    for draft in sound:
        for one in resources[draft.origin]:
            name = one.id.name if one.id.kind == "kubernetes" else str(one.id)
            other = objects.setdefault(name, draft)
            if one.id in common or ids.setdefault(one.id, draft) is not draft or other is not draft:
                yield draft.clash(other, f"{one.id} is declared by {other.name} too ({other.origin})", "rename one of them")


def _unmet(resource: Resource, declared: Collection[ResourceId]) -> Iterator[Fault]:
    for need in sorted(need for need in resource.needs if need not in declared):
        yield Fault(resource.origin, f"{resource.id} needs {need}, which nothing declares")


def _services(commons: Commons, blamed: holding.Blame) -> tuple[Service, ...]:
    found = [draft.noun for draft in holding.sound(commons.of("Service"), blamed)]
    return tuple(sorted(found, key=lambda service: str(service.name)))


def _components(commons: Commons, environment: Environment, blamed: holding.Blame) -> holding.ComponentSide:
    configurations, sources, components = holding.components(commons, blamed)
    retries = environment.sessions.retry_policy
    filled = (one if one.retry_policy else one.model_copy(update={"retry_policy": retries}) for one in components)
    return configurations, sources, tuple(filled)
