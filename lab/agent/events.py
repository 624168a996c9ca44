"""Kubernetes Events about Pods: told in passing, never waited for, each thing said at most once in a while."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid

import httpx2 as httpx

from lab.agent.api import Api, ApiError
from lab.agent.clock import stamp
from lab.agent.state import Json

QUIET = 60.0

_log = logging.getLogger(__name__)


class Events:
    """Writes Events."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._said: dict[tuple[str, str, str], float] = {}
        self._sending: set[asyncio.Task[None]] = set()

    def tell(self, pod: Json, reason: str, message: str, *, warning: bool = False) -> None:
        """Say *message* of the Pod, unless it was just said."""
        key, now = (pod["metadata"]["uid"], reason, message), time.monotonic()
        if now - self._said.get(key, -QUIET) < QUIET:
            return
        self._said = {old: when for old, when in self._said.items() if now - when < QUIET} | {key: now}
        task = asyncio.create_task(self._send(_event(pod, reason, message, warning=warning)))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send(self, event: Json) -> None:
        try:
            await self._api.post(f"/api/v1/namespaces/{event['metadata']['namespace']}/events", event)
        except (ApiError, httpx.HTTPError) as error:
            _log.info("an event was lost: %s", error)


def _event(pod: Json, reason: str, message: str, *, warning: bool) -> Json:
    metadata, now = pod["metadata"], stamp(time.time())
    about = {"apiVersion": "v1", "kind": "Pod", **{key: metadata[key] for key in ("name", "namespace", "uid", "resourceVersion")}}
    return {
        "metadata": {"name": f"{metadata['name']}.{uuid.uuid4().hex[:16]}", "namespace": metadata["namespace"]},
        "involvedObject": about,
        "reason": reason,
        "message": message[:1024],
        "type": "Warning" if warning else "Normal",
        "source": {"component": "kubelet", "host": pod["spec"].get("nodeName", "")},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
