"""A real API server with nothing behind it but etcd, for the contracts of `Cluster` and `Leases`; needs no root. A pytest plugin."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import ssl
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import control_plane, pki, tool
from tests.contract.conftest import wait_for

TOKEN = "made-up"


@contextlib.contextmanager
def _running(directory: Path, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    with (directory / f"{command[0]}.log").open("w") as log:
        process = subprocess.Popen(command, env={**os.environ, "PATH": tool.path()}, stdout=log, stderr=log, cwd=directory)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(20)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in sockets]


def _api_server(directory: Path, port: int, etcd: int) -> tuple[str, ...]:
    (directory / "tokens.csv").write_text(f"{TOKEN},judge,judge,system:masters\n{TOKEN}-reader,reader,reader\n")
    authority = pki.establish()
    pki.write_signed(directory, "tls", authority.serve("kube-apiserver", ["127.0.0.1"]))
    pki.write_service_account_key(directory)
    (directory / "ca.crt").write_bytes(authority.pem)
    return (
        "kube-apiserver",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        "--endpoint-reconciler-type=none",  # it would refuse to write a loopback address
        f"--secure-port={port}",
        f"--etcd-servers=http://127.0.0.1:{etcd}",
        f"--tls-cert-file={directory / 'tls.crt'}",
        f"--tls-private-key-file={directory / 'tls.key'}",
        f"--token-auth-file={directory / 'tokens.csv'}",
        "--authorization-mode=RBAC",
        "--disable-admission-plugins=ServiceAccount",
        "--service-cluster-ip-range=10.96.0.0/16,fd00:96::/112",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-signing-key-file={directory / 'service-account.key'}",
        f"--service-account-key-file={directory / 'service-account.pub'}",
    )


def kubeconfig(path: Path, server: str, authority: Path, token: str = TOKEN) -> Path:
    """A kubeconfig for one who bears *token*."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "lab",
        "clusters": [{"name": "lab", "cluster": {"server": server, "certificate-authority": str(authority)}}],
        "users": [{"name": "lab", "user": {"token": token}}],
        "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "lab"}}],
    }
    path.write_text(json.dumps(document))
    return path


@pytest.fixture(scope="session")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The kubeconfig of an API server that lives as long as the session."""
    tool.require("etcd", "kube-apiserver")
    directory = tmp_path_factory.mktemp("api-server")
    client, peer, port = _free_ports(3)
    with (
        _running(directory, *control_plane.etcd(directory, client, peer)),
        _running(directory, *_api_server(directory, port, client)) as process,
    ):
        server = f"https://127.0.0.1:{port}"
        wait_for(lambda: process.poll() is not None or _ready(server), seconds=60)
        assert process.poll() is None, (directory / "kube-apiserver.log").read_text()[-500:]
        authority = directory / "ca.crt"
        kubeconfig(directory / "reader.kubeconfig", server, authority, f"{TOKEN}-reader")
        yield kubeconfig(directory / "judge.kubeconfig", server, authority)


def _ready(server: str) -> bool:
    request = urllib.request.Request(f"{server}/readyz", headers={"Authorization": f"Bearer {TOKEN}"})
    try:
        with urllib.request.urlopen(request, timeout=2, context=ssl._create_unverified_context()) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
