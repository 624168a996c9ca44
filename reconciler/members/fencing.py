"""Fences a node, and takes the fence away: each step a compare-and-set on the node as it was read, so that none hits one that is back."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from reconciler import errors
from reconciler.members.live import FENCED, OUT_OF_SERVICE, Node, Pod
from reconciler.members.unreachable import Finding
from reconciler.model.outcome import Outcome, Waiting
from reconciler.ports import Cloud, Cluster
from reconciler.resources import kubernetes

TAINT = {"key": OUT_OF_SERVICE, "value": "nodeshutdown", "effect": "NoExecute"}
_CONFLICT = 409


def carry_out(cluster: Cluster, cloud: Cloud, finding: Finding, now: float) -> Outcome | None:
    """Do what was found right; None where it is done, or nothing was to do."""
    done = True
    match finding.deed:
        case "taint":
            done = taint(cluster, finding.node, now)
        case "clear":
            done = clear(cluster, finding.node)
        case "stop":
            done = stop(cluster, cloud, finding.node)
        case "take":
            take(cluster, finding.pods)
        case "":
            pass
    return None if done else Waiting(f"node {finding.node.name} is read again: it has changed")


def taint(cluster: Cluster, node: Node, now: float) -> bool:
    """Say that *node* is off; false where it is no longer as it was read. Its instance must be known to be off."""
    others = [one for one in node.taints if one["key"] != OUT_OF_SERVICE]
    return _set(cluster, node, [*others, TAINT], f"{node.instance} was off at {datetime.fromtimestamp(now, UTC):%Y-%m-%dT%H:%M:%SZ}")


def clear(cluster: Cluster, node: Node) -> bool:
    """Take our taint off; false where the node is no longer as it was read."""
    return _set(cluster, node, [one for one in node.taints if one["key"] != OUT_OF_SERVICE], None)


def stop(cluster: Cluster, cloud: Cloud, node: Node) -> bool:
    """Stop the instance of *node*; false where the node is no longer as it was read. EC2 compares nothing: it is looked at just before."""
    seen = cluster.get(kubernetes.NODE, node.name)
    if seen is None or seen["metadata"].get("resourceVersion", "") != node.version:
        return False
    try:
        cloud.call("ec2", "stop_instances", InstanceIds=[node.instance], Force=True)
    except errors.ProviderError as error:
        if error.code != "UnauthorizedOperation":
            raise
        text = f"{error.message} (the policy of the members role lets it stop instances that have the tag reconciler/node)"
        raise errors.ProviderError(text, code=error.code, status=error.status) from error
    return True


def take(cluster: Cluster, pods: Iterable[Pod]) -> None:
    """Take away *pods* that are to end, on a node whose instance is known to be off."""
    for pod in pods:
        cluster.delete(kubernetes.POD, pod.name, namespace=pod.namespace, uid=pod.uid, at_once=True)


def _set(cluster: Cluster, node: Node, taints: Iterable[Any], why: str | None) -> bool:
    """A merge patch replaces the whole list, hence the version."""
    metadata = {"resourceVersion": node.version, "annotations": {FENCED: why}}
    try:
        cluster.patch(kubernetes.NODE, node.name, {"metadata": metadata, "spec": {"taints": list(taints)}})
    except errors.ProviderError as error:
        if error.status == _CONFLICT:
            return False
        raise
    return True
