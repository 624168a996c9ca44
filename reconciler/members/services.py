"""What a service has and lacks, as conditions; pure. Where nothing says since when, *since* stays empty.

Ages are those of what a condition follows from: when the first member began to lack something, or the last one worked; when the
application said that nothing is lacking.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from reconciler.model.condition import Condition, Type
from reconciler.model.outcome import Done, Failed, spell
from reconciler.model.service import Service
from reconciler.model.stand import Stand


def conditions(service: Service, stands: Mapping[str, Stand], unsynced: str) -> Iterator[Condition]:
    """Of *service* and those it depends on it is known how they stand; *unsynced* says what an apply would do, "" for nothing.

    Each condition comes before what depends on it.
    """
    if service.depends_on:
        yield _dependencies(service, stands)
    own = stands.get(service.name)
    if own is None:
        return
    if own.initial is not None:
        yield _of("Initialised", own, "Initialised", "Initialising")
    if own.closed:
        yield _of("AuthEnforced", own, "StrangersRefused", "NotSeenYet")
    elif not service.stopped:
        text = "nothing asks for a password: its type knows none, or its options ask for none"
        yield Condition("AuthEnforced", "False", "NotAskedFor", text)
    yield _progressing(own, unsynced)


def since(members: Iterable[tuple[Condition, ...]]) -> str:
    """When the members with these conditions began to stand as they do: the first to lack something, or the last to work."""
    every = [one for found in members for one in found]
    lacking = [one.since for one in every if one.status == "False" and one.since]
    if any(one.status == "False" for one in every):
        return min(lacking, key=datetime.fromisoformat, default="")
    return _last(one.since for one in every if one.type == "AppReady")


def _last(moments: Iterable[str]) -> str:
    return max(filter(None, moments), key=datetime.fromisoformat, default="")


def _dependencies(service: Service, stands: Mapping[str, Stand]) -> Condition:
    for name in service.depends_on:
        found = stands.get(name)
        if found is None:
            return Condition("DependenciesReady", "Unknown", "NotKnown", f"how {name} stands is not known")
        if not isinstance(found.outcome, Done):
            return Condition("DependenciesReady", "False", "NotReady", f"{name}: {spell(found.outcome)}", found.since)
    return Condition("DependenciesReady", "True", "Ready", since=_last(map(_stood, (stands[name] for name in service.depends_on))))


def _stood(stand: Stand) -> str:
    """Since when it stands well."""
    return _last((stand.since, stand.answered))


def _of(type_: Type, own: Stand, well: str, lacking: str) -> Condition:
    """What follows from the initialisation; while it is lacking it was so since the members began to stand as they do."""
    outcome = own.initial or Done()
    if isinstance(outcome, Done):
        return Condition(type_, "True", well, since=own.answered)
    return Condition(type_, "False", "Failed" if isinstance(outcome, Failed) else lacking, spell(outcome), own.since)


def _progressing(own: Stand, unsynced: str) -> Condition:
    """Whether anything is still to come; one that failed for good is not on its way anywhere."""
    outcome = own.outcome
    if isinstance(outcome, Failed) and not outcome.retryable:
        return Condition("Progressing", "False", "Failed", spell(outcome), own.since)
    if unsynced:
        return Condition("Progressing", "True", "ToBeApplied", unsynced)
    if not isinstance(outcome, Done):
        return Condition("Progressing", "True", "Waiting", spell(outcome), own.since)
    return Condition("Progressing", "False", "Settled", since=_stood(own))
