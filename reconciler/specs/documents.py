"""A file's text → drafts of documents: each checked by itself as far as it goes, so that no fault hides another."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from reconciler.model.component import Components, ComponentsSpec
from reconciler.model.configuration import Configuration, ConfigurationSpec, Source, SourceSpec
from reconciler.model.document import Metadata, Named, Part
from reconciler.model.environment import Environment, EnvironmentSpec
from reconciler.model.origin import Fault, Origin
from reconciler.model.service import Service, ServiceSpec
from reconciler.specs import notyet, place, syntax
from reconciler.specs.draft import Draft
from reconciler.specs.explain import explain
from reconciler.specs.place import Place, Spots

KINDS: dict[str, tuple[type[Part], type[Named]]] = {
    "Environment": (EnvironmentSpec, Environment),
    "Service": (ServiceSpec, Service),
    "Configuration": (ConfigurationSpec, Configuration),
    "Components": (ComponentsSpec, Components),
    "Source": (SourceSpec, Source),
}


class Envelope(Part):
    """What every document is."""

    api_version: Literal["reconciler/v1"]
    kind: Literal["Environment", "Service", "Configuration", "Components", "Source"]
    metadata: Metadata
    spec: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of a file. *lost* is the text in which names may be declared that nobody could read.

    *nameless* is where documents begin of which no draft could be made, and where the file breaks off.
    """

    drafts: tuple[Draft, ...]
    faults: tuple[Fault, ...] = ()
    lost: bytes = b""
    nameless: tuple[Origin, ...] = ()

    @property
    def sound(self) -> bool:
        return not self.faults and not self.nameless


class Kept(NamedTuple):
    """A sound reading as JSON: the *head* is what is looked at in every run, the *body* what is needed to make nouns."""

    head: str
    body: str


def read(path: str, text: bytes) -> Reading:
    """The documents of a file, and every fault of it that can be seen from this file alone."""
    roots, flaws = syntax.compose(text)
    drafts: list[Draft] = []
    faults: list[Fault] = []
    nameless = [Origin(path, flaw.line, flaw.column) for flaw in flaws if flaw.fatal]
    for index, root in enumerate(roots):
        spots = place.spots(root)
        there = Place(path, lambda: text, index, lambda spots=spots: spots)  # type: ignore[misc]
        origin = Origin(path, root.line, root.column)
        draft, found = _document(there, origin, root.plain)
        faults += found
        if draft:
            drafts.append(draft)
        else:
            nameless.append(origin)
    noted = {(flaw.line, flaw.column) for flaw in flaws}
    faults = [fault for fault in faults if (fault.origin.line, fault.origin.column) not in noted]
    faults += [Fault(Origin(path, flaw.line, flaw.column), flaw.message, flaw.hint) for flaw in flaws]
    return Reading(tuple(drafts), tuple(faults), text if nameless else b"", tuple(nameless))


def keep(reading: Reading) -> Kept:
    """*reading*, which has to be sound, as it can be kept for `recall`."""
    head = [(one.kind, one.name, one.origin.line, one.origin.column, one.depends, one.moved) for one in reading.drafts]
    body = [(one.spec, one.noun.labels, one.noun.annotations, one.place.spots()) for one in reading.drafts]
    return Kept(json.dumps(head, separators=(",", ":")), json.dumps(body, separators=(",", ":")))


def recall(path: str, head: list[Any], body: Callable[[], str], text: Callable[[], bytes]) -> list[Draft]:
    """The drafts that were kept: their bodies are parsed, and nouns made of them, only once somebody asks."""
    bodies, drafts = _Bodies(body), []
    for index, (kind, name, line, column, depends, moved) in enumerate(head):
        there = Place(path, text, index, partial(bodies.spots, index))
        draft = Draft(kind, name, there, Origin(path, line, column), tuple(depends), moved, body=partial(bodies.spec, index))
        draft.make = partial(bodies.noun, index, draft)
        drafts.append(draft)
    return drafts


class _Bodies:
    """The bodies of the documents of one file, parsed when one is first asked for."""

    def __init__(self, text: Callable[[], str]) -> None:
        self._text = text

    @cached_property
    def _documents(self) -> list[Any]:
        parsed: list[Any] = json.loads(self._text())
        return parsed

    def spec(self, index: int) -> Mapping[str, Any]:
        spec: Mapping[str, Any] = self._documents[index][0]
        return spec

    def spots(self, index: int) -> Spots:
        spots: Spots = self._documents[index][3]
        return spots

    def noun(self, index: int, draft: Draft) -> Named:
        spec, labels, annotations, _ = self._documents[index]
        part = KINDS[draft.kind][0].model_validate(spec, by_alias=True, by_name=False)
        return _noun(draft, part, labels, annotations)


def _document(there: Place, origin: Origin, raw: Any) -> tuple[Draft | None, list[Fault]]:
    if not isinstance(raw, dict):
        return None, [Fault(origin, "a document must be a mapping of apiVersion, kind, metadata and spec")]
    faults = list(explain(there, (), Envelope, validate(Envelope, raw)[2]))
    metadata, spec = raw.get("metadata"), raw.get("spec")
    kind, name = raw.get("kind"), metadata.get("name") if isinstance(metadata, dict) else None
    if not isinstance(kind, str) or kind not in KINDS or not isinstance(name, str):
        return None, faults
    draft = Draft(kind, name, there, origin)
    if isinstance(spec, dict):
        draft.body = lambda: spec
        if kind == "Service":
            draft.depends, draft.moved = _named(spec)
        faults += _specify(draft, spec, metadata if isinstance(metadata, dict) else {})
    return draft, faults


def _named(spec: Mapping[str, Any]) -> tuple[tuple[str, ...], str]:
    """The other services that a service names, whatever else is wrong with it."""
    depends, moved = spec.get("dependsOn"), spec.get("movedFrom")
    former = moved.get("name") if isinstance(moved, dict) else None
    names = tuple(one for one in depends if isinstance(one, str)) if isinstance(depends, list) else ()
    return names, former if isinstance(former, str) else ""


def _specify(draft: Draft, spec: dict[str, Any], metadata: Mapping[str, Any]) -> Iterator[Fault]:
    model = KINDS[draft.kind][0]
    part, draft.faulty, errors = validate(model, spec)
    if part:
        draft.noun = _noun(draft, part, *(_mapping(metadata.get(name)) for name in ("labels", "annotations")))
    yield from explain(draft.place, ("spec",), model, errors)
    yield from notyet.refuse(draft.kind, spec, draft.place)


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _noun(draft: Draft, part: BaseModel, labels: Mapping[str, str], annotations: Mapping[str, str]) -> Named:
    """*part*, which has been checked, with what a noun has beside its spec."""
    noun = KINDS[draft.kind][1]
    fields = {**part.__dict__, "labels": labels, "annotations": annotations}
    fields |= {"pinned": {}, "parents": ()} if draft.kind == "Service" else {}
    given = part.model_fields_set | {"name", "origin"} | {name for name in ("labels", "annotations") if fields[name]}
    return noun.model_construct(given, name=draft.name, origin=draft.origin, **fields).placed(draft.place)


def validate(model: type[BaseModel], raw: Mapping[str, Any]) -> tuple[BaseModel | None, frozenset[str], Iterable[ErrorDetails]]:
    """*raw* as a model; where it is none, what is left of it without its faulty fields (None if those are required), and why."""
    try:
        return model.model_validate(raw, by_alias=True, by_name=False), frozenset(), ()
    except ValidationError as error:
        errors = error.errors(include_url=False)
    faulty = frozenset(str(error["loc"][0]) for error in errors if error["loc"])
    try:
        rest = {key: value for key, value in raw.items() if key not in faulty}
        return model.model_validate(rest, by_alias=True, by_name=False), faulty, errors
    except ValidationError:
        return None, faulty, errors
