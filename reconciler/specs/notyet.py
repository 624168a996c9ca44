"""What the interface names and this release does not act on: refused, never ignored. An entry goes when its feature comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from reconciler.model.origin import Fault

if TYPE_CHECKING:
    from reconciler.specs.place import Place

Fine = Callable[[Any], bool]


def _unset(value: Any) -> bool:
    return value is None


def _only(*values: Any) -> Fine:
    return lambda value: value is None or any(value == one and type(value) is type(one) for one in values)


def _prefixed(prefix: str) -> Fine:
    return lambda value: not isinstance(value, str) or value.startswith(prefix)


_LATER = "leave it out until a release brings it"

# kind → path in the spec → which values are fine, and what to do about others
TABLE: dict[str, dict[str, tuple[Fine, str]]] = {
    "Environment": {
        "store": (_prefixed("sqlite:"), "use sqlite:///… until a release brings other stores"),
        "events": (_only("local"), "use local"),
        "windows": (_only([]), _LATER),
        "paused": (_only(False), _LATER),  # noqa: FBT003 - the value that a spec may have
        "engine.backend": (_prefixed("file://"), "use file://… until a release brings other backends"),
        "engine.secretsProvider": (_only("passphrase"), "use passphrase"),
    },
    "Service": {
        "policy": (_unset, _LATER),
        "windows": (_only([]), _LATER),
    },
    "Configuration": {"rollout": (_unset, "leave it out: all components are configured in batches")},
}


def refuse(kind: str, spec: Mapping[str, Any], place: Place) -> Iterator[Fault]:
    """A fault for each field of *spec* that asks for what is not there yet."""
    for path, (fine, hint) in TABLE.get(kind, {}).items():
        *outer, last = path.split(".")
        part: Any = spec
        for step in outer:
            part = part.get(step) if isinstance(part, Mapping) else None
        if isinstance(part, Mapping) and last in part and not fine(part[last]):
            yield Fault(place.at(("spec", *outer, last), key=True), f"{_subject(path, part[last])} is not supported yet", hint)


def _subject(path: str, value: Any) -> str:
    """The field, with its value where another value of it would do."""
    if isinstance(value, str):
        return f"{path} {value.split('://')[0] + '://…' if '://' in value else value}"
    return f"{path} true" if value is True else path
