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
from reconciler.resources import kubernetes

NAME = "reconciler"  # of the Service where `api` names none, and of its stack
ROLES = ("plan", "engine", "members")  # whose rights the one account has together
KEPT, PASSING, SETTINGS, GIT = "/var/lib/reconciler", "/run/reconciler", "/etc/reconciler", "/etc/reconciler-git"
DEFAULTS = "defaults.json"  # in the Secret with settings: what a machine knows of an environment
PORT = 8080
_USER = 65532
_GRACE = 300  # seconds for what is in flight when it has to end: an engine that makes volumes
_API = re.compile(r"kubernetes://(?P<namespace>[^/]+)/(?P<name>[^/:]+)(?::(?P<port>.+))?")
_HELPER = f'!f() {{ echo "username=$(cat {GIT}/username)"; echo "password=$(cat {GIT}/password)"; }}; f'
_SSH = f"ssh -o BatchMode=yes -o IdentitiesOnly=yes -i {GIT}/ssh-privatekey -o UserKnownHostsFile={GIT}/known_hosts"

Rules = Mapping[str, list[dict[str, Any]]]  # RBAC rules by role


@dataclass(frozen=True, slots=True)
class Place:
    """Where its Service is, and what its port is called there: as `api` of the environment names it."""

    namespace: str
    name: str = NAME
    port: str = ""


@dataclass(frozen=True, slots=True)
class Choices:
    """What a person chooses: what is followed (*url*, *ref*), how it runs, and the Secrets that it is given."""

    url: str
    ref: str = ""
    image: str = ""
    interval: str = "10s"
    storage: str = "10Gi"
    storage_class: str = ""  # "": the cluster's default
    role_arn: str = ""
    git_secret: str = ""
    settings_secret: str = ""


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
    yield kubernetes.claimed(own, NAME, _service(at, selector(environment.name)))
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


def selector(environment: str) -> dict[str, str]:
    """The labels by which the Pod that serves *environment* is found."""
    return {"app.kubernetes.io/name": NAME, "app.kubernetes.io/instance": environment}


def _lacks(pod: Payload) -> str:
    """Why *pod* is not ready, in Kubernetes' own words; "" where nobody says."""
    status = pod.get("status") or {}
    for one in status.get("containerStatuses") or ():
        waits, ended = one.get("state", {}).get("waiting") or {}, one.get("lastState", {}).get("terminated") or {}
        if waits or ended:
            return ": ".join(filter(None, (waits.get("reason") or f"it ended with {ended.get('exitCode')}", waits.get("message"))))
    found = (one for one in status.get("conditions") or () if one.get("status") == "False")
    return next((str(one["message"]) for one in found if one.get("message")), "")


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
    labels = selector(environment)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": at.name, "namespace": at.namespace},
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": _pod(environment, at, choices)},
        },
    }


def _pod(environment: str, at: Place, choices: Choices) -> dict[str, Any]:
    secrets = {"settings": choices.settings_secret, "git": choices.git_secret}
    given = [{"name": name, "secret": {"secretName": secret, "defaultMode": 0o440}} for name, secret in secrets.items() if secret]
    kept = {"name": "kept", "persistentVolumeClaim": {"claimName": at.name}}
    return {
        "serviceAccountName": at.name,
        "terminationGracePeriodSeconds": _GRACE,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(environment, choices)],
        "volumes": [kept, {"name": "passing", "emptyDir": {}}, *given],
    }


def _container(environment: str, choices: Choices) -> dict[str, Any]:
    ref = ("--ref", choices.ref) if choices.ref else ()
    followed = ("-e", environment, "--repo", choices.url, *ref, "--interval", choices.interval)
    mounts = {"kept": KEPT, "passing": PASSING, **({"settings": SETTINGS} if choices.settings_secret else {})}
    mounts |= {"git": GIT} if choices.git_secret else {}
    return {
        "name": NAME,
        "image": choices.image,
        "command": ["reconcile"],
        "args": ["serve", *followed, "--listen", f"0.0.0.0:{PORT}"],
        "env": [*_variables(choices)],
        "ports": [{"containerPort": PORT, "protocol": "TCP"}],
        "resources": {"requests": {"cpu": "100m", "memory": "512Mi"}},
        "livenessProbe": _probe("/healthz", failures=6),
        "readinessProbe": _probe("/readyz", failures=3),
        "securityContext": {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [
            {"name": name, "mountPath": path, **({"readOnly": True} if name in {"settings", "git"} else {})}
            for name, path in mounts.items()
        ],
    }


def _probe(path: str, failures: int) -> dict[str, Any]:
    return {"httpGet": {"path": path, "port": PORT}, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": failures}


def _variables(choices: Choices) -> Iterator[dict[str, Any]]:
    """Where it keeps and finds things, and how git proves who it is; never a secret's value."""
    yield {"name": "RECONCILE_DIR", "value": KEPT}
    yield {"name": "RECONCILE_POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}}
    yield {"name": "PULUMI_HOME", "value": f"{KEPT}/pulumi"}
    yield from ({"name": name, "value": PASSING} for name in ("HOME", "TMPDIR"))
    if choices.settings_secret:
        yield {"name": "RECONCILE_DEFAULTS", "value": f"{SETTINGS}/{DEFAULTS}"}
    if choices.git_secret:
        yield from ({"name": name, "value": value} for name, value in _git(choices.url).items())


def _git(url: str) -> dict[str, str]:
    """How git uses the Secret: a user's name and password for the one host of an HTTP URL, else a key."""
    host = re.match(r"https?://[^/]+", url)
    if host is None:
        return {"GIT_SSH_COMMAND": _SSH}
    return {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": f"credential.{host[0]}.helper", "GIT_CONFIG_VALUE_0": _HELPER}
