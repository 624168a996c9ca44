"""A lab's cluster as a test sees it from outside: kubectl with the judge's credentials, and commands run inside the namespaces."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import layout, namespace
from lab.layout import Layout

PATIENCE = 120.0


@dataclass(frozen=True, slots=True)
class Kube:
    """One namespace of the lab's cluster."""

    lab: Layout
    namespace: str

    def ctl(self, *arguments: str, given: str | None = None) -> str:
        """What kubectl prints."""
        environment = os.environ | {"KUBECONFIG": self.lab.kubernetes.kubeconfigs["judge"]}
        command = [f"{self.lab.tools}/kubectl", f"--namespace={self.namespace}", *arguments]
        done = subprocess.run(command, input=given, env=environment, text=True, capture_output=True, check=False, timeout=90)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
        return done.stdout

    def apply(self, *documents: dict[str, Any]) -> None:
        self.ctl("apply", "-f", "-", given=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(documents)}))

    def pod(self, name: str, *containers: dict[str, Any], **spec: Any) -> None:
        """Make a Pod of *containers*."""
        body = {"terminationGracePeriodSeconds": 2, **spec, "containers": list(containers)}
        self.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": body})

    def get(self, kind: str, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.ctl("get", kind, name, "-o", "json"))
        return found

    def until(self, kind: str, name: str, holds: Callable[[dict[str, Any]], Any], within: float = PATIENCE) -> dict[str, Any]:
        """The object once *holds* is true of it."""
        deadline = time.monotonic() + within
        while not holds(found := self.get(kind, name)):
            assert time.monotonic() < deadline, f"{kind} {name} after {within:.0f} s: {json.dumps(found.get('status'), indent=1)}"
            time.sleep(0.2)
        return found

    def ready(self, name: str) -> dict[str, Any]:
        """The Pod once it is ready."""
        return self.until("pod", name, is_ready)

    def ended(self, name: str) -> dict[str, Any]:
        """The Pod once it has ended."""
        return self.until("pod", name, lambda pod: pod["status"].get("phase") in ("Succeeded", "Failed"))

    def run(self, name: str, *container: dict[str, Any], **spec: Any) -> dict[str, Any]:
        """Make a Pod that ends, and wait until it has."""
        self.pod(name, *container, **{"restartPolicy": "Never", **spec})
        return self.ended(name)

    def inside(self, command: Sequence[str], node: str = "") -> str:
        """What *command* prints inside the lab's namespaces, on the network of *node* if given."""
        door = layout.doors(Path(self.lab.dir)) / node if node else None
        entering = namespace.entering(self.lab.pid, command, directory="/", door=door)
        done = subprocess.run(entering, text=True, capture_output=True, check=False, timeout=30)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
        return done.stdout


def shell(script: str, *, image: str = "busybox:1", name: str = "main", **more: Any) -> dict[str, Any]:
    """A container that runs a shell script."""
    return {"name": name, "image": image, "command": ["sh", "-c", script], **more}


def is_ready(pod: dict[str, Any]) -> bool:
    return any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions", []))


def container(pod: dict[str, Any], name: str = "main") -> dict[str, Any]:
    """The status of one container."""
    statuses = [*pod["status"].get("initContainerStatuses", []), *pod["status"].get("containerStatuses", [])]
    return next((one for one in statuses if one["name"] == name), {"state": {}, "lastState": {}, "restartCount": 0, "ready": False})
