"""All that is live of an environment: every reading of every kind side by side, each failing alone. What failed is unread, never absent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from providers.once import Once
from reconciler import errors
from reconciler.diff import marking
from reconciler.kinds import Kind, Sources
from reconciler.model.environment import Environment
from reconciler.model.observation import Observation, Observed, Scope, gather
from reconciler.ports import Cloud, Cluster
from reconciler.resources import kubernetes, marks

AT_ONCE = 8  # readings; each waits for answers most of its time
T = TypeVar("T")


def observe(environment: Environment, kinds: Mapping[str, Kind] | Iterable[Kind], cloud: Cloud, cluster: Cluster) -> Observed:
    """The live state of *environment*, by the readings of *kinds*."""
    sources = Sources(Once(cloud), cluster, environment)
    every = kinds.values() if isinstance(kinds, Mapping) else kinds
    # The last by name begin first: a zone is looked up in several steps, and meanwhile the others' answers are parsed.
    named = sorted(every, key=lambda kind: kind.name, reverse=True)
    readings = [reading for kind in named for reading in kind.readings(environment)]
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="observe") as pool:
        leases = pool.submit(_following, sources)
        reads = {reading.scope: pool.submit(_drain, reading.read, sources) for reading in readings}
        unread: dict[Scope, str] = {}
        found = [one for scope, read in reads.items() for one in _result(read, scope, unread, [])]
        following = _result(leases, Scope("record", environment.name), unread, {})
    return gather(marking.mark(found, environment.dns.zone, following), unread)


def _drain(read: Callable[[Sources], Iterable[Observation]], sources: Sources) -> list[Observation]:
    return list(read(sources))


def _following(sources: Sources) -> dict[str, str]:
    """Which records follow a member's Pod; without it no record's owner is known, so its failure leaves the records unread."""
    selector = f"{marks.ENVIRONMENT}={sources.environment.name},{marks.SERVICE}"
    namespace = sources.environment.kubernetes.namespace
    return marking.following(sources.cluster.list(kubernetes.LEASE, namespace=namespace, selector=selector))


def _result(read: Future[T], scope: Scope, unread: dict[Scope, str], nothing: T) -> T:
    """What was read; *nothing* where it failed, with the reason in *unread*. A half of a list is dropped: it could hide a second one."""
    try:
        return read.result()
    except errors.ReconcilerError as error:
        unread.setdefault(scope, error.message)
    except Exception as error:  # noqa: BLE001 - an answer that no view expects must not hide what the others read
        unread.setdefault(scope, f"the answer could not be understood ({type(error).__name__}: {str(error)[:200]})")
    return nothing
