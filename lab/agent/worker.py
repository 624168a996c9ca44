"""One Pod's life on its node: asks `pods` what is due, takes the steps, and tells the API server what became of it.

Level-triggered: whatever happens (a change of the Pod, an exit, a probe, a timer) only wakes the loop, which looks at the whole again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import replace
from typing import Any

import httpx2 as httpx

from lab.agent import network, pods, report, starting, stopping
from lab.agent.api import ApiError
from lab.agent.container import START_ERROR, StartError
from lab.agent.disks import Blocked
from lab.agent.environment import ConfigError
from lab.agent.home import Home, Surroundings
from lab.agent.nodes import Node
from lab.agent.prober import Prober
from lab.agent.starting import Refused, Run
from lab.agent.state import Json, PodState, Running, Terminated, spec_of

RETRY = 0.3
WORTH_TELLING = 5.0  # seconds: an attachment takes a moment, and that is no trouble
FORCED_GRACE = 1

_log = logging.getLogger(__name__)


class Worker:
    """Runs one Pod. `pod` is what the API server last said of it."""

    def __init__(self, around: Surroundings, node: Node, pod: Json, state: PodState) -> None:
        self._around = around
        self.node = node
        self.pod = pod
        self.state = state
        self.runs: dict[str, Run] = {}
        self._steps: dict[str, asyncio.Task[None]] = {}
        self._watches: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()
        self._forgotten = False
        self._removed = False
        self._home = Home(around, node, pod["metadata"]["uid"])
        self._prober = Prober(self._probed)
        self.task: asyncio.Task[None] | None = None

    @property
    def label(self) -> str:
        return f"{self.pod['metadata']['namespace']}/{self.pod['metadata']['name']}"

    def begin(self) -> None:
        self.task = asyncio.create_task(self._live(), name=self.label)

    def update(self, pod: Json) -> None:
        """The API server says something new of the Pod."""
        if int(pod["metadata"]["resourceVersion"]) <= int(self.pod["metadata"]["resourceVersion"]):
            return
        sooner = stopping.grace(pod) < stopping.grace(self.pod)
        relabelled = any(pod["metadata"].get(key) != self.pod["metadata"].get(key) for key in ("labels", "annotations"))
        self.pod = pod
        if relabelled:
            self._watch(self.refresh())
        if sooner:
            for run in self.runs.values():
                stopping.hasten(run, stopping.grace(pod))
        self._news.set()

    def forget(self) -> None:
        """The Pod is gone from the API server: end what is left of it, and tell nobody."""
        if not self._forgotten:
            self._forgotten = True
            metadata = self.pod["metadata"] | {"deletionTimestamp": "now", "deletionGracePeriodSeconds": FORCED_GRACE}
            self.pod = self.pod | {"metadata": metadata}
            for run in self.runs.values():
                stopping.hasten(run, FORCED_GRACE)
        self._news.set()

    async def cut(self) -> None:
        """The node is dead: every process ends now, and nobody hears of it."""
        for task in [self.task, *self._steps.values()]:
            if task:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        for run in list(self.runs.values()):
            await stopping.kill(run)
        await self._home.close(quietly=True)

    async def lose(self, handle: str) -> None:
        """An EBS volume is taken away under the Pod: its processes end, and it has to wait for the volume again."""
        for run in list(self.runs.values()):
            await stopping.kill(run)
        self._home.lose(handle)
        self.state = replace(self.state, prepared=False)
        self._news.set()

    async def refresh(self, kind: str = "", name: str = "") -> None:
        """Bring volumes made of API objects up to date; only if they are made of that one, if one is named."""
        if not self.state.prepared or self.node.down or not self._home.made_of(kind, name):
            return
        try:
            await self._home.refresh(self.pod)
        except (ConfigError, ApiError, httpx.HTTPError, OSError) as error:
            _log.info("%s: its volumes stay as they are: %s", self.label, error)

    async def _live(self) -> None:
        while True:
            self._news.clear()
            await self.node.awake.wait()
            try:
                if await self._turn():
                    return
            except Exception as error:  # noqa: BLE001 - one Pod's trouble is not another's, and the next turn may go well
                self._complain(error)
                await asyncio.sleep(RETRY)
                continue
            due = pods.wake(self.pod, self.state)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), None if due is None else max(0.0, due - time.time()) + 0.01)

    async def _turn(self) -> bool:
        """Look at the whole once; whether the Pod's life on this node is over."""
        self._back_off()
        if not self._forgotten and (told := await report.tell(self._around.api, self.pod, self.state, self.node.address)):
            self.update(told)
        if pods.ending(self.pod) or self.state.failure:
            await self._give_up_preparing()
        for step in pods.decide(self.pod, self.state, time.time(), self._steps.keys()):
            match step:
                case pods.Prepare():
                    self._begin("", self._prepare())
                case pods.Start(name):
                    self._begin(name, self._start(name))
                case pods.Stop(name):
                    self._begin(name, self._stop(name))
                case pods.Fail(failure):
                    self.state = replace(self.state, failure=failure)
                    self._news.set()
                case pods.Clean():
                    await self._clean()
                case pods.Remove():
                    return await self._remove()
        return False

    def _begin(self, key: str, step: Coroutine[Any, Any, None]) -> None:
        if key in self._steps:
            step.close()
            return

        async def taken() -> None:
            try:
                await step
            except Exception as error:  # noqa: BLE001 - as in the loop
                self._complain(error)
                await asyncio.sleep(RETRY)
            finally:
                self._steps.pop(key, None)
                self._news.set()

        self._steps[key] = asyncio.create_task(taken(), name=f"{self.label} {key}")

    def _complain(self, error: Exception) -> None:
        expected = isinstance(error, (ApiError, httpx.HTTPError, network.NetworkError, OSError))
        _log.warning("%s: %s: %s", self.label, type(error).__name__, error, exc_info=None if expected else error)

    def _back_off(self) -> None:
        """Let what has ended, and is to be started again, wait for its time."""
        if pods.is_over(self.pod, self.state):
            return
        for name, container in self.state.containers.items():
            if isinstance(container.state, Terminated) and pods.restarts(self.pod, spec_of(self.pod, name), container.state):
                self.state = self.state.put(name, container.wait(name))
                self._around.events.tell(self.pod, "BackOff", f"back-off restarting failed container {name}", warning=True)

    async def _prepare(self) -> None:
        """Network first: a volume may hold the Pod's address."""
        try:
            self.state = replace(self.state, address=await self._home.connect(self.pod))
            await self._home.furnish(self.pod)
        except (Blocked, ConfigError) as error:
            if time.time() - self.state.seen > WORTH_TELLING:
                self._around.events.tell(self.pod, "FailedMount", str(error), warning=True)
            self.state = replace(self.state, blocked=str(error))
            self._news.set()
            await asyncio.sleep(RETRY)
            return
        self.state = replace(self.state, prepared=True, blocked="")

    async def _give_up_preparing(self) -> None:
        """What waits for a volume must not keep the Pod from ending."""
        if (task := self._steps.get("")) is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        if not self.state.prepared and self._home.is_open:
            await self._clean()

    async def _start(self, name: str) -> None:
        container, spec = self.state.containers[name], spec_of(self.pod, name)
        begun = time.time()
        try:
            run = await starting.launch(self._home.room(self.pod), spec, container.runs)
        except Refused as refused:
            reason = starting.LONG if refused.reason == starting.SHORT and container.back_off else refused.reason
            self.state = self.state.put(name, container.refuse(reason, str(refused), time.time()))
            self._around.events.tell(self.pod, "Failed", str(refused), warning=True)
            return
        except StartError as error:
            how = Terminated(START_ERROR, "StartError", begun, time.time(), f"failed to start containerd task: {error}")
            self.state = self.state.put(name, container.start(begun, "").end(how))
            self._around.events.tell(self.pod, "Failed", f"{name}: {error}", warning=True)
            return
        self.runs[name] = run
        self.state = self.state.put(name, container.start(time.time(), run.identity))
        self._around.events.tell(self.pod, "Started", f"Container started: {name}")
        self._watch(self._end_of(name, run))
        if hook := spec.get("lifecycle", {}).get("postStart"):
            await stopping.call(hook, run)
        self._prober.begin(spec, run)

    def _watch(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._watches.add(task)
        task.add_done_callback(self._watches.discard)

    async def _end_of(self, name: str, run: Run) -> None:
        assert run.process is not None
        how = await run.process.ended
        self._prober.end(name)
        container = self.state.containers[name]
        begun = container.state.since if isinstance(container.state, Running) else time.time()
        said = stopping.message(run, how.code)
        reason = "Completed" if how.code == 0 else "Error"
        self.state = self.state.put(name, container.end(Terminated(how.code, reason, begun, time.time(), said, how.signal, run.identity)))
        self.runs.pop(name, None)
        await starting.sweep(self._home.folder, name, run.number)
        self._news.set()

    async def _stop(self, name: str) -> None:
        if (run := self.runs.get(name)) is not None:
            self._around.events.tell(self.pod, "Killing", f"Stopping container {name}{run.because and ': ' + run.because}")
            await stopping.stop(run, self.pod)

    def _probed(self, name: str, kind: str, holds: bool, said: str) -> None:
        """A probe has made up its mind."""
        container, run = self.state.containers[name], self.runs.get(name)
        if run is None or self.node.down:
            return
        if not holds:
            failed = f"{kind.removesuffix('Probe').capitalize()} probe of {name} failed: {said}"
            self._around.events.tell(self.pod, "Unhealthy", failed, warning=True)
        self.state = self.state.put(name, container.probed(kind, holds=holds, gated="readinessProbe" in run.spec))
        if not holds and kind != "readinessProbe":
            run.because = f"failed {kind.removesuffix('Probe')} probe, will be restarted"
            self._begin(name, self._stop(name))
        self._news.set()

    async def _clean(self) -> None:
        await self._home.close()
        self.state = replace(self.state, prepared=False)
        self._news.set()

    async def _remove(self) -> bool:
        """Ask for the Pod's removal once, and stay until it is gone: a finalizer of another's may keep it for a while."""
        if not self._removed and not self._forgotten:
            await report.remove(self._around.api, self.pod)
            self._removed = True
        return self._forgotten
