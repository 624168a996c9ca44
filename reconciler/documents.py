"""A file's text → drafts of documents: each checked by itself as far as it goes, so that no fault hides another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from reconciler import notyet, syntax
from reconciler.explain import explain
from reconciler.model.component import Components, ComponentsSpec
from reconciler.model.configuration import Configuration, ConfigurationSpec, Source, SourceSpec
from reconciler.model.document import Metadata, Named, Part
from reconciler.model.environment import Environment, EnvironmentSpec
from reconciler.model.origin import Fault, Origin
from reconciler.model.service import Service, ServiceSpec
from reconciler.place import Place

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


@dataclass(slots=True)
class Draft:
    """A document of a known kind. *noun* is what could be made of it, without the fields of its spec that are *faulty*."""

    kind: str
    name: str
    place: Place
    origin: Origin
    spec: Mapping[str, Any] = field(default_factory=dict)  # as written
    noun: Any = None
    faulty: frozenset[str] = frozenset()

    def fault(self, message: str, hint: str, *steps: str | int) -> Fault:
        return Fault(self.place.at(steps), message, hint)

    def clash(self, other: Draft, message: str, hint: str, *steps: str | int) -> Fault:
        """A fault of two documents that cannot both be as they are."""
        return Fault(self.place.at(steps), message, hint, (other.origin,))


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of a file. *lost* is the text in which names may be declared that nobody could read.

    *nameless* is where documents begin of which no draft could be made, and where the file breaks off.
    """

    drafts: tuple[Draft, ...]
    faults: tuple[Fault, ...]
    lost: bytes = b""
    nameless: tuple[Origin, ...] = ()


def read(path: str, text: bytes) -> Reading:
    """The documents of a file, and every fault of it that can be seen from this file alone."""
    roots, flaws = syntax.compose(text)
    drafts: list[Draft] = []
    faults: list[Fault] = []
    nameless = [Origin(path, flaw.line, flaw.column) for flaw in flaws if flaw.fatal]
    for index, root in enumerate(roots):
        place, origin = Place(path, text, index), Origin(path, root.line, root.column)
        draft, found = _document(place, origin, root.plain)
        faults += found
        if draft:
            drafts.append(draft)
        else:
            nameless.append(origin)
    noted = {(flaw.line, flaw.column) for flaw in flaws}
    faults = [fault for fault in faults if (fault.origin.line, fault.origin.column) not in noted]
    faults += [Fault(Origin(path, flaw.line, flaw.column), flaw.message, flaw.hint) for flaw in flaws]
    return Reading(tuple(drafts), tuple(faults), text if nameless else b"", tuple(nameless))


def _document(place: Place, origin: Origin, raw: Any) -> tuple[Draft | None, list[Fault]]:
    if not isinstance(raw, dict):
        return None, [Fault(origin, "a document must be a mapping of apiVersion, kind, metadata and spec")]
    faults = list(explain(place, (), Envelope, validate(Envelope, raw)[2]))
    metadata, spec = raw.get("metadata"), raw.get("spec")
    kind, name = raw.get("kind"), metadata.get("name") if isinstance(metadata, dict) else None
    if not isinstance(kind, str) or kind not in KINDS or not isinstance(name, str):
        return None, faults
    draft = Draft(kind, name, place, origin)
    if isinstance(spec, dict):
        draft.spec = spec
        faults += _specify(draft, spec, metadata if isinstance(metadata, dict) else {})
    return draft, faults


def _specify(draft: Draft, spec: dict[str, Any], metadata: Mapping[str, Any]) -> Iterator[Fault]:
    model, noun = KINDS[draft.kind]
    part, draft.faulty, errors = validate(model, spec)
    if part:
        fields: dict[str, Any] = {key: value for key in ("labels", "annotations") if isinstance(value := metadata.get(key), dict)}
        fields |= part.__dict__
        given = part.model_fields_set | {"name", "origin"}
        draft.noun = noun.model_construct(given, name=draft.name, origin=draft.origin, **fields).placed(draft.place)
    yield from explain(draft.place, ("spec",), model, errors)
    yield from notyet.refuse(draft.kind, spec, draft.place)


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
