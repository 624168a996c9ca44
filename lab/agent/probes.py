"""Probes: one check each (exec, tcpSocket, httpGet), and the count that turns checks into a verdict."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lab.agent import network
from lab.agent.state import Json

if TYPE_CHECKING:
    from lab.agent.container import Process
    from lab.agent.sandbox import Sandbox

Kind = Literal["startupProbe", "livenessProbe", "readinessProbe"]
KINDS: tuple[Kind, ...] = ("startupProbe", "livenessProbe", "readinessProbe")


@dataclass(frozen=True, slots=True)
class Tally:
    """How often in a row a probe has said the same; *verdict* changes when that is often enough."""

    successes_needed: int
    failures_needed: int
    verdict: bool | None = None
    same: int = 0
    latest: bool | None = None

    def note(self, ok: bool) -> Tally:
        """The tally after one more check."""
        same = self.same + 1 if ok is self.latest else 1
        needed = self.successes_needed if ok else self.failures_needed
        verdict = ok if same >= needed else self.verdict
        return Tally(self.successes_needed, self.failures_needed, verdict, same, ok)


def tally(probe: Json) -> Tally:
    return Tally(probe.get("successThreshold", 1), probe.get("failureThreshold", 3))


@dataclass(frozen=True, slots=True)
class Reach:
    """Whom a node's kubelet asks (a Pod's *address*), and how it connects to a host and a port."""

    address: str
    connect: Callable[[str, int], Awaitable[socket.socket]]


def reach(sandbox: Sandbox) -> Reach:
    """The Pod of *sandbox*, from its node: what cuts the node off from others does not cut it off from its Pods."""
    return Reach(sandbox.address, lambda host, number: network.connected(sandbox.host.descriptor, host, number))


async def check(probe: Json, spec: Json, pod: Reach, process: Process) -> tuple[bool, str]:
    """Whether the probe holds now, and what it said if not."""
    timeout = float(probe.get("timeoutSeconds", 1))
    try:
        return await asyncio.wait_for(_check(probe, spec, pod, process, timeout), timeout + 0.5)
    except TimeoutError:
        return False, f"timed out after {timeout:.0f}s"
    except (OSError, ValueError, network.NetworkError) as error:
        return False, str(error)


async def follow(
    probe: Json, ask: Callable[[], Awaitable[tuple[bool, str]]], told: Callable[[bool, str], None], *, impatient: bool = False
) -> None:
    """Check for ever; *told* hears of each verdict that is new, and of each repeated failure that has passed the threshold.

    An *impatient* one looks every second until the first success, where no harm is done by asking.
    """
    await asyncio.sleep(probe.get("initialDelaySeconds", 0))
    count, period = tally(probe), probe.get("periodSeconds", 10)
    while True:
        ok, said = await ask()
        before, count = count.verdict, count.note(ok)
        if count.verdict is not None and (count.verdict is not before or (not ok and count.same % count.failures_needed == 0)):
            told(count.verdict, said)
        await asyncio.sleep(min(period, 1) if impatient and not count.verdict else period)


async def _check(probe: Json, spec: Json, pod: Reach, process: Process, within: float) -> tuple[bool, str]:
    match probe:
        case {"exec": {"command": command}}:
            code, output = await process.execute(command, within)
            return code == 0, output.strip()[-1024:] or f"exit code {code}"
        case {"tcpSocket": target}:
            (await pod.connect(target.get("host") or pod.address, port(target["port"], spec))).close()
            return True, ""
        case {"httpGet": target}:
            return await http_get(target, spec, pod)
    return False, "the lab knows exec, tcpSocket and httpGet probes only"


async def http_get(target: Json, spec: Json, pod: Reach) -> tuple[bool, str]:
    """GET as a probe does: any status from 200 to 399 is good, certificates are not looked at."""
    host, number = target.get("host") or pod.address, port(target["port"], spec)
    secure = target.get("scheme") == "HTTPS"
    encrypted, name = (_unverified(), host) if secure else (None, None)
    reader, writer = await asyncio.open_connection(sock=await pod.connect(host, number), ssl=encrypted, server_hostname=name)
    headers = {"Host": f"{host}:{number}", "User-Agent": "kube-probe/lab", "Connection": "close"}
    headers |= {header["name"]: header["value"] for header in target.get("httpHeaders", [])}
    lines = [f"GET {target.get('path') or '/'} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    try:
        writer.write("\r\n".join(lines).encode())
        answer = (await reader.readline()).decode(errors="replace").split(maxsplit=2)
    finally:
        writer.close()
        with suppress(OSError, ssl.SSLError):
            await writer.wait_closed()
    code = int(answer[1]) if len(answer) > 1 else 0
    return 200 <= code < 400, f"HTTP probe failed with statuscode: {code}"


def port(wanted: int | str, spec: Json) -> int:
    """A port's number; a name is looked up among the container's."""
    if isinstance(wanted, int) or wanted.isdigit():
        return int(wanted)
    found = next((one["containerPort"] for one in spec.get("ports", []) if one.get("name") == wanted), None)
    if found is None:
        raise ValueError(f"container {spec['name']} has no port called {wanted!r}")
    return int(found)


def _unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
