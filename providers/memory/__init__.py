"""The fakes that ship with the product: small real things that keep the ports' contracts, for tests and for trying things out."""

from providers.memory.cloud import MemoryCloud
from providers.memory.cluster import MemoryCluster
from providers.memory.engine import MemoryEngine
from providers.memory.fault import Fate, Killed
from providers.memory.history import MemoryHistory
from providers.memory.lease import MemoryLease, MemoryLeases, Table
from providers.memory.still import FixedClock, MemoryResolver

__all__ = [
    "Fate",
    "FixedClock",
    "Killed",
    "MemoryCloud",
    "MemoryCluster",
    "MemoryEngine",
    "MemoryHistory",
    "MemoryLease",
    "MemoryLeases",
    "MemoryResolver",
    "Table",
]
