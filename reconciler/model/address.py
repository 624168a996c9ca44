"""One address for everything that is declared or observed; its grammar is part of the interface.

    volume/<env>/<service>/<member>/<volume>      interface/<env>/<service>/<member>      address/<env>/<service>/<member>
    record/<env>/<fqdn>      zone/<env>/<name>      kubernetes/<env>/<service>/<Kind>/<namespace>/<name>

What services share (the namespace, the storage class, the hosted zone) has the service `-`.
"""

from __future__ import annotations

from dataclasses import dataclass

SHARED = "-"
INSTALLED = ".install"  # behind an environment's name: the reconciler that runs for it. No environment has a name with a dot
_GLOBAL = frozenset({"record", "zone"})  # unique in an environment, so their addresses name no service
_PARTS = {"volume": 2, "interface": 1, "address": 1, "record": 1, "zone": 1, "kubernetes": 3}


@dataclass(frozen=True, slots=True, order=True)
class ResourceId:
    """A kind, an environment, the service that declares it ("" for kinds unique in an environment) and a name with slashes."""

    kind: str
    environment: str
    service: str
    name: str

    def __str__(self) -> str:
        return "/".join(part for part in (self.kind, self.environment, self.service, self.name) if part)

    @property
    def member(self) -> str:
        """The member this belongs to; "" for what belongs to none, or does not say so in its name."""
        return self.name.split("/")[0] if self.kind in {"volume", "interface", "address"} else ""


def parse(text: str) -> ResourceId:
    """The id that prints as *text*; ValueError where nothing does."""
    kind, _, rest = text.partition("/")
    if kind not in _PARTS:
        raise ValueError(f"{text!r} is no address: its kind is none of {', '.join(_PARTS)}")
    environment, *tail = rest.split("/")
    service = "" if kind in _GLOBAL else (tail.pop(0) if tail else "")
    if not environment or len(tail) != _PARTS[kind] or not all(tail) or (kind not in _GLOBAL and not service):
        raise ValueError(f"{text!r} is no address of a {kind}")
    return ResourceId(kind, environment, service, "/".join(tail))
