"""Port `Cluster` over plain REST: objects stay the JSON that the API server sends, without a client's object models."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Any

from providers.kubernetes import kubeconfig as kubeconfigs
from providers.kubernetes.transport import PATIENCE, Target, Transport, refusal
from reconciler import errors
from reconciler.ports import ObjectKind, Payload

CHUNK = 500  # objects a page
RESTARTS = 5  # of a list whose snapshot the API server has let go
MISSING, CONFLICT, GONE = 404, 409, 410
_NAMES_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_LISTED_NAMES_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_POD = ObjectKind("v1", "Pod", "pods")
_SERVICE = ObjectKind("v1", "Service", "services")
_REFUSED = frozenset({400, 401, 404, 413})  # what may come from behind the proxy


class Kubernetes:
    """A cluster: that of *kubeconfig* and *context*; without them that of KUBECONFIG, of the Pod this runs in, or of ~/.kube/config."""

    def __init__(self, kubeconfig: str = "", context: str = "", *, patience: float = PATIENCE, stop: threading.Event | None = None) -> None:
        self.kubeconfig, self.context, self.patience = kubeconfig, context, patience
        self._stop = stop
        self._made: Transport | None = None
        self._lock = threading.Lock()

    @property
    def _transport(self) -> Transport:
        """Made when first used: a pass that needs no cluster needs no kubeconfig."""
        with self._lock:
            if self._made is None:
                self._made = Transport(kubeconfigs.load(self.kubeconfig, self.context), self.patience, self._stop)
            return self._made

    def close(self) -> None:
        """Close the connections; the next use opens new ones."""
        with self._lock:
            made, self._made = self._made, None
        if made:
            made.close()

    def list(self, kind: ObjectKind, *, namespace: str = "", selector: str = "") -> Iterator[Payload]:
        """Every object once, a chunk in memory. When the server's snapshot expires between chunks, the list begins anew unseen."""
        asked = {"limit": str(CHUNK), **({"labelSelector": selector} if selector else {})}
        yield from self._listed(kind, namespace, asked, {})

    def names(self, kind: ObjectKind, *, namespace: str = "") -> Iterator[str]:
        """The name of every object; nothing else of them is sent."""
        for one in self._listed(kind, namespace, {"limit": str(CHUNK)}, {"Accept": _LISTED_NAMES_ONLY}):
            yield one["metadata"]["name"]

    def _listed(self, kind: ObjectKind, namespace: str, asked: Mapping[str, str], headers: Mapping[str, str]) -> Iterator[Payload]:
        seen: set[tuple[str, str]] = set()
        onward, restarts = "", 0
        while True:
            page = self._page(Target(kind, namespace=namespace), {**asked, **({"continue": onward} if onward else {})}, headers)
            if page is None:
                onward, restarts = "", restarts + 1
                if restarts > RESTARTS:
                    raise errors.TransientError(f"the list of {kind.plural} expired {restarts} times before its end", status=GONE)
                continue
            for item in page.get("items") or ():
                name = (item["metadata"].get("namespace", ""), item["metadata"]["name"])
                if name not in seen:
                    seen.add(name)
                    yield {"apiVersion": kind.api_version, "kind": kind.kind, **item}  # a list's items don't say
            onward = page.get("metadata", {}).get("continue", "")
            if not onward:
                return

    def _page(self, target: Target, params: Mapping[str, str], headers: Mapping[str, str]) -> Mapping[str, Any] | None:
        """A chunk; None where the snapshot that `continue` names has expired."""
        tolerated = {GONE} if "continue" in params else set()
        answer = self._transport.send("GET", target, tolerate=tolerated, params=params, headers=headers)
        return answer.json() if answer.status_code != GONE else None

    def get(self, kind: ObjectKind, name: str, *, namespace: str = "") -> Payload | None:
        answer = self._transport.send("GET", Target(kind, name, namespace), tolerate={MISSING})
        return answer.json() if answer.status_code != MISSING else None

    def exists(self, kind: ObjectKind, name: str, *, namespace: str = "") -> bool:
        """Whether there is one; only its metadata is sent, so that this may be asked of Secrets."""
        answer = self._transport.send("GET", Target(kind, name, namespace), tolerate={MISSING}, headers={"Accept": _NAMES_ONLY})
        return answer.status_code != MISSING

    def create(self, kind: ObjectKind, body: Payload) -> Payload | None:
        """The created object; None where one of its name exists already."""
        target = Target(kind, "", body["metadata"].get("namespace", ""))
        answer = self._transport.send("POST", target, tolerate={CONFLICT}, json=body)
        if answer.status_code != CONFLICT:
            return answer.json()  # type: ignore[no-any-return]
        if answer.json().get("reason") != "AlreadyExists":  # a quota that others use too answers Conflict
            raise refusal(answer, "POST", target)
        return None

    def replace(self, kind: ObjectKind, body: Payload) -> Payload | None:
        """Compare-and-set by the body's resourceVersion; None where another writer came first, or has deleted it."""
        metadata = body["metadata"]
        if not metadata.get("resourceVersion"):
            raise ValueError(f"{kind.kind} {metadata['name']} has no resourceVersion to compare with")
        target = Target(kind, metadata["name"], metadata.get("namespace", ""))
        answer = self._transport.send("PUT", target, tolerate={CONFLICT, MISSING}, json=body)
        return answer.json() if answer.is_success else None

    def patch(self, kind: ObjectKind, name: str, body: Payload, *, namespace: str = "", subresource: str = "") -> Payload:
        headers = {"Content-Type": "application/merge-patch+json"}
        answer = self._transport.send("PATCH", Target(kind, name, namespace, subresource), json=body, headers=headers)
        return answer.json()  # type: ignore[no-any-return]

    def delete(self, kind: ObjectKind, name: str, *, namespace: str = "", uid: str = "", at_once: bool = False) -> bool:
        """False where there was nothing to delete. What it owns goes with it, also for Jobs, whose own default is to leave their Pods."""
        body: dict[str, Any] = {"propagationPolicy": "Background", **({"preconditions": {"uid": uid}} if uid else {})}
        body |= {"gracePeriodSeconds": 0} if at_once else {}
        tolerated = {MISSING, CONFLICT} if uid else {MISSING}
        answer = self._transport.send("DELETE", Target(kind, name, namespace), tolerate=tolerated, json=body)
        return answer.status_code not in tolerated

    def proxied(
        self, namespace: str, service: str, verb: str, path: str, *, json: Any = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """What *service* answers at *path*, through the API server's proxy: its status and body. A refusal of its own is an answer too."""
        target = Target(_SERVICE, service, namespace, f"proxy{path}")
        answer = self._transport.send(verb, target, tolerate=_REFUSED, json=json, headers=headers)
        return answer.status_code, answer.content

    def log(self, namespace: str, pod: str, container: str, *, tail: int | None = None) -> Iterator[str]:
        """The lines of a container's log so far; a line ends at a line feed and nowhere else."""
        params = {"container": container, **({"tailLines": str(tail)} if tail is not None else {})}
        rest = b""
        for chunk in self._transport.stream(Target(_POD, pod, namespace, "log"), params=params):
            *whole, rest = (rest + chunk).split(b"\n")
            yield from (line.decode(errors="replace") for line in whole)
        if rest:
            yield rest.decode(errors="replace")


__all__ = ["Kubernetes"]
