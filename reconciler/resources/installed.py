"""The reconciler in a cluster: one Deployment with all roles, an account with their rights, a claim for what it remembers. Pure.

It is marked as of an environment that no document can declare, so that no environment's plan ever sees it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.model.address import INSTALLED
from reconciler.model.environment import Environment, Kubernetes
from reconciler.model.outcome import Done, Outcome, Waiting
from reconciler.model.resource import Resource
from reconciler.ports import Payload
from reconciler.resources import installed_pod, kubernetes
from reconciler.resources.installed_pod import NAME, PORT, Choices

ROLES = ("plan", "engine", "members")  # whose rights the one account has together
_SUMS = frozenset({"Ready", "ContainersReady"})  # conditions that only say of containers what these say themselves
_API = re.compile(r"kubernetes://(?P<namespace>[^/]+)/(?P<name>[^/:]+)(?::(?P<port>.+))?")

Rules = Mapping[str, list[dict[str, Any]]]  # RBAC rules by role


@dataclass(frozen=True, slots=True)
class Place:
    """Where its Service is, and what its port is called there: as `api` of the environment names it."""

    namespace: str
    name: str = NAME
    port: str = ""


def place(environment: Environment) -> Place:
    """The place that `api` names; one beside the environment's own objects where it names none in the cluster."""
    found = _API.fullmatch(environment.api or "")
    return Place(found["namespace"], found["name"], found["port"] or "") if found else Place(environment.kubernetes.namespace)


def owner(environment: Environment, kubeconfig: str = "", context: str = "") -> Environment:
    """The environment in whose name it is made: it has nothing but its own place, reached as whoever installs it says."""
    named = environment.kubernetes
    cluster = Kubernetes(
        kubeconfig=kubeconfig or named.kubeconfig, context=context or named.context, namespace=place(environment).namespace
    )
    return Environment(
        name=f"{environment.name}{INSTALLED}",
        origin=environment.origin,
        zones=environment.zones,
        kubernetes=cluster,
        guard=environment.guard,
    )


def resources(environment: Environment, choices: Choices, rules: Rules) -> Iterator[Resource]:
    """Everything that it is made of; *rules* are those of each of `ROLES`."""
    own, at = owner(environment), place(environment)
    account = kubernetes.claimed(own, NAME, _account(at, choices))
    claim = kubernetes.claimed(own, NAME, _claim(at, choices))
    yield account
    yield claim
    needed = {account.id, claim.id}
    for role in ROLES:
        named = role_name(environment.name, role)
        granted = kubernetes.claimed(own, NAME, _role(named, rules[role]))
        bound = kubernetes.claimed(own, NAME, _binding(named, at), needs={granted.id, account.id})
        needed.add(bound.id)
        yield granted
        yield bound
    yield kubernetes.claimed(own, NAME, _service(at, installed_pod.labels(environment.name)))
    yield kubernetes.claimed(own, NAME, _deployment(environment.name, at, choices), needs=needed)


def role_name(environment: str, role: str) -> str:
    """What the ClusterRole of *role* is called: a release may want other rights than one that runs beside it."""
    return f"reconciler-{environment}-{role}"


def standing(deployment: Payload | None, pods: Iterable[Payload]) -> Outcome:
    """How far it is on its way to one Pod that is ready, as declared last."""
    if deployment is None:
        return Waiting("its Deployment is there")
    status = deployment.get("status") or {}
    seen = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    if seen and status.get("updatedReplicas") == status.get("availableReplicas") == status.get("replicas") == 1:
        return Done()
    why = next((found for pod in pods if (found := _lacks(pod))), "")
    return Waiting(f"its Pod is ready{f' ({why})' if why else ''}")


def _lacks(pod: Payload) -> str:
    """Why *pod* is not ready, in Kubernetes' own words, the most telling first; "" where nobody says."""
    status = pod.get("status") or {}
    containers, conditions = status.get("containerStatuses") or (), status.get("conditions") or ()
    waits = [one["state"]["waiting"] for one in containers if (one.get("state") or {}).get("waiting")]
    ended = [one["lastState"]["terminated"] for one in containers if (one.get("lastState") or {}).get("terminated")]
    told = (
        *(f"{one['reason']}: {one['message']}" for one in waits if one.get("message")),
        *(f"it ended with {one['exitCode']}" for one in ended),
        *(str(one["message"]) for one in conditions if one["status"] == "False" and one.get("message") and one["type"] not in _SUMS),
        *(str(one["reason"]) for one in waits),
    )
    return next(iter(told), "")


def _account(at: Place, choices: Choices) -> dict[str, Any]:
    annotations = {"annotations": {"eks.amazonaws.com/role-arn": choices.role_arn}} if choices.role_arn else {}
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": at.name, "namespace": at.namespace, **annotations}}


def _claim(at: Place, choices: Choices) -> dict[str, Any]:
    wanted = {"storageClassName": choices.storage_class} if choices.storage_class else {}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": at.name, "namespace": at.namespace},
        "spec": {"accessModes": ["ReadWriteOnce"], **wanted, "resources": {"requests": {"storage": choices.storage}}},
    }


def _role(name: str, rules: list[dict[str, Any]]) -> dict[str, Any]:
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules}


def _binding(name: str, at: Place) -> dict[str, Any]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": at.name, "namespace": at.namespace}],
    }


def _service(at: Place, selected: Mapping[str, str]) -> dict[str, Any]:
    """Its port has the name that `api` gives it: without one, the API server's proxy finds only a port without a name."""
    port = {"port": PORT, "targetPort": PORT, "protocol": "TCP", **({"name": at.port} if at.port else {})}
    metadata = {"name": at.name, "namespace": at.namespace}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"selector": selected, "ports": [port]}}


def _deployment(environment: str, at: Place, choices: Choices) -> dict[str, Any]:
    """One Pod and never two: the former has to let go of the claim before the next may have it."""
    labels = installed_pod.labels(environment)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": at.name, "namespace": at.namespace},
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": installed_pod.pod(environment, at.name, choices)},
        },
    }
