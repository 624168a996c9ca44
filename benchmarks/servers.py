"""What is measured against: etcd with the real API server, and the lab's AWS (moto behind token buckets) with a latency of its own."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lab import control_plane, pki, tool
from lab.aws.client import Switches

LATENCY = 0.05  # seconds that every answer of AWS takes beside its making
USERS = ("seeder", "reconciler", "peer")
_ADDRESSES = 1_000_000  # elastic addresses: the benchmarks are no test of quotas


@dataclass(frozen=True)
class Servers:
    """Where they listen; a kubeconfig and an access key for each of USERS, so that calls can be told apart at the servers."""

    folder: Path
    endpoint: str

    @property
    def aws(self) -> Switches:
        return Switches(self.endpoint)

    def kubeconfig(self, user: str) -> Path:
        return self.folder / f"{user}.kubeconfig"

    def harden(self) -> None:
        """From now on as AWS: a latency on every call, and its token buckets."""
        self.aws.set(throttle=True)
        self.aws.order("latency", seconds=LATENCY)

    def ease(self) -> None:
        """As quick as it can, for making what is to be read."""
        self.aws.lift()
        self.aws.set(throttle=False)

    def forget_calls(self) -> None:
        self.aws.forget_calls()
        (self.folder / "audit.log").write_bytes(b"")  # opened for appending, so the server goes on at its new end

    def calls(self, user: str) -> dict[str, int]:
        """What *user* has asked since, each with how often: `ec2:DescribeVolumes`, `list statefulsets`."""
        asked: dict[str, int] = {}
        for call in self.aws.calls(access_key=key(user)):
            name = f"{call['service']}:{call['action']}"
            asked[name] = asked.get(name, 0) + 1
        for line in (self.folder / "audit.log").read_text().splitlines():
            event = json.loads(line)
            if event["user"]["username"] == user:
                name = f"{event['verb']} {event.get('objectRef', {}).get('resource', event['requestURI'])}"
                asked[name] = asked.get(name, 0) + 1
        return dict(sorted(asked.items()))

    def throttled(self, user: str) -> int:
        """How many of the calls of *user* AWS has refused for coming too fast."""
        return sum(call["code"] in {"RequestLimitExceeded", "Throttling"} for call in self.aws.calls(access_key=key(user)))


def key(user: str) -> str:
    """The access key of *user*, by which the lab's AWS tells calls apart."""
    return f"AKIABENCH{user.upper()}"


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Servers]:
    """Both, as long as this; nothing is left behind."""
    tool.require("etcd", "kube-apiserver")
    etcd, peer, port = _free_ports(3)
    authority = _credentials(folder, port)
    with contextlib.ExitStack() as running:
        running.enter_context(_running(folder, *control_plane.etcd(folder, etcd, peer)))
        api = running.enter_context(_running(folder, *_api_server(folder, port, etcd)))
        settings = json.dumps({"addresses": _ADDRESSES, "throttle": False})
        aws = (sys.executable, "-m", "lab.aws.server", "--port", "0", "--dir", str(folder), "--settings", settings)
        cloud = running.enter_context(_running(folder, *aws))
        told = folder / "aws" / "server.json"
        _wait_for(lambda: _ready(port, authority), api, folder)
        _wait_for(told.exists, cloud, folder)
        yield Servers(folder, f"http://127.0.0.1:{json.loads(told.read_text())['port']}")


@contextlib.contextmanager
def _running(folder: Path, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / f"{Path(command[0]).name}.log").open("w") as log:
        environment = {**os.environ, "PATH": tool.path(), "PYTHONPATH": str(tool.root())}
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)


def _wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes], folder: Path) -> None:
    end = time.monotonic() + 60
    while not condition():
        if process.poll() is not None or time.monotonic() > end:
            logs = "\n".join(path.read_text()[-1000:] for path in folder.glob("*.log"))
            raise RuntimeError(f"a server of the benchmarks did not come up:\n{logs}")
        time.sleep(0.1)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in sockets]


def _credentials(folder: Path, port: int) -> pki.Authority:
    """Certificates, and a kubeconfig for each of USERS."""
    authority = pki.establish()
    pki.write_signed(folder, "tls", authority.serve("kube-apiserver", ["127.0.0.1"]))
    pki.write_service_account_key(folder)
    (folder / "ca.crt").write_bytes(authority.pem)
    for user in USERS:
        signed = authority.identify(user, "system:masters")
        (folder / f"{user}.kubeconfig").write_text(pki.kubeconfig(authority, f"https://127.0.0.1:{port}", signed, user))
    policy = {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [{"level": "Metadata", "users": [user for user in USERS if user != "seeder"]}],
    }
    (folder / "audit.yaml").write_text(json.dumps(policy))
    return authority


def _api_server(folder: Path, port: int, etcd: int) -> tuple[str, ...]:
    return (
        "kube-apiserver",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        "--endpoint-reconciler-type=none",  # it would refuse to write a loopback address
        f"--secure-port={port}",
        f"--etcd-servers=http://127.0.0.1:{etcd}",
        f"--tls-cert-file={folder / 'tls.crt'}",
        f"--tls-private-key-file={folder / 'tls.key'}",
        f"--client-ca-file={folder / 'ca.crt'}",
        f"--audit-policy-file={folder / 'audit.yaml'}",
        f"--audit-log-path={folder / 'audit.log'}",
        "--authorization-mode=RBAC",
        "--disable-admission-plugins=ServiceAccount",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-signing-key-file={folder / 'service-account.key'}",
        f"--service-account-key-file={folder / 'service-account.pub'}",
        "--profiling=false",
    )


def _ready(port: int, authority: pki.Authority) -> bool:
    trusting = ssl.create_default_context(cadata=authority.pem.decode())
    try:
        with urllib.request.urlopen(f"https://127.0.0.1:{port}/readyz", timeout=2, context=trusting) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
