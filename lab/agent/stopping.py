"""Ending a container as its spec asks: hook, SIGTERM, patience, SIGKILL; and what it leaves as its last words."""

from __future__ import annotations

import asyncio
import signal
import time
from contextlib import suppress

from lab.agent import logs, probes
from lab.agent.starting import Run
from lab.agent.state import Json

DEFAULT_GRACE = 30
LEAST_AFTER_HOOK = 2.0
MESSAGE, LOG_MESSAGE = 4096, 2048


def grace(pod: Json) -> float:
    """The seconds that the Pod's containers have to end by themselves."""
    asked = pod["metadata"].get("deletionGracePeriodSeconds")
    return float(pod["spec"].get("terminationGracePeriodSeconds", DEFAULT_GRACE) if asked is None else asked)


async def stop(run: Run, pod: Json) -> None:
    """End the run; returns once every process of it is gone."""
    assert run.process is not None
    seconds = grace(pod)
    if hook := run.spec.get("lifecycle", {}).get("preStop"):
        begun = time.monotonic()
        with suppress(TimeoutError):
            await asyncio.wait_for(call(hook, run), seconds)
        seconds = max(seconds - (time.monotonic() - begun), LEAST_AFTER_HOOK)
    await run.process.stop(seconds)


def hasten(run: Run, seconds: float) -> None:
    """Less patience than was promised."""
    if run.process is not None:
        asyncio.get_running_loop().call_later(seconds, run.process.kill, signal.SIGKILL)


async def kill(run: Run) -> None:
    """End it now."""
    if run.process is not None:
        run.process.kill(signal.SIGKILL)
        await run.process.ended


async def call(hook: Json, run: Run) -> None:
    """Call a lifecycle hook; one that fails is as if it had not been there."""
    assert run.process is not None
    with suppress(OSError, ValueError):
        match hook:
            case {"exec": {"command": command}}:
                await run.process.execute(command, within=3600)
            case {"sleep": {"seconds": seconds}}:
                await asyncio.sleep(seconds)
            case {"httpGet": target}:
                await probes.http_get(target, run.spec, probes.reach(run.sandbox))


def message(run: Run, code: int) -> str:
    """What the run has left in its termination message file, or, if its policy says so, at the end of its log after an error."""
    text = run.message.read_bytes()[:MESSAGE].decode(errors="replace") if run.message.exists() else ""
    if not text and code and run.spec.get("terminationMessagePolicy") == "FallbackToLogsOnError":
        return logs.ending(run.log.path, LOG_MESSAGE)
    return text
