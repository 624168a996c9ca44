"""Where a lab keeps what it has, and what it tells those who look for it. Pure paths and one JSON file."""

from __future__ import annotations

import fcntl
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal

Role = Literal["reconciler", "engine", "members", "judge"]
ROLES: tuple[Role, ...] = ("reconciler", "engine", "members", "judge")

REGION: Final = "us-east-1"
ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")
NAMESPACES = ("default",)  # those in which the reconciler may keep leases, bindings and session Jobs
HOSTED_ZONE = "db.example.internal"

API_SERVER = "10.200.0.2"
API_SERVER_PORT = 6443
SERVICES = "10.96.0.0/16"
AWS = "10.200.0.3"
AWS_PORT = 5000
DNS = "10.200.0.10"
VPC = "10.200.0.0/16"
SUBNETS = ("10.200.16.0/20", "10.200.32.0/20", "10.200.48.0/20")
PODS = "10.200.128.0/17"
HOSTS = "10.200.4.0/24"


@dataclass(frozen=True, slots=True)
class Aws:
    """The lab's AWS; *endpoint* is reached from outside the namespace, *endpoint_inside* from Pods."""

    endpoint: str
    endpoint_inside: str
    credentials_file: str
    profiles: dict[str, str]
    vpc: str
    subnets: dict[str, str]
    security_groups: list[str]
    hosted_zones: dict[str, str]


@dataclass(frozen=True, slots=True)
class Kubernetes:
    """The lab's API server from outside, and a kubeconfig a role."""

    server: str
    kubeconfigs: dict[str, str]


@dataclass(frozen=True, slots=True)
class Layout:
    """What `lab.json` holds; written once everything is ready, removed by `down`."""

    dir: str
    pid: int
    region: str
    zones: list[str]
    aws: Aws
    kubernetes: Kubernetes
    dns: str
    dns_inside: str
    plugins: str
    tools: str


def default_dir() -> Path:
    """Where `lab up` keeps a lab unless told otherwise: `.reconcile/lab` of the working directory."""
    return Path(".reconcile/lab").absolute()


def doors(directory: Path) -> Path:
    """The folder with a file a node that is on, by which its network namespace is entered from inside the lab."""
    return directory / "agent" / "nodes"


def is_held(directory: Path) -> bool:
    """Whether a lab lives in *directory*: its init holds the lock for as long as it runs, and no crash can leave it held."""
    try:
        with (directory / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def read(directory: Path) -> Layout | None:
    """The layout of the lab in *directory*; None where none is up (or none has finished coming up)."""
    try:
        document = json.loads((directory / "lab.json").read_text())
    except FileNotFoundError:
        return None
    if not is_held(directory):
        return None
    aws, kubernetes = Aws(**document.pop("aws")), Kubernetes(**document.pop("kubernetes"))
    return Layout(aws=aws, kubernetes=kubernetes, **document)


def write(layout: Layout) -> None:
    """Publish *layout* at once or not at all."""
    target = Path(layout.dir) / "lab.json"
    draft = target.with_suffix(".new")
    draft.write_text(json.dumps(asdict(layout), indent=1))
    draft.chmod(0o600)
    draft.replace(target)
