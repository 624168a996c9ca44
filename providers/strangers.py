"""Which names of Kubernetes objects are taken, whoever took them: lists by our label don't show what others have made."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor

from reconciler.model.address import ResourceId
from reconciler.ports import Cluster, ObjectKind
from reconciler.resources import kubernetes

FEW = 20  # names of a kind in a namespace up to which each is asked for; more are found in one list of names
AT_ONCE = 8


def taken(cluster: Cluster, ids: Collection[ResourceId]) -> frozenset[ResourceId]:
    """Those of *ids* under whose name something lives."""
    wanted: dict[tuple[str, str], dict[str, ResourceId]] = defaultdict(dict)
    for id in ids:
        kind, namespace, name = id.name.split("/")
        wanted[kind, namespace.removeprefix("-")][name] = id
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="strangers") as pool:
        found = [pool.submit(_named, cluster, kubernetes.KINDS[kind], namespace, names) for (kind, namespace), names in wanted.items()]
        return frozenset(wanted[kind, space][name] for (kind, space), names in zip(wanted, found, strict=True) for name in names.result())


def _named(cluster: Cluster, kind: ObjectKind, namespace: str, names: Collection[str]) -> set[str]:
    if len(names) > FEW:
        return set(names) & set(cluster.names(kind, namespace=namespace))
    return {name for name in names if cluster.exists(kind, name, namespace=namespace)}
