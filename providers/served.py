"""A running `serve` as its clients reach it: behind a Service, through the API server's proxy and with its credentials, or by a URL."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

import urllib3

from reconciler import errors

TIMEOUT = urllib3.Timeout(connect=5, read=30)
_MISSING, _UNKNOWN, _BUSY = 404, 401, 500
HINT = "see whether `serve` runs, and `api` in environment.yaml; `apply --allow-unattended` does the work itself"


class Proxied(Protocol):
    """What asks a Service through the API server."""

    def proxied(
        self, namespace: str, service: str, verb: str, path: str, *, json: Any, headers: Mapping[str, str]
    ) -> tuple[int, bytes]: ...


@dataclass(frozen=True, slots=True)
class Served:
    """The API at *url*, `kubernetes://<namespace>/<service>[:<port>]` or `http[s]://…`; *token* is asked for when it is needed."""

    url: str
    cluster: Proxied
    token: Callable[[], str]

    def hand_over(self, path: str, document: Mapping[str, Any]) -> Any:
        """What is answered to *document*."""
        return self._asked("POST", path, document)

    def look(self, path: str) -> Any:
        """What lies at *path*; None where nothing does any more."""
        return self._asked("GET", path)

    def _asked(self, verb: str, path: str, document: Mapping[str, Any] | None = None) -> Any:
        status, body = self._send(verb, path, document, {"X-Reconciler-Token": self.token()})
        if status == _MISSING and verb == "GET":
            return None
        try:
            answer = json.loads(body)
        except ValueError:
            answer = {}
        if 200 <= status < 300 and answer:  # noqa: PLR2004 - HTTP's own numbers
            return answer
        told = answer.get("message") if isinstance(answer, dict) else ""
        made = errors.TransientError if status >= _BUSY else errors.ProviderError
        hint = "its token is the Secret `reconciler-api` of the environment's namespace" if status == _UNKNOWN else HINT
        raise made(f"{self.url} answered {status} to {verb} {path}: {str(told)[:300] or 'nothing'}", hint=hint, status=status)

    def _send(self, verb: str, path: str, document: Any, headers: Mapping[str, str]) -> tuple[int, bytes]:
        parts = urlsplit(self.url)
        if parts.scheme == "kubernetes":
            return self.cluster.proxied(parts.netloc, parts.path.strip("/"), verb, path, json=document, headers=headers)
        sent = {"Content-Type": "application/json", **headers}
        body = json.dumps(document).encode() if document is not None else None
        try:
            with urllib3.PoolManager(timeout=TIMEOUT) as pool:
                answer = pool.request(verb, f"{self.url.rstrip('/')}{path}", body=body, headers=sent, retries=False, redirect=False)
                return answer.status, answer.data
        except urllib3.exceptions.HTTPError as error:
            told = str(error).rpartition(": ")[2][:300]
            raise errors.TransientError(f"{self.url} could not be reached: {told}", hint=HINT) from error
