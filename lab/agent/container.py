"""One running container: a real process, the first of a pid namespace of its own, so that its end is the end of all it started."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lab.agent.logs import LogFile

LAUNCH = str(Path(__file__).with_name("launch.py"))
COMMAND_NOT_FOUND, START_ERROR = 127, 128


@dataclass(frozen=True, slots=True)
class Mount:
    """What of the machine is seen where in the container."""

    source: str
    target: str
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class User:
    """The numbers that the container's first process runs under."""

    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Launch:
    """All that it takes to start a container; `reach` are paths that its user must be able to walk to."""

    command: Sequence[str]
    environment: Mapping[str, str]
    workdir: str
    hostname: str
    scratch: str
    mounts: Sequence[Mount] = ()
    lowers: Sequence[str] = ()
    reach: Sequence[str] = ()
    user: User = field(default_factory=User)


class StartError(Exception):
    """The command could not be started; the message is the system's."""


@dataclass(frozen=True, slots=True)
class Exit:
    """How a process ended: *code* as a shell reports it, *signal* if one ended it."""

    code: int
    signal: int = 0


class Process:
    """A started container. `ended` resolves once every process of it is gone."""

    def __init__(self, pid: int, launch: Launch, output: asyncio.Task[None]) -> None:
        self.pid = pid
        self.launch = launch
        self._descriptor: int | None = os.pidfd_open(pid)
        self._output = output
        self.ended: asyncio.Task[Exit] = asyncio.create_task(self._wait())

    def kill(self, number: int) -> None:
        """Send the signal to the container's first process; without effect once it has ended."""
        if self._descriptor is not None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._descriptor, number)

    async def stop(self, grace: float) -> Exit:
        """End it: politely, and after *grace* seconds for certain."""
        self.kill(signal.SIGTERM)
        done, _ = await asyncio.wait([self.ended], timeout=grace)
        if not done:
            self.kill(signal.SIGKILL)
        return await self.ended

    async def execute(self, command: Sequence[str], within: float) -> tuple[int, str]:
        """Run *command* inside: exit code and output. What is not done *within* those seconds is killed (TimeoutError)."""
        user = self.launch.user
        enter = ["nsenter", f"--target={self.pid}", "--mount", "--uts", "--net", "--pid", "--root", "--wd"]
        become = ["setpriv", f"--reuid={user.uid}", f"--regid={user.gid}", "--clear-groups", *command] if user.uid else list(command)
        child = await asyncio.create_subprocess_exec(
            *enter,
            "--",
            *become,
            env=self.launch.environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            output, _ = await asyncio.wait_for(child.communicate(), within)
        except (TimeoutError, asyncio.CancelledError):
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            await child.wait()
            await asyncio.to_thread(_reap, child.pid)
            raise
        return child.returncode or 0, output.decode(errors="replace")

    async def _wait(self) -> Exit:
        descriptor = self._descriptor
        assert descriptor is not None
        await _readable(descriptor)
        result = os.waitid(os.P_PIDFD, descriptor, os.WEXITED)  # noqa: ASYNC222 - it has ended
        self._descriptor = None
        os.close(descriptor)
        await self._output
        return _exit(result)


def _reap(group: int) -> None:
    """Take in what a killed `nsenter` left to us: the kernel ends a pid namespace only once everyone in it was waited for."""
    with suppress(ChildProcessError):
        while True:
            os.waitid(os.P_PGID, group, os.WEXITED)


async def _readable(descriptor: int) -> None:
    """Wait until a process's descriptor says that it has ended."""
    loop = asyncio.get_running_loop()
    over: asyncio.Future[None] = loop.create_future()
    loop.add_reader(descriptor, over.set_result, None)
    try:
        await over
    finally:
        loop.remove_reader(descriptor)


def _exit(result: os.waitid_result | None) -> Exit:
    if result is None:
        return Exit(137, signal.SIGKILL)
    if result.si_code == os.CLD_EXITED:
        return Exit(result.si_status)
    return Exit(128 + result.si_status, result.si_status)


async def start(launch: Launch, network: int, log: LogFile) -> Process:
    """Start a container in the network namespace that the descriptor *network* holds.

    Raises:
        StartError: the command, a mount or the working directory is not to be had.
    """
    reading, report = os.pipe()
    (out, out_end), (err, err_end) = os.pipe(), os.pipe()
    plan = asdict(launch.user) | asdict(launch) | {"report": report, "network": network}
    try:
        launcher = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-S", LAUNCH, stdin=asyncio.subprocess.PIPE, stdout=out_end, stderr=err_end,
            pass_fds=[report, network], env={},
        )  # fmt: skip
    finally:
        for descriptor in (report, out_end, err_end):
            os.close(descriptor)
    output = asyncio.create_task(log.copy(out, err))
    await launcher.communicate(json.dumps(plan).encode())
    answer = await _read_all(reading)
    pid, _, error = answer.partition("\n")
    if not pid.startswith("pid "):
        await output
        raise StartError(answer.strip() or f"the launcher ended with code {launcher.returncode}; see the container's log")
    process = Process(int(pid.removeprefix("pid ")), launch, output)
    if error:
        await process.ended
        raise StartError(error.removeprefix("error ").strip())
    return process


async def _read_all(descriptor: int) -> str:
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb")
    )
    try:
        return (await reader.read()).decode(errors="replace")
    finally:
        transport.close()
