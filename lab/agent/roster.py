"""All Pods of the lab's nodes: a worker each, from the moment a Pod is bound to its node until nothing is left of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from functools import partial

from lab.agent.api import Mirror
from lab.agent.home import Surroundings
from lab.agent.nodes import Node, Nodes
from lab.agent.state import Json, fresh, resume
from lab.agent.worker import Worker

RENEW = 300.0


class Roster:
    """The workers by uid of their Pods."""

    def __init__(self, around: Surroundings, nodes: Nodes) -> None:
        self._around = around
        self._nodes = nodes
        self.workers: dict[str, Worker] = {}
        self._refreshing: set[asyncio.Task[None]] = set()
        self.mirror = Mirror(around.api, "/api/v1/pods", self._changed, fieldSelector="spec.nodeName!=")
        self.sources = [Mirror(around.api, f"/api/v1/{kind}", partial(self._source_changed, kind)) for kind in ("configmaps", "secrets")]

    def node_came(self, node: Node) -> None:
        """Take on the Pods that were bound to *node* before it was known, or before it was off."""
        for pod in list(self.mirror.objects.values()):
            if pod["spec"].get("nodeName") == node.name:
                self._hire(pod)

    async def node_went(self, node: Node) -> None:
        """The node is off: end every process of it, and tell nobody."""
        workers = list(self.of_node(node.name))
        await asyncio.gather(*(worker.cut() for worker in workers))
        for worker in workers:
            self.workers.pop(worker.pod["metadata"]["uid"], None)

    async def refresh(self) -> None:
        """Renew the tokens in Pods' volumes, for ever."""
        while True:
            await asyncio.sleep(RENEW)
            for worker in list(self.workers.values()):
                await worker.refresh()

    def _source_changed(self, kind: str, _before: Json | None, after: Json | None) -> None:
        """A ConfigMap or Secret has changed: so do the volumes that are made of it."""
        if after is None:
            return
        for worker in self.workers.values():
            if worker.pod["metadata"]["namespace"] == after["metadata"]["namespace"]:
                task = asyncio.create_task(worker.refresh(kind, after["metadata"]["name"]))
                self._refreshing.add(task)
                task.add_done_callback(self._refreshing.discard)

    def of_node(self, node: str) -> Iterator[Worker]:
        yield from (worker for worker in self.workers.values() if worker.node.name == node)

    def find(self, namespace: str, pod: str) -> Worker | None:
        """The worker of a Pod by name; of two, the younger."""
        found = [worker for worker in self.workers.values() if worker.label == f"{namespace}/{pod}"]
        return found[-1] if found else None

    def _changed(self, before: Json | None, after: Json | None) -> None:
        if before and (after is None or after["metadata"]["uid"] != before["metadata"]["uid"]):
            worker = self.workers.get(before["metadata"]["uid"])
            if worker:
                worker.forget()
        if after is None:
            return
        worker = self.workers.get(after["metadata"]["uid"])
        if worker:
            worker.update(after)
        else:
            self._hire(after)

    def _hire(self, pod: Json) -> None:
        node, uid = self._nodes.get(pod["spec"].get("nodeName", "")), pod["metadata"]["uid"]
        if node is None or node.is_off or uid in self.workers:
            return
        now = time.time()
        known = pod.get("status", {}).get("containerStatuses")
        worker = self.workers[uid] = Worker(self._around, node, pod, resume(pod, now) if known else fresh(pod, now))
        worker.begin()
        assert worker.task is not None
        worker.task.add_done_callback(lambda _: self._dismiss(uid, worker))

    def _dismiss(self, uid: str, worker: Worker) -> None:
        if self.workers.get(uid) is worker:
            del self.workers[uid]
