"""Network namespaces: made, set up and spoken from. One is held by a descriptor, so that nothing of it has a name on the machine."""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import struct
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from lab import namespace

SIOCSIFHWADDR, ARPHRD_ETHER = 0x8924, 1


class NetworkError(Exception):
    """`ip` refused; its words."""


async def ip(lines: Iterable[str], network: int | None = None) -> None:
    """Run a batch of `ip` commands, in the namespace of *network* if given."""
    enter = [] if network is None else ["nsenter", f"--net=/proc/self/fd/{network}"]
    child = await asyncio.create_subprocess_exec(
        *enter, "ip", "-batch", "-",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        pass_fds=[] if network is None else [network],
    )  # fmt: skip
    text = "\n".join(lines)
    _, errors = await child.communicate(text.encode())
    if child.returncode:
        raise NetworkError(f"ip: {errors.decode().strip()} (in: {text!r})")


async def make(settings: Mapping[str, int] | None = None) -> int:
    """A descriptor of a new namespace, with *settings* below net.ipv4."""

    def begin() -> int:
        namespace.unshare(namespace.CLONE_NEWNET)
        write(settings or {})
        return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    return await asyncio.to_thread(namespace.apart, begin)


def write(settings: Mapping[str, int]) -> None:
    """Set *settings* of the namespace that this thread is in."""
    for name, value in settings.items():
        Path("/proc/sys/net/ipv4", name).write_text(str(value))


def path(network: int) -> str:
    """How another process of this machine opens the namespace."""
    return f"/proc/{os.getpid()}/fd/{network}"


async def set_mac(network: int, device: str, mac: str) -> None:
    """Give a device of the namespace the address *mac*. Without `ip`: a lab that is up and idle starts no processes."""

    def begin() -> None:
        namespace.enter(network, namespace.CLONE_NEWNET)
        request = struct.pack("16sH6s16x", device.encode(), ARPHRD_ETHER, bytes.fromhex(mac.replace(":", "")))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            fcntl.ioctl(any_socket, SIOCSIFHWADDR, request)

    await asyncio.to_thread(namespace.apart, begin)


async def listening(network: int, port: int) -> socket.socket:
    """A listener on *port* of every address in the namespace. A socket stays in the namespace of its birth."""
    return await _born_in(network, lambda: socket.create_server(("0.0.0.0", port)))


async def connected(network: int, host: str, port: int) -> socket.socket:
    """A connection made from within the namespace."""
    found = await _born_in(network, lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM))
    found.settimeout(0)
    try:
        await asyncio.get_running_loop().sock_connect(found, (host, port))
    except BaseException:
        found.close()
        raise
    return found


async def _born_in(network: int, make_socket: Callable[[], socket.socket]) -> socket.socket:
    def begin() -> socket.socket:
        namespace.enter(network, namespace.CLONE_NEWNET)
        return make_socket()

    return await asyncio.to_thread(namespace.apart, begin)
