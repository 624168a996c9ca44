"""What services that run in a Java virtual machine share: how large its heap is, and how it looks names up. Pure."""

from __future__ import annotations

from reconciler.model.quantity import Quantity

_MIB = 2**20
# The machine forgets a name's old address after as long as the record may be cached.
FRESH_NAMES = "-Dsun.net.inetaddr.ttl=5"


def heap_flags(heap: Quantity) -> str:
    """All of the heap from the beginning: what a member needs later it has."""
    return f"-Xms{heap.bytes // _MIB}m -Xmx{heap.bytes // _MIB}m"
