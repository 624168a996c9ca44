"""What the API server makes of a manifest: how lists merge, what it fills in or drops, and which fields it never lets change. Pure.

`schema` says what a field is, `meaning` which spellings are one value, `defaults` what is filled in, `immutable` what may change,
`exclusive` what cannot stand together.
"""

from __future__ import annotations

from functools import lru_cache, partial

from providers.manifest import defaults, exclusive, immutable, meaning, schema
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
    type_, above = schema.at(kind, path), _above(kind, path)
    rivals = exclusive.rivals(above, path[-1]) if above else frozenset()
    return FieldPolicy(
        canonical=_uncompared if (kind, path[:2]) == ("PersistentVolume", ("spec", "capacity")) else partial(meaning.normal, type_),
        effect=immutable.unless_it_stays(effect) if rivals else effect,
        why=f"others hold it, and it cannot stand beside {' or '.join(sorted(rivals))}; take it away by hand" if rivals else why,
        sensitive=kind == "Secret" and path[:1] != () and path[0] in _SECRET,
        whole=type_.whole,
        default=partial(defaults.default, above, path[-1]) if above and defaults.has(above, path[-1]) else None,
        rivals=rivals,
    )


def _above(kind: str, path: tuple[str, ...]) -> str:
    """The definition that has the field at *path*; "" where none has."""
    if not path:
        return ""
    found = schema.at(kind, path[:-1])
    while found.form == "list" and found.below:
        found = found.below
    return found.name if found.form == "struct" else ""


def _uncompared(_value: Value) -> Value:
    """A volume's capacity is the resizer's."""
    return None
