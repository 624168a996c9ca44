"""How live things are marked as ours: tags on AWS, labels and an annotation on Kubernetes."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.model.address import ResourceId

ENVIRONMENT = "reconciler/environment"
SERVICE = "reconciler/service"
ADDRESS = "reconciler/address"
RETAINED = "reconciler/retained"
PROTECTED = "reconciler/protected"
MANAGED_BY = ("app.kubernetes.io/managed-by", "reconciler")


def tags(id: ResourceId, stack: str, extra: Mapping[str, str]) -> dict[str, str]:
    """The tags of an AWS resource: the environment's own, then our marks."""
    return {**extra, ENVIRONMENT: id.environment, SERVICE: stack, ADDRESS: str(id)}


def labels(environment: str, stack: str) -> dict[str, str]:
    """The labels of a Kubernetes object; `-` is no label value, so what services share has none for the service."""
    named = {MANAGED_BY[0]: MANAGED_BY[1], ENVIRONMENT: environment}
    return named if stack == "-" else {**named, SERVICE: stack}
