"""What a service has and lacks, as conditions; pure. Where nothing says since when, *since* stays empty."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from reconciler.model.condition import Condition, Type
from reconciler.model.outcome import Done, Failed, Outcome, spell
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
        yield _of("Initialised", own.initial, "Initialised", "Initialising")
    if own.closed:
        yield _of("AuthEnforced", own.initial or Done(), "StrangersRefused", "NotSeenYet")
    elif not service.stopped:
        text = "nothing asks for a password: its type knows none, or its options ask for none"
        yield Condition("AuthEnforced", "False", "NotAskedFor", text)
    yield _progressing(own.outcome, unsynced)


def _dependencies(service: Service, stands: Mapping[str, Stand]) -> Condition:
    for name in service.depends_on:
        found = stands.get(name)
        if found is None:
            return Condition("DependenciesReady", "Unknown", "NotKnown", f"how {name} stands is not known")
        if not isinstance(found.outcome, Done):
            return Condition("DependenciesReady", "False", "NotReady", f"{name}: {spell(found.outcome)}")
    return Condition("DependenciesReady", "True", "Ready")


def _of(type_: Type, outcome: Outcome, well: str, lacking: str) -> Condition:
    if isinstance(outcome, Done):
        return Condition(type_, "True", well)
    return Condition(type_, "False", "Failed" if isinstance(outcome, Failed) else lacking, spell(outcome))


def _progressing(outcome: Outcome, unsynced: str) -> Condition:
    """Whether anything is still to come; one that failed for good is not on its way anywhere."""
    if isinstance(outcome, Failed) and not outcome.retryable:
        return Condition("Progressing", "False", "Failed", spell(outcome))
    if unsynced:
        return Condition("Progressing", "True", "ToBeApplied", unsynced)
    if not isinstance(outcome, Done):
        return Condition("Progressing", "True", "Waiting", spell(outcome))
    return Condition("Progressing", "False", "Settled")
