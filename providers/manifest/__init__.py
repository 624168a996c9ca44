"""What the API server makes of a manifest: how lists merge, what it fills in or drops, and which fields it never lets change. Pure.

`schema` says what a field is, `meaning` which spellings are one value, `defaults` what is filled in, `immutable` what may change.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial

from providers.manifest import defaults, immutable, meaning, schema
from reconciler.kinds import FieldPolicy, ListKey
from reconciler.model.value import Fields, Value

_SECRET = frozenset({"data", "stringData"})


def list_key(manifest: Fields, path: tuple[str, ...]) -> ListKey:
    """The fields by which the list at *path* merges, "" for lists that are one value."""
    keys = schema.at(str(manifest.get("kind")), path).keys
    return "" if keys is None else keys


def policy(manifest: Fields, path: tuple[str, ...]) -> FieldPolicy:
    """How the field at *path* of *manifest* is compared, and what a difference of it means."""
    return _policy(str(manifest.get("kind")), path, sealed=manifest.get("immutable") is True)


@lru_cache(maxsize=8192)
def _policy(kind: str, path: tuple[str, ...], *, sealed: bool) -> FieldPolicy:
    effect, why = immutable.meaning(kind, path, sealed=sealed)
    type_ = schema.at(kind, path)
    return FieldPolicy(
        canonical=_uncompared if (kind, path[:2]) == ("PersistentVolume", ("spec", "capacity")) else partial(meaning.normal, type_),
        effect=effect,
        why=why,
        sensitive=kind == "Secret" and path[:1] != () and path[0] in _SECRET,
        whole=type_.whole,
        default=_default(kind, path),
    )


def _default(kind: str, path: tuple[str, ...]) -> Callable[[Fields, Value], Value] | None:
    """What is filled in at *path*, if anything is."""
    above = schema.at(kind, path[:-1])
    while above.form == "list" and above.below:
        above = above.below
    if not path or above.form != "struct" or not defaults.has(above.name, path[-1]):
        return None
    return partial(defaults.default, above.name, path[-1])


def _uncompared(_value: Value) -> Value:
    """A volume's capacity is the resizer's."""
    return None
