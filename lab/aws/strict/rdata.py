"""What a record's values may look like, type by type, as Route 53 checks them. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable

from lab.aws.strict import dns_name

STRINGS = re.compile(r'"(?:[^"\\]|\\.)*"(?:\s+"(?:[^"\\]|\\.)*")*')


def fault(kind: str, value: str) -> str | None:
    """What is wrong with *value* in a record of *kind*, in Route 53's words; None: nothing."""
    check = CHECKS.get(kind)
    found = check(value) if check else None
    return f"FATAL problem: {found} encountered with '{value}'" if found else None


def _ipv4(value: str) -> str | None:
    try:
        ipaddress.IPv4Address(value)
    except ValueError:
        return "ARRDATAIllegalIPv4Address (Value is not a valid IPv4 address)"
    return None


def _ipv6(value: str) -> str | None:
    try:
        ipaddress.IPv6Address(value)
    except ValueError:
        return "AAAARRDATAIllegalIPv6Address (Value is not a valid IPv6 address)"
    return None


def _name(value: str) -> str | None:
    try:
        dns_name.canonical(value)
    except dns_name.BadNameError:
        return "DomainNameInvalid (Value is not a valid domain name)"
    return None


def _strings(value: str) -> str | None:
    if STRINGS.fullmatch(value):
        return None
    return "InvalidCharacterString (Value should be enclosed in quotation marks)"


def _fields(numbers: int, name: str) -> Callable[[str], str | None]:
    """A check for *numbers* 16-bit numbers and a domain name."""

    def check(value: str) -> str | None:
        *parts, target = value.split() or [""]
        if len(parts) != numbers or not all(part.isdigit() and int(part) < 1 << 16 for part in parts):
            return f"{name}RRDATAWrongFields (Value should have {numbers + 1} fields, {numbers} numbers and a domain name)"
        return _name(target)

    return check


CHECKS: dict[str, Callable[[str], str | None]] = {
    "A": _ipv4,
    "AAAA": _ipv6,
    "CNAME": _name,
    "NS": _name,
    "PTR": _name,
    "TXT": _strings,
    "SPF": _strings,
    "MX": _fields(1, "MX"),
    "SRV": _fields(3, "SRV"),
}
