"""Configuration files from data, whatever characters it holds. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def yaml(settings: Mapping[str, Any]) -> str:
    """A mapping, a line a field: what is JSON is YAML as well."""
    return "".join(f"{name}: {_json(value)}\n" for name, value in settings.items())


def properties(settings: Mapping[str, Any]) -> str:
    """A Java properties file; true and false as Java spells them."""
    return "".join(f"{_escaped(name, '=: ')}={_escaped(_word(value))}\n" for name, value in settings.items())


def toml(table: str, settings: Mapping[str, Any]) -> str:
    """One table, its values strings, numbers, booleans and lists of these, which TOML writes as JSON does."""
    return f"{table}\n" + "".join(f"  {name} = {_json(value)}\n" for name, value in settings.items())


def _json(value: Any) -> str:
    """Not in ASCII: JSON's pairs of surrogates mean nothing elsewhere; but DEL and what follows it, which only JSON lets stand."""
    return "".join(f"\\u{ord(char):04x}" if "\x7f" <= char <= "\x9f" else char for char in json.dumps(value, ensure_ascii=False))


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _escaped(text: str, signs: str = "") -> str:
    """As java.util.Properties reads it: a backslash before signs, UTF-16 units of what is not ASCII, blanks at the beginning kept."""
    units = text.encode("utf-16-be", "surrogatepass")
    chars = [chr(int.from_bytes(units[n : n + 2], "big")) for n in range(0, len(units), 2)]
    told = "".join(_unit(char, signs) for char in chars)
    return f"\\{told}" if told.startswith((" ", "#", "!")) else told


def _unit(char: str, signs: str) -> str:
    if char in f"\\{signs}":
        return f"\\{char}"
    return char if " " <= char <= "~" else f"\\u{ord(char):04x}"
