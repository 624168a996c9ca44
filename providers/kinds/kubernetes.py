"""Kubernetes objects: listed by label, a chunk at a time, one list a kind of object; declared as their manifests.

What is being deleted holds its name until it is gone, so it is reported, with the attribute `deleting`, and busy; it needs no deletion any
more, so it does not count as marked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from providers import manifest
from providers.manifest.sharing import Pool
from reconciler.fields import managed
from reconciler.kinds import FieldPolicy, Kind, ListKey, Reading, Sources
from reconciler.model import address
from reconciler.model.address import SHARED, ResourceId
from reconciler.model.environment import Environment
from reconciler.model.observation import Observation, Scope
from reconciler.model.resource import Resource
from reconciler.model.value import Fields
from reconciler.ports import ObjectKind, Payload
from reconciler.resources import kubernetes, marks

_SERVERS_OWN = frozenset(
    {"creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "generation", "managedFields", "resourceVersion", "uid"}
)
_SECRET = ("data", "stringData")
_LEAVING = "it is being deleted, and is made again once it is gone"


class _Kubernetes:
    name = "kubernetes"
    ours = True

    def __init__(self, observed: Iterable[ObjectKind]) -> None:
        self._observed = tuple(observed)

    def readings(self, environment: Environment) -> Iterable[Reading]:
        for kind in self._observed:
            yield Reading(Scope(self.name, environment.name, f"{kind.kind}/"), self._reader(kind))

    def _reader(self, kind: ObjectKind) -> Callable[[Sources], Iterator[Observation]]:
        def read(sources: Sources) -> Iterator[Observation]:
            environment = sources.environment.name
            objects = sources.cluster.list(kind, selector=f"{marks.ENVIRONMENT}={environment}")
            pool = Pool()
            return (self._view(found, environment, pool) for found in objects)

        return read

    def view(self, payload: Payload, environment: str) -> Observation:
        return self._view(payload, environment, Pool())

    def _view(self, payload: Payload, environment: str, pool: Pool) -> Observation:
        metadata = payload["metadata"]
        name, namespace = metadata["name"], metadata.get("namespace", "")
        labelled = (metadata.get("labels") or {}).get(marks.SERVICE, SHARED)
        claimed = _claim(metadata, environment, f"{payload['kind']}/{namespace or '-'}/{name}")
        id = claimed or kubernetes.object_id(environment, labelled, payload["kind"], namespace, name)
        deleting = metadata.get("deletionTimestamp", "")
        return Observation(
            id,
            f"{namespace}/{name}" if namespace else name,
            pool.share(_fields(payload)),
            {"uid": metadata.get("uid", ""), **({"deleting": deleting} if deleting else {}), **_behind(payload)},
            owned=managed.owned(metadata),
            marked=claimed is not None and not deleting,
            busy=_LEAVING if deleting else "",
            protected=(metadata.get("annotations") or {}).get(marks.PROTECTED) == "true",
            stack=id.service,
            since=metadata.get("creationTimestamp") or "",
        )

    def policy(self, resource: Resource, path: tuple[str, ...]) -> FieldPolicy:
        return manifest.policy(resource.fields, path)

    def list_key(self, resource: Resource, path: tuple[str, ...]) -> ListKey:
        return manifest.list_key(resource.fields, path)

    def terraform_type(self, resource_name: str) -> str:
        """`kubernetes_stateful_set_v1` for StatefulSet/default/kv; the same form for every kind that Terraform knows."""
        words = re.sub(r"(?<!^)(?=[A-Z])", "_", resource_name.split("/", maxsplit=1)[0]).lower()
        return f"kubernetes_{words}_v1"

    def declare(self, resource: Resource, fields: Mapping[str, Any], options: Any) -> Mapping[str, Any]:
        """As the manifest that it is, without a class a kind: the provider reads apiVersion and kind from the object itself."""
        import pulumi  # noqa: PLC0415 - only the engine's program needs it

        version, kind = fields["apiVersion"], fields["kind"]
        group = version if "/" in version else f"core/{version}"
        own = pulumi.ResourceOptions(
            additional_secret_outputs=list(_SECRET) if kind == "Secret" else None,
            ignore_changes=["spec.capacity"] if kind == "PersistentVolume" else None,  # it belongs to the resizer
        )
        props = {name: pulumi.Output.secret(value) if kind == "Secret" and name in _SECRET else value for name, value in fields.items()}
        merged = pulumi.ResourceOptions.merge(options, own)
        return {"": pulumi.CustomResource(f"kubernetes:{group}:{kind}", str(resource.id), props, merged)}

    def recall(self, inputs: Payload) -> Fields:
        return inputs


def _fields(payload: Payload) -> Fields:
    """The object as one could declare it: without status, and without what the server alone writes."""
    metadata = {name: value for name, value in payload["metadata"].items() if name not in _SERVERS_OWN}
    return {**{name: value for name, value in payload.items() if name != "status"}, "metadata": metadata}


def _behind(payload: Payload) -> dict[str, str]:
    """How many Pods of a StatefulSet are of an earlier revision, if any: all of them until its controller has looked."""
    if payload["kind"] != "StatefulSet" or not (status := payload.get("status")):
        return {}
    looked = status.get("observedGeneration", 0) >= payload["metadata"].get("generation", 0)
    count = status.get("replicas", 0) - (status.get("updatedReplicas", 0) if looked else 0)
    return {"behind": str(count)} if count > 0 else {}


def _claim(metadata: Mapping[str, Any], environment: str, own: str) -> ResourceId | None:
    """The address that an object's marks claim; None where one is missing or names another (marks get copied)."""
    labels, (key, value) = metadata.get("labels") or {}, marks.MANAGED_BY
    if labels.get(key) != value or labels.get(marks.ENVIRONMENT) != environment:
        return None
    try:
        id = address.parse((metadata.get("annotations") or {}).get(marks.ADDRESS, ""))
    except ValueError:
        return None
    return id if (id.kind, id.environment, id.name) == ("kubernetes", environment, own) else None


KIND: Kind = _Kubernetes(kubernetes.OBSERVED)
INSTALLED: Kind = _Kubernetes(kubernetes.INSTALLED)  # of an installation of the reconciler itself
