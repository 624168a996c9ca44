"""The API server as the agent needs it: a few JSON requests, and mirrors of collections kept by list and watch."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Self

import httpx2 as httpx
from lightkube.config import client_adapter, kubeconfig

from lab.agent.state import Json

GONE, NOT_FOUND, CONFLICT = 410, 404, 409
MERGE, STRATEGIC = "application/merge-patch+json", "application/strategic-merge-patch+json"
WATCH_FOR = 290  # seconds; the server ends a watch anyway after a few minutes
PAUSE = 0.5

_log = logging.getLogger(__name__)


class ApiError(Exception):
    """What the API server answered instead."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Api:
    """Requests to one API server."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    @classmethod
    def connect(cls, config: Path) -> Self:
        """With the credentials of the kubeconfig file *config*."""
        single = kubeconfig.KubeConfig.from_file(config).get()
        if single is None:
            raise ValueError(f"{config} names no current context; set one with kubectl config use-context")
        parameters = client_adapter.ConnectionParams(timeout=httpx.Timeout(15), trust_env=False)
        return cls(client_adapter.AsyncClient(single, parameters))

    async def close(self) -> None:
        await self._client.aclose()

    async def get(self, path: str, **query: str) -> Json:
        return await self._ask("GET", path, query=query)

    async def find(self, path: str) -> Json | None:
        """The object at *path*; None where there is none."""
        try:
            return await self.get(path)
        except ApiError as error:
            if error.status == NOT_FOUND:
                return None
            raise

    async def post(self, path: str, body: Json) -> Json:
        return await self._ask("POST", path, body)

    async def patch(self, path: str, body: Json, kind: str = MERGE) -> Json:
        return await self._ask("PATCH", path, body, kind)

    async def delete(self, path: str, body: Json | None = None) -> Json:
        return await self._ask("DELETE", path, body)

    async def watch(self, path: str, version: str, query: dict[str, str]) -> AsyncIterator[Json]:
        """The events of a collection after *version*, until the server ends the watch."""
        parameters = query | {"watch": "true", "resourceVersion": version, "allowWatchBookmarks": "true", "timeoutSeconds": str(WATCH_FOR)}
        timeout = httpx.Timeout(15, read=WATCH_FOR + 30)
        async with self._client.stream("GET", path, params=parameters, timeout=timeout) as answer:
            if answer.status_code != httpx.codes.OK:
                raise ApiError(answer.status_code, (await answer.aread()).decode(errors="replace"))
            async for line in answer.aiter_lines():
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise ApiError(event["object"].get("code", 0), event["object"].get("message", ""))
                yield event

    async def _ask(
        self, method: str, path: str, body: Json | None = None, kind: str = "application/json", query: dict[str, str] | None = None
    ) -> Json:
        content = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": kind} if content else {}
        answer = await self._client.request(method, path, content=content, headers=headers, params=query)
        if answer.is_error:
            raise ApiError(answer.status_code, _message(answer))
        found: Json = answer.json()
        return found


def _message(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["message"])
    except (ValueError, KeyError):
        return f"{answer.status_code}: {answer.text[:300]}"


Changed = Callable[[Json | None, Json | None], None]


class Mirror:
    """A collection kept fresh. *changed* is told of each change: the object before and after (None: not there)."""

    def __init__(self, api: Api, path: str, changed: Changed | None = None, **query: str) -> None:
        self._api = api
        self._path = path
        self._changed = changed
        self._query: dict[str, str] = query
        self.objects: dict[str, Json] = {}
        self.synced = asyncio.Event()

    def get(self, name: str, namespace: str = "") -> Json | None:
        return self.objects.get(f"{namespace}/{name}")

    async def run(self) -> None:
        """Follow the collection for ever: list, watch, and list again when the server says that too much was missed."""
        version = ""
        while True:
            try:
                version = version or await self._list()
                async for event in self._api.watch(self._path, version, self._query):
                    version = event["object"]["metadata"]["resourceVersion"]
                    if event["type"] != "BOOKMARK":
                        self._put(event["object"], gone=event["type"] == "DELETED")
            except ApiError as error:
                _log.info("%s: %s; listing again", self._path, error)
                version = ""
                await asyncio.sleep(PAUSE)
            except (httpx.HTTPError, ValueError) as error:
                _log.info("%s: %s: %s; watching on", self._path, type(error).__name__, error)
                await asyncio.sleep(PAUSE)

    async def _list(self) -> str:
        answer = await self._api.get(self._path, **self._query)
        found = {_key(one): one for one in answer["items"]}
        for missed in [one for key, one in self.objects.items() if key not in found]:
            self._put(missed, gone=True)
        for one in found.values():
            self._put(one, gone=False)
        self.synced.set()
        return str(answer["metadata"]["resourceVersion"])

    def _put(self, one: Json, *, gone: bool) -> None:
        key = _key(one)
        before = self.objects.pop(key, None)
        if not gone:
            self.objects[key] = one
        if self._changed and (gone or before is None or before["metadata"]["resourceVersion"] != one["metadata"]["resourceVersion"]):
            self._changed(before or (one if gone else None), None if gone else one)


def _key(one: Json) -> str:
    metadata: dict[str, Any] = one["metadata"]
    return f"{metadata.get('namespace', '')}/{metadata['name']}"


def pod_path(pod: Json) -> str:
    metadata = pod["metadata"]
    return f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
