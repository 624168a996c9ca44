"""Reads the Jobs of looks and steps in bulk, starts the next and clears up: the port beside what is decided."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler import errors
from reconciler.members.initial import job
from reconciler.members.initial.job import Place, Turn
from reconciler.model.desired import Desired
from reconciler.model.initialise import Script
from reconciler.model.service import Service
from reconciler.ports import Cluster
from reconciler.resources import kubernetes, marks

_JOB_NAME = "batch.kubernetes.io/job-name"


def turns(cluster: Cluster, environment: str, label: str) -> dict[str, list[Turn]]:
    """The Jobs of one *label* of all services of the environment, by service."""
    selector = f"{marks.ENVIRONMENT}={environment},{label}"
    found = list(cluster.list(kubernetes.JOB, selector=selector))
    pods = {pod["metadata"]["labels"].get(_JOB_NAME): pod for pod in cluster.list(kubernetes.POD, selector=selector)} if found else {}
    by_service: dict[str, list[Turn]] = {}
    for payload in found:
        turn = job.turn(payload, pods.get(payload["metadata"]["name"]), label)
        by_service.setdefault(turn.service, []).append(turn)
    return by_service


def start(cluster: Cluster, desired: Desired, service: Service, script: Script, place: Place) -> None:
    """Make the Job of *script*; nothing where another reconciler was faster, and made the same."""
    of = job.stateful_set(service, desired.resources.values())
    if of is None:
        raise errors.ProviderError(f"{service.name} declares no StatefulSet whose image could be asked")
    cluster.create(kubernetes.JOB, job.manifest(service, desired.environment, script, place, of))


def clear(cluster: Cluster, outdated: Iterable[Turn]) -> None:
    for turn in outdated:
        cluster.delete(kubernetes.JOB, turn.name, namespace=turn.namespace)
