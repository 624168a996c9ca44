"""What faults hold: the documents that they are in, those that these clash with, and what depends on either. The rest goes on."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from reconciler.model.origin import Fault, Origin
from reconciler.specs.draft import Draft

if TYPE_CHECKING:
    from reconciler.model.component import Components
    from reconciler.model.configuration import Configuration, Source
    from reconciler.specs.reference import Commons

Blame: TypeAlias = Mapping[Origin, Fault]  # by where a document begins: its first fault
ComponentSide: TypeAlias = "tuple[dict[str, Configuration], dict[str, Source], tuple[Components, ...]]"


def blame(commons: Commons, faults: Iterable[Fault]) -> dict[Origin, Fault]:
    """The documents that *faults* are about. One that is about a whole file, or about a document without a name, is about none."""
    faults = sorted(faults)
    starts: dict[str, list[Origin]] = {place.path: [] for fault in faults for place in (fault.origin, *fault.also)}
    for origin in (*commons.nameless, *(draft.origin for drafts in commons.drafts.values() if starts for draft in drafts)):
        if origin.path in starts:
            insort(starts[origin.path], origin)
    first: dict[Origin, Fault] = {}
    for fault in faults:
        for place in (fault.origin, *fault.also):
            before = bisect_right(starts.get(place.path, ()), place)
            if before:
                first.setdefault(starts[place.path][before - 1], fault)
    return first


def sound(drafts: Iterable[Draft], blamed: Blame) -> list[Draft]:
    """Those of *drafts* that nothing is wrong with."""
    return [draft for draft in drafts if draft.whole and draft.origin not in blamed]


def services(commons: Commons, blamed: Blame) -> dict[str, str]:
    """The services on hold, each with the fault of its own document, or of one that it depends on, however far away."""
    drafts = commons.of("Service")
    held = {draft.name: str(blamed[draft.origin]) for draft in drafts if draft.origin in blamed}
    users: dict[str, list[Draft]] = {}
    for draft in drafts:
        for name in draft.depends:
            users.setdefault(name, []).append(draft)
    queue = list(held.items())
    queue += [(name, _unread(name, by[0])) for name, by in users.items() if name not in commons.names["Service"]]
    for name, why in queue:  # grows while it is walked
        for draft in users.get(name, ()):
            if draft.name not in held:
                held[draft.name] = why if why.startswith("it depends on ") else f"it depends on {name}: {why}"
                queue.append((draft.name, held[draft.name]))
    return held


def _unread(name: str, user: Draft) -> str:
    return f"{user.place.at(('spec', 'dependsOn'))}: the document of {name} cannot be read"


def components(commons: Commons, blamed: Blame) -> ComponentSide:
    """The component side without what is on hold: whatever needs a source or a configuration that is, is so too."""
    sources = {draft.name: draft.noun for draft in sound(commons.of("Source"), blamed)}
    configurations = {
        draft.name: draft.noun for draft in sound(commons.of("Configuration"), blamed) if _sources(draft.noun) <= sources.keys()
    }
    documents = (draft.noun for draft in sound(commons.of("Components"), blamed))
    return configurations, sources, tuple(one for one in documents if not _lacks(one, configurations))


def _sources(configuration: Configuration) -> set[str]:
    extra = (configuration.additional_inventory,) if configuration.additional_inventory else ()
    return {one.source for one in (*configuration.layers, *extra) if one.source}


def _lacks(document: Components, configurations: Mapping[str, Any]) -> bool:
    return bool(document.desired_configuration) and document.desired_configuration not in configurations


def lost(faults: Iterable[Fault]) -> str:
    """Why not everything that git declares is known: in a fault's place anything may be meant."""
    found = sorted(faults)
    if not found:
        return ""
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return f"the specs have faults: {found[0]}{more}"
