"""The Pod of an installed reconciler: what it runs, what it is given, and what it may not. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

NAME = "reconciler"  # its container, its stack, and its Service where `api` names none
KEPT, PASSING, SETTINGS, GIT = "/var/lib/reconciler", "/run/reconciler", "/etc/reconciler", "/etc/reconciler-git"
DEFAULTS = "defaults.json"  # in the Secret with settings: what a machine knows of an environment
PORT = 8080
_USER = 65532
_GRACE = 300  # seconds for what is in flight when it has to end: an engine that makes volumes
_HELPER = f'!f() {{ echo "username=$(cat {GIT}/username)"; echo "password=$(cat {GIT}/password)"; }}; f'
_SSH = f"ssh -o BatchMode=yes -o IdentitiesOnly=yes -i {GIT}/ssh-privatekey -o UserKnownHostsFile={GIT}/known_hosts"


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


def labels(environment: str) -> dict[str, str]:
    """The labels by which the Pod that serves *environment* is found."""
    return {"app.kubernetes.io/name": NAME, "app.kubernetes.io/instance": environment}


def pod(environment: str, name: str, choices: Choices) -> dict[str, Any]:
    """The spec of the Pod that serves *environment*; its account and its claim have the same *name*."""
    secrets = {"settings": choices.settings_secret, "git": choices.git_secret}
    given = [{"name": name, "secret": {"secretName": secret, "defaultMode": 0o440}} for name, secret in secrets.items() if secret]
    kept = {"name": "kept", "persistentVolumeClaim": {"claimName": name}}
    return {
        "serviceAccountName": name,
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
