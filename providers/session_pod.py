"""What a session's Job looks like: fetch, then run beside a container that reports; nothing of it depends on where it runs."""

from __future__ import annotations

import math
from typing import Any

from providers.session_mounts import secrets
from reconciler.model.environment import Environment, Sessions
from reconciler.model.session import Session
from runner.place import DEFAULT_MOUNTS, DEFAULT_WORK, SESSION

LABELS = {"app.kubernetes.io/managed-by": "reconciler"}
SESSION_LABEL = "reconciler/session"
_SMALL = {"requests": {"cpu": "10m", "memory": "64Mi"}}


def manifest(session: Session, environment: Environment) -> dict[str, Any]:
    """The Job of *session*, the same whenever it is asked for."""
    settings = environment.sessions
    labels = {**LABELS, "reconciler/environment": environment.name, SESSION_LABEL: session.name}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": session.name,
            "namespace": environment.kubernetes.namespace,
            "labels": labels,
            "annotations": {"reconciler/configuration": session.configuration, "reconciler/members": ",".join(session.members)},
        },
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": math.ceil(settings.deadline.seconds),
            "ttlSecondsAfterFinished": math.ceil(settings.ttl.seconds),
            "template": {"metadata": {"labels": labels}, "spec": _pod(session, settings)},
        },
    }


def _pod(session: Session, settings: Sessions) -> dict[str, Any]:
    volumes, mounts = _volumes(session, settings)
    work = {"name": "work", "mountPath": DEFAULT_WORK}
    clone = _container("clone", settings, [work, *mounts], _SMALL)
    clone["env"] = [{"name": SESSION, "value": session.work.text()}]
    ansible = _container("session", settings, [work, *mounts], settings.resources.manifest())
    pod = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": settings.service_account is not None,
        "terminationGracePeriodSeconds": 30,
        "initContainers": [clone],
        "containers": [{**ansible, "name": "ansible"}, _container("report", settings, [work], _SMALL)],
        "volumes": [{"name": "work", "emptyDir": {}}, *volumes],
    }
    return {**pod, "serviceAccountName": settings.service_account} if settings.service_account else pod


def _container(step: str, settings: Sessions, mounts: list[dict[str, Any]], resources: dict[str, Any]) -> dict[str, Any]:
    container = {
        "name": step,
        "image": settings.image,
        "command": ["python", "-m", f"runner.{step}"],
        "volumeMounts": mounts,
        "securityContext": {"allowPrivilegeEscalation": False},
    }
    return {**container, "resources": resources} if resources else container


def _volumes(session: Session, settings: Sessions) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Secrets and the ConfigMap of ansible.cfg, readable for the container's user only."""
    volumes, mounts = [], []
    sources = {purpose: {"secret": {"secretName": name, "defaultMode": 0o400}} for purpose, name in secrets(settings, session).items()}
    if settings.ansible_config:
        sources["ansible"] = {"configMap": {"name": settings.ansible_config, "defaultMode": 0o444}}
    for number, (purpose, source) in enumerate(sorted(sources.items())):
        volumes.append({"name": f"mount-{number}", **source})
        mounts.append({"name": f"mount-{number}", "mountPath": f"{DEFAULT_MOUNTS}/{purpose}", "readOnly": True})
    return volumes, mounts
