"""Part of the stand-in plugins: property values as the engine sends them (Struct with secrets and unknowns) and as plain Python values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf import struct_pb2

SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
_SECRET: Final = "1b47061264138c4ac30d75fd1eb44270"
_OUTPUT: Final = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
_UNKNOWNS: Final = frozenset(
    {
        "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
        "030794c1-ac77-496b-92df-f27374a8bd58",
        "e48ece36-62e2-4504-bad9-02848725956a",
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
    }
)
_UNKNOWN_STRING: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"

Values = dict[str, Any]
Path = tuple[str, ...]


class Unknown:
    """What a preview can't know yet; there is one such value."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "UNKNOWN"

    def __deepcopy__(self, _memo: object) -> Unknown:
        return self


UNKNOWN: Final = Unknown()


@dataclass(frozen=True, slots=True)
class Bag:
    """Plain values, and beside them the paths of what is secret (a list counts whole: its order may change)."""

    values: Values
    secrets: frozenset[Path] = frozenset()


def decode(struct: struct_pb2.Struct) -> Bag:
    """Plain values of *struct*; nulls are left out, whole numbers are ints."""
    secrets: set[Path] = set()
    return Bag(_object(struct, (), secrets), frozenset(secrets))


def encode(values: Mapping[str, Any], secrets: Iterable[Path] = ()) -> struct_pb2.Struct:
    """The Struct of *values* in which what lies at *secrets* is marked as secret."""
    struct = struct_pb2.Struct()
    struct.update(_mark(values, frozenset(secrets), ()))
    return struct


def has_unknown(value: object) -> bool:
    """Whether anything within *value* is not known yet."""
    if isinstance(value, dict):
        return any(has_unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(has_unknown(item) for item in value)
    return value is UNKNOWN


def name_of(path: Iterable[str | int]) -> str:
    """A property path as Pulumi writes it: `tags["a.b"]`, `spec.ports[0]`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif any(sign in step for sign in '."[]'):
            text += '["{}"]'.format(step.replace('"', '\\"'))
        else:
            text += f".{step}" if text else step
    return text


def _object(struct: struct_pb2.Struct, path: Path, secrets: set[Path]) -> Values:
    set_ = {key: value for key, value in struct.fields.items() if value.WhichOneof("kind") not in {"null_value", None}}
    return {key: _plain(value, (*path, key), secrets) for key, value in set_.items()}


def _plain(value: struct_pb2.Value, path: Path, secrets: set[Path]) -> Any:
    match value.WhichOneof("kind"):
        case "struct_value":
            return _special(value.struct_value, path, secrets)
        case "list_value":
            within: set[Path] = set()
            items = [_plain(item, path, within) for item in value.list_value.values]
            if within:
                secrets.add(path)
            return items
        case "string_value":
            return UNKNOWN if value.string_value in _UNKNOWNS else value.string_value
        case "number_value":
            return int(value.number_value) if value.number_value.is_integer() else value.number_value
        case "bool_value":
            return value.bool_value
        case _:
            return None


def _special(struct: struct_pb2.Struct, path: Path, secrets: set[Path]) -> Any:
    """What a struct with Pulumi's signature stands for; any other is an object."""
    signature = struct.fields[SIGNATURE].string_value if SIGNATURE in struct.fields else ""
    if not signature:
        return _object(struct, path, secrets)
    if signature not in {_SECRET, _OUTPUT}:
        raise ValueError(f"{name_of(path)}: the lab's plugins take no assets, archives or resources as values; give a string")
    if signature == _SECRET or ("secret" in struct.fields and struct.fields["secret"].bool_value):
        secrets.add(path)
    return _plain(struct.fields["value"], path, secrets) if "value" in struct.fields else UNKNOWN


def _mark(value: Any, secrets: frozenset[Path], path: Path) -> Any:
    if isinstance(value, Mapping):
        marked: Any = {key: _mark(item, secrets, (*path, key)) for key, item in value.items() if item is not None}
    elif isinstance(value, list | tuple):
        marked = [_mark(item, frozenset(), path) for item in value]
    else:
        marked = _UNKNOWN_STRING if value is UNKNOWN else value
    return {SIGNATURE: _SECRET, "value": marked} if path and path in secrets else marked
