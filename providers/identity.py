"""Which account and which cluster an environment's credentials lead to, so that a plan made for one is not applied to another."""

from __future__ import annotations

from collections.abc import Callable

from reconciler import errors
from reconciler.model.environment import Environment
from reconciler.ports import Cloud, Cluster
from reconciler.resources import kubernetes

_ALWAYS_THERE = "kube-system"  # its uid is the cluster's, by convention


def identity(environment: Environment, cloud: Cloud, cluster: Cluster) -> dict[str, str]:
    """The AWS account with its region (an endpoint that is not AWS's own stands for its account) and the cluster; "" what isn't told."""
    account = environment.aws.endpoint or _told(lambda: str(cloud.call("sts", "get_caller_identity")["Account"]))
    return {"AWS": f"{account} {environment.region}" if account else "", "cluster": _told(lambda: _uid(cluster))}


def _uid(cluster: Cluster) -> str:
    found = cluster.get(kubernetes.KINDS["Namespace"], _ALWAYS_THERE)
    return str(found["metadata"].get("uid", "")) if found else ""


def _told(ask: Callable[[], str]) -> str:
    try:
        return ask()
    except errors.ProviderError:
        return ""
