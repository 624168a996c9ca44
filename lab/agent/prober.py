"""The probes of one Pod's running containers: startup first, then liveness and readiness side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from lab.agent import probes
from lab.agent.starting import Run
from lab.agent.state import Json

Told = Callable[[str, str, bool, str], None]


class Prober:
    """Follows probes; *told* hears of container, kind of probe, verdict and what was said."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self._tasks: dict[str, list[asyncio.Task[None]]] = {}

    def begin(self, spec: Json, run: Run) -> None:
        """Follow the probes of a run that has just started; one without a startup probe has started by now."""
        if run.process is None or run.process.ended.done():
            return
        if "startupProbe" in spec:
            self._follow("startupProbe", spec, run)
        else:
            self._started(spec, run)

    def end(self, name: str) -> None:
        for task in self._tasks.pop(name, []):
            task.cancel()

    def _started(self, spec: Json, run: Run) -> None:
        self._told(spec["name"], "startupProbe", True, "")  # noqa: FBT003 - a verdict
        for kind in ("livenessProbe", "readinessProbe"):
            if kind in spec:
                self._follow(kind, spec, run)

    def _follow(self, kind: str, spec: Json, run: Run) -> None:
        def told(holds: bool, said: str) -> None:
            if kind != "startupProbe" or not holds:
                self._told(spec["name"], kind, holds, said)
            elif holds:
                self._started(spec, run)
                raise asyncio.CancelledError  # its work is done

        async def ask() -> tuple[bool, str]:
            assert run.process is not None
            return await probes.check(spec[kind], spec, probes.reach(run.sandbox), run.process)

        task = asyncio.create_task(probes.follow(spec[kind], ask, told, impatient=kind == "readinessProbe"))
        self._tasks.setdefault(spec["name"], []).append(task)
