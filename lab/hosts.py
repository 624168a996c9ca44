"""Machines for Ansible: an sshd each, with an address, host key, host name, /etc, /root, /srv, /opt and /tmp of its own.

All else is this machine's. What is written on a host is read on the outer machine under its `root`, whatever changed in /etc included.
"""

from __future__ import annotations

import argparse
import ipaddress
import os
import shutil
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lab import child, layout, lifecycle, namespace, pki, tool
from lab.error import LabError
from lab.layout import Layout

OWN = ("root", "srv", "opt", "tmp")  # /etc is laid over this machine's; these begin empty
START_WITHIN = 30.0

_CONFIG = """\
ListenAddress {address}:22
HostKey /etc/ssh/ssh_host_ed25519_key
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
PidFile none
MaxStartups 200
SetEnv PATH={path}
Subsystem sftp internal-sftp
"""


@dataclass(frozen=True, slots=True)
class Host:
    """One machine; *root* holds what was written on it (`root/etc`, `root/srv`, …)."""

    name: str
    address: str
    root: Path


@dataclass(frozen=True, slots=True)
class Hosts:
    """Machines that let `root` in with *key*; their own keys are in *known_hosts*."""

    hosts: tuple[Host, ...]
    key: Path
    known_hosts: Path


def start(running: Layout, names: Sequence[str]) -> Hosts:
    """Start a host of each name in the lab, the n-th at 10.200.4.n, and wait until all listen. Once a lab."""
    tool.require("sshd")
    folder = Path(running.dir) / "hosts"
    if folder.exists():
        raise LabError(f"the lab in {running.dir} has its hosts already", hint="start all of them at once, or bring up a fresh lab")
    addresses = ipaddress.ip_network(layout.HOSTS)
    hosts = tuple(Host(name, str(addresses[number]), folder / name) for number, name in enumerate(names, start=1))
    folder.mkdir()
    private, public = _key_pair()
    pki.write_private(folder / "id_ed25519", private)
    known = [f"{host.address} {_furnish(host, public)}\n" for host in hosts]
    (folder / "known_hosts").write_text("".join(known))
    arguments = [f"{host.name}={host.address}" for host in hosts]
    command = ["env", f"PYTHONPATH={tool.root()}", sys.executable, "-P", "-m", "lab.hosts", "--dir", running.dir, *arguments]
    code = lifecycle.exec_(Path(running.dir), command)
    if code:
        raise LabError(f"the hosts of the lab in {running.dir} did not start", hint=f"see {running.dir}/logs/sshd-*.log")
    return Hosts(hosts, folder / "id_ed25519", folder / "known_hosts")


def _key_pair() -> tuple[bytes, str]:
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption())
    return private, key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()


def _furnish(host: Host, client: str) -> str:
    """Write what the machine has of its own before it starts, and let *client* in; its public key."""
    for name in (*OWN, "etc/ssh", "etc.work"):
        (host.root / name).mkdir(parents=True)
    private, public = _key_pair()
    ssh = host.root / "etc" / "ssh"
    pki.write_private(ssh / "ssh_host_ed25519_key", private)
    (ssh / "ssh_host_ed25519_key.pub").write_text(f"{public}\n")
    path = f"{Path(sys.executable).resolve().parent}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    (ssh / "sshd_config").write_text(_CONFIG.format(address=host.address, path=path))
    (host.root / "etc" / "hostname").write_text(f"{host.name}\n")
    (host.root / "etc" / "hosts").write_text(f"127.0.0.1 localhost\n{host.address} {host.name}\n")
    shutil.copy(host.root.parent.parent / "resolv.conf", host.root / "etc" / "resolv.conf")
    trusted = host.root / "root" / ".ssh"
    trusted.mkdir(mode=0o700)
    (host.root / "root").chmod(0o700)
    (host.root / "tmp").chmod(0o1777)
    (trusted / "authorized_keys").write_text(f"{client}\n")
    return public


def _boot(host: Host, log: Path) -> None:
    """Leave an sshd running that sees *host*'s own folders; called inside the lab."""
    if os.fork():
        return
    try:
        os.setsid()
        with log.open("ab") as stream:  # before /tmp and /root are others
            for descriptor in (1, 2):
                os.dup2(stream.fileno(), descriptor)
        namespace.unshare(namespace.CLONE_NEWNS | namespace.CLONE_NEWUTS)
        socket.sethostname(host.name)
        _own(host.root)
        program = shutil.which("sshd", path=tool.path()) or "sshd"
        os.execv(program, [program, "-D", "-e"])  # sshd wants to be called by its whole path
    except OSError as error:
        print(f"{host.name}: {error}", file=sys.stderr, flush=True)  # noqa: T201 - the host's log
        os._exit(1)


def _own(root: Path) -> None:
    """Put *root*'s folders in place of this machine's. Sources are held open: a folder may hide the path that leads to it."""
    namespace.make_private()
    sources = {name: os.open(root / name, os.O_PATH) for name in OWN}
    namespace.mount("overlay", "/etc", "overlay", options=f"lowerdir=/etc,upperdir={root / 'etc'},workdir={root / 'etc.work'}")
    namespace.mount("tmpfs", "/run", "tmpfs", options="mode=755")
    Path("/run/sshd").mkdir(mode=0o755)
    for name, descriptor in sources.items():
        namespace.mount(f"/proc/self/fd/{descriptor}", f"/{name}", flags=namespace.MS_BIND)
        os.close(descriptor)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("hosts", nargs="+", metavar="NAME=ADDRESS")
    arguments = parser.parse_args()
    pairs = [text.split("=") for text in arguments.hosts]
    namespace.bring_up(address for _, address in pairs)
    for name, address in pairs:
        _boot(Host(name, address, arguments.dir / "hosts" / name), arguments.dir / "logs" / f"sshd-{name}.log")
    deadline = time.monotonic() + START_WITHIN
    for _, address in pairs:
        while not child.listening(address, 22)():
            if time.monotonic() > deadline:
                sys.exit(1)
            time.sleep(0.05)


if __name__ == "__main__":
    main()
