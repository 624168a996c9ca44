"""Spec texts → Desired. Pure: reads nothing. Whatever is wrong comes back at once with every place, and holds only what it concerns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from reconciler.errors import SpecError
from reconciler.model import cloneurl
from reconciler.model.desired import Desired
from reconciler.model.environment import Environment
from reconciler.model.later import LaterSequence
from reconciler.model.origin import Fault, Origin
from reconciler.model.text import Texts, Unreadable
from reconciler.specs import documents, holding, membership, moving, parents, reference, shelves
from reconciler.specs.inventory import Inventory
from reconciler.specs.reference import Commons

if TYPE_CHECKING:
    from reconciler.kinds import ServiceType
    from reconciler.model.configuration import Configuration
    from reconciler.model.origin import Revision
    from reconciler.model.service import Service
    from reconciler.specs.draft import Draft

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
    shelf: shelves.Shelf = shelves.NOTHING,
) -> Desired:
    """The desired state of `revision.environment`; SpecError where its Environment document is not sound, so that nothing can be planned.

    *texts* are its files by their path in the repository; relative clone URLs are taken from *base_url*, where the repository itself
    lies. *lost* says why the repository may not tell everything. *settle* fills what the Environment leaves to the machine that it is
    used on. *shelf* keeps what is found out about sound documents for the next run.
    """
    faults: list[Fault] = []
    commons = _read(texts if isinstance(texts, Texts) else Texts(texts, {}), faults, shelf)
    faults += _about_environment(commons, revision.environment)
    environment = next((settle(draft.noun) for draft in commons.of("Environment") if draft.whole), None)
    outlines = shelves.Outlines(shelf, environment, (f"{name} {one.origin}" for name, one in types.items())) if environment else None
    parents.key(commons.of("Service"))
    if outlines:
        outlines.recall(commons.sound("Service"))
    faults += reference.faults(commons)
    faults += moving.faults(commons.of("Service"))
    faults += membership.faults(commons, environment, types)
    faults += _rooted(commons, base_url)
    found = _inventory(commons, environment, types, faults) if environment else None
    blamed = holding.blame(commons, faults)
    if not environment or not found or not outlines or any(draft.origin in blamed for draft in commons.of("Environment")):
        raise SpecError(sorted(set(faults)))
    outlines.keep({draft: outline for draft, outline in found.outlined.items() if draft.origin not in blamed})
    told, held = tuple(sorted(set(faults))), holding.services(commons, blamed)
    services, component_side = _services(commons, blamed), _components(commons, environment, blamed)
    return Desired(environment, revision, services, found.resources(blamed), *component_side, held, lost or holding.lost(told), told)


def _read(texts: Texts, faults: list[Fault], shelf: shelves.Shelf) -> Commons:
    drafts: dict[str, list[Draft]] = {kind: [] for kind in documents.KINDS}
    commons = Commons(drafts, [], [])
    known = shelves.Drafts(shelf, texts)
    for path in sorted(texts):
        found = known.recall(path)
        for draft in _drafts(path, texts[path], faults, commons, known) if found is None else found:
            drafts[draft.kind].append(draft)
    known.close()
    return commons


def _drafts(path: str, text: bytes, faults: list[Fault], commons: Commons, known: shelves.Drafts) -> Iterable[Draft]:
    """The drafts of one file; what is wrong with it goes to *faults* and *commons*, what is sound is made *known*."""
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
        known.keep(path, reading)
        return reading.drafts
    return ()


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


def _inventory(commons: Commons, environment: Environment, types: Mapping[str, ServiceType], faults: list[Fault]) -> Inventory:
    """What services without faults declare, and what they share; faults where it does not fit together."""
    sound = holding.sound(commons.of("Service"), holding.blame(commons, faults))
    found = Inventory(sound, environment, types)
    faults += found.faults(whole=len(sound) == len(commons.of("Service")))
    return found


def _services(commons: Commons, blamed: holding.Blame) -> Sequence[Service]:
    found = sorted(holding.sound(commons.of("Service"), blamed), key=lambda draft: draft.name)
    return LaterSequence(lambda: tuple(draft.noun for draft in found))


def _components(commons: Commons, environment: Environment, blamed: holding.Blame) -> holding.ComponentSide:
    configurations, sources, components = holding.components(commons, blamed)
    retries = environment.sessions.retry_policy
    filled = (one if one.retry_policy else one.model_copy(update={"retry_policy": retries}) for one in components)
    return configurations, sources, tuple(filled)
