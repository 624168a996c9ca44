"""Process 1 of a lab: makes the namespaces, starts everything inside them, and takes it all along when it ends.

`python -m lab.init --dir DIR` leaves nothing on the outer machine but DIR and, while it lives, listeners on its loopback.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lab import access, control_plane, layout, namespace, nodes, pki, tool
from lab.child import Child, exists
from lab.supervise import Supervisor, log

FOLDERS = {"logs": 0o755, "home": 0o755, "volumes": 0o755, "plugins": 0o755, "etcd": 0o700, "pki": 0o700, "kube": 0o700, "aws": 0o700}


@dataclass(frozen=True, slots=True)
class Listeners:
    """Bound on the outer loopback before the network namespace is left; held here so that a forwarder can be started again."""

    api_server: socket.socket
    aws: socket.socket
    dns: socket.socket
    dns_datagrams: socket.socket

    def ports(self) -> dict[str, int]:
        return {name: getattr(self, name).getsockname()[1] for name in ("api_server", "aws", "dns")}

    def descriptors(self) -> tuple[int, ...]:
        return tuple(one.fileno() for one in (self.api_server, self.aws, self.dns, self.dns_datagrams))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dir", type=Path, required=True)
    directory: Path = parser.parse_args().dir
    namespace.unshare(namespace.CLONE_NEWPID | namespace.CLONE_NEWNS)
    if os.fork():
        os._exit(0)  # whoever asked for the lab waits for lab.json, not for this process
    try:
        _be_init(directory)
    except Exception as error:
        (directory / "failure").write_text(f"{type(error).__name__}: {error}")
        raise


def _be_init(directory: Path) -> None:
    outer_pid = int(Path("/proc/self").readlink().name)  # /proc is still the outer machine's
    listeners = _listen()
    namespace.make_private()
    namespace.show_own_processes()
    namespace.unshare(namespace.CLONE_NEWNET)
    namespace.bring_up([layout.API_SERVER, layout.AWS, layout.DNS])
    _prepare(directory, listeners.ports()["api_server"])
    namespace.bind(directory / "resolv.conf", Path("/etc/resolv.conf"))
    log(f"up as {outer_pid}")
    Supervisor(directory, _children(directory, listeners, outer_pid), _environment(directory)).run()
    log("down")


def _listen() -> Listeners:
    """One port for both kinds of DNS question; the kernel may have given it to another's datagrams, so ask until both are ours."""
    while True:
        stream = socket.create_server(("127.0.0.1", 0))
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            datagrams.bind(stream.getsockname())
        except OSError:
            stream.close()
            datagrams.close()
            continue
        return Listeners(socket.create_server(("127.0.0.1", 0)), socket.create_server(("127.0.0.1", 0)), stream, datagrams)


def _prepare(directory: Path, api_port: int) -> None:
    """Write what the processes read before they start: keys, kubeconfigs, resolv.conf."""
    for name, mode in FOLDERS.items():
        (directory / name).mkdir(mode=mode)
    (directory / "resolv.conf").write_text(f"nameserver {layout.DNS}\noptions timeout:2 attempts:2\n")
    authority, folder = pki.establish(), directory / "pki"
    (folder / "ca.crt").write_bytes(authority.pem)
    pki.write_service_account_key(folder)
    names = ["localhost", *(f"kubernetes{rest}" for rest in ("", ".default", ".default.svc", ".default.svc.cluster.local"))]
    pki.write_signed(folder, "apiserver", authority.serve("kube-apiserver", [layout.API_SERVER, "127.0.0.1", "10.96.0.1"], names))
    pki.write_signed(folder, "apiserver-kubelet-client", authority.identify("kube-apiserver-kubelet-client", "system:masters"))
    planned = nodes.planned()
    kubelets = authority.serve("system:node:lab", [node.address for node in planned], [node.name for node in planned])
    pki.write_signed(folder, "kubelet-server", kubelets)
    control_plane.write_audit_policy(directory)
    access.write_kubeconfigs(authority, directory / "kube", f"https://127.0.0.1:{api_port}")


def _environment(directory: Path) -> dict[str, str]:
    """What every process of the lab starts with: nothing of the caller's but its PATH."""
    return {
        "PATH": tool.path(),
        "PYTHONPATH": str(tool.root()),
        "PYTHONUNBUFFERED": "1",
        "HOME": str(directory / "home"),
        "LANG": "C.UTF-8",
    }


def _judge(directory: Path) -> dict[str, str]:
    """What stands in for AWS's own machinery and the kubelets reads and writes as the judge."""
    return {
        "KUBECONFIG": str(directory / "kube" / "judge-inside.kubeconfig"),
        "AWS_ENDPOINT_URL": f"http://{layout.AWS}:{layout.AWS_PORT}",
        "AWS_SHARED_CREDENTIALS_FILE": str(directory / "aws" / "credentials"),
        "AWS_PROFILE": "judge",
        "AWS_DEFAULT_REGION": layout.REGION,
    }


def _children(directory: Path, listeners: Listeners, outer_pid: int) -> Iterator[Child]:
    def python(module: str, *arguments: str) -> tuple[str, ...]:
        return (sys.executable, "-P", "-m", module, *arguments)

    here = f"--dir={directory}"
    ports = [f"--{name.replace('_', '-')}={port}" for name, port in listeners.ports().items()]
    judge = _judge(directory)
    yield from control_plane.children(directory)
    yield Child("aws", python("lab.aws.server", f"--host={layout.AWS}", f"--port={layout.AWS_PORT}", here), end="lost")
    yield Child("forward", python("lab.forward", *_routes(listeners)), pass_fds=listeners.descriptors())
    yield Child("setup", python("lab.setup", here, f"--pid={outer_pid}", *ports), end="done")
    yield Child("dns", python("lab.dns", here))
    yield Child("agent", python("lab.agent", here), after=exists(directory / "nodes.ready"), env=judge)


def _routes(listeners: Listeners) -> list[str]:
    targets = [
        ("tcp", listeners.api_server, layout.API_SERVER, layout.API_SERVER_PORT),
        ("tcp", listeners.aws, layout.AWS, layout.AWS_PORT),
        ("tcp", listeners.dns, layout.DNS, 53),
        ("udp", listeners.dns_datagrams, layout.DNS, 53),
    ]
    return [f"--{kind}={listener.fileno()}:{host}:{port}" for kind, listener, host, port in targets]


if __name__ == "__main__":
    main()
