"""How live things are marked as ours: tags on AWS, labels and an annotation on Kubernetes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

from reconciler.model.address import ResourceId

ENVIRONMENT = "reconciler/environment"
SERVICE = "reconciler/service"
ADDRESS = "reconciler/address"
RETAINED = "reconciler/retained"
PROTECTED = "reconciler/protected"
DELETION_POLICY = "reconciler/deletion-policy"  # of a volume: that its service's spec gave its data up, where it did
MOVED = "reconciler/moved-from"  # the name of the service whose members and objects they were made as
TAGS = "reconciler/tags"  # the names of the other tags that we gave it: whoever comes later knows which are ours to take off
CONDEMNED = "reconciler/condemned"  # of a member's Lease: the attachment that was to be taken away under it, perhaps only later
MODIFIED = "reconciler/modified"  # when a volume was modified, but for the last time, which EBS itself remembers
SNAPSHOT = "reconciler/snapshot"  # of a snapshot: its service, and the time of the schedule that it was taken for: kv/2026-11-22T18:00:00Z
VOLUMES = "reconciler/snapshot-volumes"  # of a snapshot: how many its set has, and the name that the service's members had: "3 kv"
ROTATION = "reconciler/rotation"  # of a StatefulSet: which generation of secrets its Pods have
VERSION = "reconciler/version"  # of a StatefulSet: that of its type's server which its Pods become
FIXED = "fixed.reconciler/"  # and an option's name: what a service was begun with, and keeps for ever
TYPE = "type"  # of a service: no option, but kept in the same way
BEGUN = "begun.reconciler/"  # the same of what it was begun without, and never gets, where there is no such mark
PREFIX = "reconciler/"
LISTED = 256  # characters that a tag's value may have, and so the names in TAGS
_STAY = frozenset({ENVIRONMENT, SERVICE, ADDRESS, MODIFIED})  # by which a thing is found, and what it remembers: no commit takes these off
MANAGED_BY = ("app.kubernetes.io/managed-by", "reconciler")


def tags(id: ResourceId, stack: str, extra: Mapping[str, str]) -> dict[str, str]:
    """The tags of an AWS resource: the environment's own, our marks, and which of the first are ours."""
    marks = {**extra, ENVIRONMENT: id.environment, SERVICE: stack, ADDRESS: str(id)}
    listed = listing(extra)
    return {**marks, TAGS: listed} if listed else marks


def listing(names: Iterable[str]) -> str:
    """The value of `TAGS` for tags of these *names*; a name may have spaces itself."""
    return " ".join(sorted(name.replace("@", "@a").replace(" ", "@s") for name in names if not name.startswith(PREFIX)))


def own(tags: Mapping[str, str]) -> frozenset[str]:
    """The names of those of a live thing's *tags* that are what some commit declared: no longer declared, they go. Others' stay."""
    return _own(frozenset(tags), tags.get(TAGS, ""))


@lru_cache(maxsize=4096)
def _own(present: frozenset[str], listed: str) -> frozenset[str]:
    """One set for all that are tagged alike: there are many things and few ways to tag them."""
    ours = {name.replace("@s", " ").replace("@a", "@") for name in listed.split(" ")}
    return frozenset(name for name in present if (name.startswith(PREFIX) or name in ours) and name not in _STAY)


def labels(environment: str, stack: str) -> dict[str, str]:
    """The labels of a Kubernetes object; `-` is no label value, so what services share has none for the service."""
    named = {MANAGED_BY[0]: MANAGED_BY[1], ENVIRONMENT: environment}
    return named if stack == "-" else {**named, SERVICE: stack}
