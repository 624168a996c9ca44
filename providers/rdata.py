"""The values of records as they are compared: what Route53 or a person may write in more than one way is one value. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable

from providers import zones

_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)', re.DOTALL)
_ESCAPED = re.compile(r"\\([0-7]{3}|.)", re.DOTALL)


def canonical(kind: str, value: str) -> str:
    """*value* of a record of type *kind*; what is no such value stays as it is."""
    return _FORMS.get(kind, _words)(value)


def _address(value: str) -> str:
    try:
        return str(ipaddress.ip_address(value.strip()))
    except ValueError:
        return value


def _name(value: str) -> str:
    return zones.plain(value.strip())


def _target(value: str) -> str:
    """Numbers and a name, as of MX and SRV."""
    *numbers, name = value.split() or [""]
    return " ".join([*(str(int(number)) if number.isdecimal() else number for number in numbers), zones.plain(name)])


def _text(value: str) -> str:
    """What the strings of a TXT say together: how a long one was cut into pieces of 255 means nothing to who reads it."""
    pieces = (quoted if quoted or not bare else bare for quoted, bare in _STRING.findall(value))
    return "".join(_ESCAPED.sub(_unescaped, piece) for piece in pieces) if '"' in value else value


def _unescaped(found: re.Match[str]) -> str:
    return chr(int(found[1], 8)) if len(found[1]) > 1 else found[1]


def _words(value: str) -> str:
    return " ".join(value.split())


_FORMS: dict[str, Callable[[str], str]] = {
    "A": _address,
    "AAAA": _address,
    "CNAME": _name,
    "NS": _name,
    "PTR": _name,
    "MX": _target,
    "SRV": _target,
    "TXT": _text,
    "SPF": _text,
}
