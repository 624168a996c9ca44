"""An account of a service's own, for Pods that have to talk to the API server: these rules in its namespace, no more. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from reconciler.model.address import ResourceId
from reconciler.model.environment import Environment
from reconciler.model.resource import Resource
from reconciler.model.service import Service
from reconciler.resources import kubernetes

_GROUP = "rbac.authorization.k8s.io"


def resources(
    service: Service, environment: Environment, rules: Sequence[Mapping[str, Any]], needs: Iterable[ResourceId]
) -> Iterator[Resource]:
    """The account, what it may do, and that it may: nothing where there are no *rules*."""
    if not rules:
        return
    metadata = {"namespace": service.namespace, "name": service.name}
    known: list[ResourceId] = list(needs)
    role_ref = {"apiGroup": _GROUP, "kind": "Role", "name": service.name}
    subject = {"kind": "ServiceAccount", "namespace": service.namespace, "name": service.name}
    for manifest in (
        {"apiVersion": "v1", "kind": "ServiceAccount", "automountServiceAccountToken": False},
        {"apiVersion": f"{_GROUP}/v1", "kind": "Role", "rules": [dict(rule) for rule in rules]},
        {"apiVersion": f"{_GROUP}/v1", "kind": "RoleBinding", "roleRef": role_ref, "subjects": [subject]},
    ):
        body = {**manifest, "metadata": metadata}
        made = kubernetes.claimed(environment, service.name, body, needs=known, origin=service.origin)
        known.append(made.id)
        yield made


def used(service: Service, rules: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What a Pod's spec says of its account."""
    return {"serviceAccountName": service.name, "automountServiceAccountToken": True} if rules else {"automountServiceAccountToken": False}
