"""What services that run in a Java virtual machine share: how large its heap is, and what cannot be. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.kinds import Check
from reconciler.model.quantity import Quantity
from reconciler.model.service import Service

_MIB = 2**20
# The machine forgets a name's old address after as long as the record may be cached.
FRESH_NAMES = "-Dsun.net.inetaddr.ttl=5"


def heap_flags(heap: Quantity) -> str:
    """All of the heap from the beginning: what a member needs later it has."""
    return f"-Xms{heap.bytes // _MIB}m -Xmx{heap.bytes // _MIB}m"


def checks(service: Service, heap: Quantity, least: str = "1Mi") -> Iterator[Check]:
    """What can be wrong with `options.heap`, of a program that does not start with less than *least*."""
    limit = service.resources.limits.get("memory")
    if heap < Quantity.parse(least):
        yield "options.heap", f"{heap} is less than {least}", "write a quantity such as 512Mi"
    if limit and heap.bytes >= limit.bytes:
        yield "options.heap", f"{heap} leaves nothing of the limit of {limit} for the JVM itself", "raise limits.memory"
