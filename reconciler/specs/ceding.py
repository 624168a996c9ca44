"""What is wrong with the `ignore` of a service: paths that say nothing, lead nowhere, or to what is nobody else's to own. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from reconciler.fields import fieldpath
from reconciler.model.origin import Fault
from reconciler.model.value import Path, Value, spell
from reconciler.resources import cede
from reconciler.resources.cede import Rule
from reconciler.specs.explain import nearest

if TYPE_CHECKING:
    from reconciler.kinds import ServiceType
    from reconciler.model.environment import Environment
    from reconciler.model.resource import Resource
    from reconciler.specs.draft import Draft


def faults(draft: Draft, environment: Environment, type_: ServiceType) -> Iterator[Fault]:
    """A fault for each `ignore` of the service *draft* that cannot be meant."""
    if not draft.noun.ignore:
        return
    declared = type_.resources(draft.noun, environment)
    for index, one in enumerate(draft.noun.ignore):
        rule = cede.parse(one.path, one.reason)
        told = _wrong(rule, declared, draft.name) if rule else ("is no path", "write StatefulSet/kv:spec.replicas or /spec/replicas")
        if told:
            yield draft.fault(f"ignore[{index}].path: {one.path} {told[0]}", told[1], "spec", "ignore", index, "path")


def _wrong(rule: Rule, declared: tuple[Resource, ...], service: str) -> tuple[str, str] | None:
    """What is wrong with *rule*, and what to do; None where nothing is."""
    matched = [one for one in declared if rule.matches(one)]
    if not matched:
        return f"names nothing that {service} declares", nearest(rule.resource, {cede.names(one)[0] for one in declared})
    if all(one.owner == "members" for one in matched):
        return "names a record that follows its Pod, which is written as a whole", "give the service addresses, or leave it out"
    found = [(one, path) for one in matched if one.owner == "engine" for path in cede.places(one.fields, rule.steps)]
    if any(cede.identifying(path) for _, path in found):
        return "is how the reconciler knows what is its own", "leave it out"
    if not any(fieldpath.reach(one.fields, path) is not fieldpath.ABSENT for one, path in found):
        return f"is a field that nothing of {service} declares", _meant(rule, matched)
    return None


def _meant(rule: Rule, matched: list[Resource]) -> str:
    """The declared field that comes nearest, or why none is needed."""
    known = {spell(path) for one in matched for path in _leaves(one.fields)}
    close = difflib.get_close_matches(".".join(rule.steps), sorted(known), n=1)
    return f"did you mean {close[0]}?" if close else "what the spec does not declare is left to others anyway"


def _leaves(value: Value, path: Path = ()) -> Iterator[Path]:
    if path:
        yield path
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _leaves(item, (*path, name))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _leaves(item, (*path, fieldpath.step_to(item, index)))
