"""The config repository that is measured with: one environment, and services with a volume, a name and a StatefulSet each."""

from __future__ import annotations

import subprocess
from pathlib import Path

ENVIRONMENT = "bench"
ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")
DOMAIN = "bench.internal"
SAMPLE = "service-00000"
RESOURCES = 7  # a service: volume, PersistentVolume, claim, record, Service, PodDisruptionBudget, StatefulSet

_ENVIRONMENT = f"""\
apiVersion: reconciler/v1
kind: Environment
metadata: {{name: {ENVIRONMENT}}}
spec:
  zones: [{", ".join(ZONES)}]
  dns: {{zone: {DOMAIN}, private: false, ttl: 5s}}
"""

_SERVICE = """\
apiVersion: reconciler/v1
kind: Service
metadata: {{name: {name}}}
spec:
  type: generic
  replicas: 1
  volumes: {{data: {{size: 10Gi, iops: {iops}}}}}
  options: {{mounts: {{data: /data}}, ports: {{main: 6000}}}}
  podTemplate:
    spec:
      containers:
        - name: main
          image: registry.example.org/storage/main:1.0
          args: ["--name", {name}]
          readinessProbe: {{tcpSocket: {{port: 6000}}}}
          resources: {{requests: {{cpu: 100m, memory: 128Mi}}}}
"""


def name(number: int) -> str:
    return f"service-{number:05}"


def write(repository: Path, count: int) -> None:
    """The environment with *count* services, a file each, committed."""
    folder = repository / "specs" / ENVIRONMENT / "services"
    if not repository.exists():
        folder.mkdir(parents=True)
        _git(repository, "init", "--quiet", "--initial-branch=main")
        (folder.parent / "environment.yaml").write_text(_ENVIRONMENT)
    for number in range(count):
        path = folder / f"{name(number)}.yaml"
        if not path.exists():
            path.write_text(service(name(number)))
    commit(repository, f"Have {count} services")


def service(name: str, iops: int = 3000) -> str:
    return _SERVICE.format(name=name, iops=iops)


def change(repository: Path, number: int, iops: int) -> None:
    """Let the volume of one service be of another speed."""
    path = repository / "specs" / ENVIRONMENT / "services" / f"{name(number)}.yaml"
    path.write_text(service(name(number), iops))
    commit(repository, f"Give {name(number)} {iops} operations a second")


def commit(repository: Path, message: str) -> None:
    _git(repository, "add", "--all")
    _git(repository, "-c", "user.name=bench", "-c", "user.email=bench@example.org", "commit", "--quiet", "--allow-empty", "-m", message)


def _git(repository: Path, *words: str) -> None:
    subprocess.run(("git", *words), cwd=repository, check=True)
