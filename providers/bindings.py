"""Port `Secrets`: generated secrets as immutable Kubernetes Secrets. Two that make one at once agree: the API server takes the first."""

from __future__ import annotations

import base64
import secrets
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from reconciler.model.initialise import Generated
from reconciler.ports import Cluster
from reconciler.resources.kubernetes import KINDS

_LETTERS = string.ascii_letters + string.digits  # fine in every configuration file, URL and shell without quotes


@dataclass(frozen=True, slots=True)
class Bindings:
    """*cluster* makes and lists them; *removing* may delete them, which the first may not."""

    cluster: Cluster
    removing: Callable[[], Cluster]

    def names(self, namespace: str) -> frozenset[str]:
        return frozenset(self.cluster.names(KINDS["Secret"], namespace=namespace))

    def make(self, namespace: str, labels: Mapping[str, str], wanted: Generated) -> bool:
        words = {key: "".join(secrets.choice(_LETTERS) for _ in range(length)) for key, length in wanted.keys.items()}
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"namespace": namespace, "name": wanted.name, "labels": dict(labels)},
            "immutable": True,
            "type": "Opaque",
            "data": {key: base64.b64encode(word.encode()).decode() for key, word in words.items()},
        }
        return self.cluster.create(KINDS["Secret"], body) is not None

    def remove(self, namespace: str, name: str) -> None:
        self.removing().delete(KINDS["Secret"], name, namespace=namespace)
