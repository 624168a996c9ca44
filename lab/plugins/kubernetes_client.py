"""Part of the stand-in `kubernetes` plugin: an API server spoken to in JSON over kept connections.

lightkube would do it too, for 0.14 CPU-seconds at each start; a handful of verbs need no models.
"""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lab.plugins import kubernetes_config
from lab.plugins.kubernetes_config import Target, Unreachable
from lab.plugins.provider import Refused

_SECONDS = 60.0
Object = dict[str, Any]


class ApiError(Refused):
    """The API server said no, in its own words."""

    def __init__(self, status: Mapping[str, Any], code: int) -> None:
        super().__init__(str(status.get("message") or f"the server answered {code}"))
        self.code = code
        self.reason = str(status.get("reason") or "")
        self.details: Mapping[str, Any] = status.get("details") or {}

    @property
    def no_namespace(self) -> bool:
        """Whether it is the object's namespace that is missing."""
        return self.code == http.client.NOT_FOUND and self.details.get("kind") == "namespaces"


class NoMatch(Refused):
    """The API server has no such kind; perhaps its definition is yet to come."""

    def __init__(self, api_version: str, kind: str) -> None:
        super().__init__(f'no matches for kind "{kind}" in version "{api_version}"')


@dataclass(frozen=True, slots=True)
class Place:
    """The resource that holds objects of a kind."""

    api_version: str
    plural: str
    namespaced: bool

    @property
    def group(self) -> str:
        return self.api_version.rpartition("/")[0]

    @property
    def title(self) -> str:
        """As the API server names it in errors: `statefulsets.apps`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str, name: str) -> str:
        """The address of one object."""
        within = f"/namespaces/{namespace}" if self.namespaced else ""
        return f"{_root(self.api_version)}{within}/{self.plural}/{urllib.parse.quote(name)}"


@dataclass(slots=True)
class Client:
    """Calls of one identity to one API server, from many threads."""

    target: Target
    _tls: ssl.SSLContext | None = None
    _headers: dict[str, str] = field(default_factory=dict)
    _idle: list[http.client.HTTPConnection] = field(default_factory=list)
    _places: dict[tuple[str, str], Place] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        if self.target.server.startswith("https:"):
            self._tls = kubernetes_config.tls(self.target)
        if token := kubernetes_config.token(self.target):
            self._headers["Authorization"] = f"Bearer {token}"

    def place(self, api_version: str, kind: str) -> Place:
        """Where objects of a kind lie, as the API server's discovery says."""
        with self._lock:
            known = self._places.get((api_version, kind))
        return known or self._discovered(api_version, kind)

    def get(self, place: Place, namespace: str, name: str) -> Object | None:
        """The object, or None where there is none."""
        try:
            return self.call("GET", place.path(namespace, name))
        except ApiError as error:
            if error.code == http.client.NOT_FOUND:
                return None
            raise

    def apply(self, place: Place, wanted: Object, fields: Fields) -> Object:
        """Server-side apply of *wanted*; a dry run answers what would become of it."""
        metadata = wanted["metadata"]
        query = {"fieldManager": fields.owner, "force": str(fields.force).lower(), **({"dryRun": "All"} if fields.dry_run else {})}
        path = place.path(metadata.get("namespace") or "", metadata["name"])
        return self.call("PATCH", f"{path}?{urllib.parse.urlencode(query)}", wanted, "application/apply-patch+yaml")

    def call(self, method: str, path: str, body: Object | None = None, kind: str = "application/json") -> Object:
        """One request; a kept connection that has gone stale is tried anew once."""
        sent = json.dumps(body).encode() if body is not None else None
        headers = {"Accept": "application/json", **self._headers, **({"Content-Type": kind} if sent else {})}
        code, answer = self._exchange(method, path, sent, headers)
        try:
            document: Object = json.loads(answer) if answer else {}
        except ValueError:
            document = {"message": answer.decode(errors="replace").strip()}
        if code >= http.client.MULTIPLE_CHOICES:
            raise ApiError(document, code)
        return document

    def _exchange(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> tuple[int, bytes]:
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        if connection is not None:
            try:
                return self._on(connection, method, path, body, headers)
            except (OSError, http.client.HTTPException):
                connection.close()
        fresh = self._connect()
        try:
            return self._on(fresh, method, path, body, headers)
        except (OSError, http.client.HTTPException) as error:
            fresh.close()
            raise Unreachable(f"{self.target.server}: {error}") from error

    def _on(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        connection.request(method, path, body, dict(headers))
        answer = connection.getresponse()
        text = answer.read()
        if answer.will_close:
            connection.close()
        else:
            with self._lock:
                self._idle.append(connection)
        return answer.status, text

    def _connect(self) -> http.client.HTTPConnection:
        address = urllib.parse.urlsplit(self.target.server)
        if self._tls is None:
            return http.client.HTTPConnection(address.hostname or "", address.port, timeout=_SECONDS)
        return http.client.HTTPSConnection(address.hostname or "", address.port, timeout=_SECONDS, context=self._tls)

    def _discovered(self, api_version: str, kind: str) -> Place:
        try:
            resources = self.call("GET", _root(api_version)).get("resources") or ()
        except ApiError as error:
            if error.code == http.client.NOT_FOUND:
                raise NoMatch(api_version, kind) from error
            raise
        found = {
            (api_version, str(one["kind"])): Place(api_version, str(one["name"]), bool(one["namespaced"]))
            for one in resources
            if "/" not in one["name"]
        }
        with self._lock:
            self._places.update(found)
        if (api_version, kind) not in found:
            raise NoMatch(api_version, kind)
        return found[api_version, kind]


@dataclass(frozen=True, slots=True)
class Fields:
    """How an apply owns fields: under which name, whether it may take them from others, and whether it only asks."""

    owner: str
    force: bool
    dry_run: bool = False


def _root(api_version: str) -> str:
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
