"""The types of manifests, out of `schema.json`: what stands at a path of which kind, and how it merges. Pure but for reading its own file.

`scripts/manifest-schema` writes the file from the API server's OpenAPI and the Go source; `openapi.py` says what its words mean.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from typing import Any, Literal

Form = Literal["leaf", "struct", "mapping", "list"]
_WORD = re.compile(r"(\??)(=?)(?:(\{\})|\[([^]]*)\])?(.+)")


@dataclass(frozen=True, slots=True)
class Type:
    """What a field is. *name* is a leaf's word or a definition's name; *below* what a mapping or list holds.

    *keys* are the fields by which a list merges, none for one that merges by its values, None for one that is one value. *whole* says
    that a mapping is one value; *kept* that a zero is not nothing: it is stored, and told from a field that is not there.
    """

    form: Form
    name: str = ""
    below: Type | None = None
    keys: tuple[str, ...] | None = None
    whole: bool = False
    kept: bool = False


ANY = Type("leaf", "any")


@lru_cache(maxsize=8192)
def at(kind: str, path: tuple[str, ...]) -> Type:
    """The type of the field at *path*, items of lists left out; ANY where no schema is known."""
    if not path:
        name = _file()["kinds"].get(kind)
        return Type("struct", name) if name else ANY
    above = at(kind, path[:-1])
    while above.form == "list" and above.below:
        above = above.below
    if above.form == "mapping":
        return above.below or ANY
    return fields(above.name).get(path[-1], ANY) if above.form == "struct" else ANY


@cache
def fields(name: str) -> Mapping[str, Type]:
    """The fields of definition *name*."""
    return {field: parse(word) for field, word in _file()["types"].get(name, {}).items()}


@cache
def parse(word: str) -> Type:
    """The type that *word* writes."""
    found = _WORD.fullmatch(word)
    if not found:
        raise ValueError(f"{word!r} is no type")
    pointer, whole, mapping, listing, rest = found.groups()
    kept = bool(pointer)
    if mapping:
        return Type("mapping", below=_held(rest), whole=bool(whole), kept=kept)
    if listing is not None:
        return Type("list", below=_held(rest), keys=_keys(listing), kept=kept)
    return Type("struct" if "." in rest else "leaf", rest, whole=bool(whole), kept=kept)


def _held(word: str) -> Type:
    """What a mapping or a list holds is kept even where it is zero."""
    return parse(f"?{word}")


def _keys(text: str) -> tuple[str, ...] | None:
    if not text:
        return None
    return () if text == "*" else tuple(text.split(","))


@cache
def _file() -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(resources.files(__package__).joinpath("schema.json").read_text())
    return found
