"""Requests to an API server: kept connections, sent again while that may help and can do no harm, refusals as ours.

It is urllib3 and not a client of Kubernetes or a larger HTTP library: AWS's own brings it, and a plan waits for every import.
"""

from __future__ import annotations

import random
import threading
import time
import urllib.request
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec
import urllib3
from urllib3 import exceptions

from providers.kubernetes import credentials
from providers.kubernetes.kubeconfig import HINT, Access
from reconciler import errors
from reconciler.ports import ObjectKind

PATIENCE = 60.0  # seconds for which a request is sent again while the API server is busy or cannot be reached
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
BUSY, BROKEN, UNKNOWN = 429, 500, 401
VERBS = {"GET": "read", "POST": "create", "PUT": "replace", "PATCH": "patch", "DELETE": "delete"}
_TIMEOUT = urllib3.Timeout(connect=5, read=30)
_CONNECTIONS = 16
_UNREACHED = "see whether the cluster runs and `kubernetes` in environment.yaml names it"
_UNSENT = (exceptions.NewConnectionError, exceptions.ConnectTimeoutError, exceptions.ProxyError, exceptions.SSLError)
_ACCEPT = {"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": "reconciler"}


@dataclass(frozen=True, slots=True)
class Target:
    """What a request is about: a kind, and perhaps one object of it."""

    kind: ObjectKind
    name: str = ""
    namespace: str = ""
    subresource: str = ""

    @property
    def path(self) -> str:
        version = self.kind.api_version
        root = f"apis/{version}" if "/" in version else f"api/{version}"
        within = f"namespaces/{self.namespace}" if self.kind.namespaced and self.namespace else ""
        return "/" + "/".join(part for part in (root, within, self.kind.plural, self.name, self.subresource) if part)

    def __str__(self) -> str:
        name = "/".join(part for part in (self.namespace, self.name) if part)
        return " ".join(part for part in (f"{self.subresource} of" if self.subresource else "", self.kind.kind, name) if part)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said."""

    status_code: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def is_success(self) -> bool:
        return 200 <= self.status_code < 300  # noqa: PLR2004 - HTTP's own numbers

    def json(self) -> Any:
        """The document; ValueError where it is none."""
        return msgspec.json.decode(self.content)


class Transport:
    """One API server with the credentials of *access*; may be used by many threads. Once *stop* is set, nothing is sent again."""

    def __init__(self, access: Access, patience: float, stop: threading.Event | None = None) -> None:
        self.server, self.patience, self.stop = access.cluster.server.rstrip("/"), patience, stop or threading.Event()
        self._credentials = credentials.Credentials(access)
        try:
            self._pool = _pool(access)
        except (OSError, ValueError, exceptions.HTTPError) as error:
            raise errors.UsageError(f"the credentials for {self.server} cannot be used: {error}", hint=HINT) from error

    def close(self) -> None:
        self._pool.clear()

    def send(self, verb: str, target: Target, *, tolerate: Collection[int] = (), **request: Any) -> Answer:
        """The server's answer: a success, or one of the statuses to *tolerate*. *request*: params, headers, and json or content."""
        deadline, pause = time.monotonic() + self.patience, FIRST_PAUSE
        while True:
            answer = self._try(lambda: self._answered(verb, target, **request), verb, target)
            if isinstance(answer, Answer) and (answer.is_success or answer.status_code in tolerate):
                return answer
            failed = answer if isinstance(answer, errors.ProviderError) else refusal(answer, verb, target)
            wait = max(_asked_to_wait(answer), pause * random.uniform(0.5, 1.5))  # noqa: S311 - spreads retries, guards nothing
            if not _again(verb, failed) or time.monotonic() + wait > deadline or self.stop.wait(wait):
                raise failed
            pause = min(pause * 2, LONGEST_PAUSE)

    def stream(self, target: Target, **request: Any) -> Iterator[bytes]:
        """The bytes of an answer as they come; not tried again."""
        with self._reached("GET", target):
            answer = self._asked("GET", target, streamed=True, **request)
            try:
                if not Answer(answer.status, answer.headers, b"").is_success:
                    raise refusal(Answer(answer.status, answer.headers, answer.read()), "GET", target)
                yield from answer.stream()
            finally:
                answer.release_conn()

    def _answered(self, verb: str, target: Target, **request: Any) -> Answer:
        answer = self._asked(verb, target, **request)
        return Answer(answer.status, answer.headers, answer.data)

    def _asked(
        self,
        verb: str,
        target: Target,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        content: bytes | None = None,
        streamed: bool = False,
    ) -> urllib3.BaseHTTPResponse:
        """One exchange; a second one where the token is no longer taken and another can be had."""
        url = f"{self.server}{target.path}{'?' + urlencode(params) if params else ''}"
        body = msgspec.json.encode(json) if json is not None else content
        named = {**_ACCEPT, **({"Content-Type": "application/json"} if json is not None else {}), **(headers or {})}
        header = self._credentials.header()
        answer = self._exchange(verb, url, body, _signed(named, header), streamed)
        if answer.status == UNKNOWN and self._credentials.renewable:
            answer.drain_conn()
            answer = self._exchange(verb, url, body, _signed(named, self._credentials.header(refused=header)), streamed)
        return answer

    def _exchange(self, verb: str, url: str, body: bytes | None, headers: Mapping[str, str], streamed: bool) -> urllib3.BaseHTTPResponse:
        return self._pool.request(verb, url, body=body, headers=headers, preload_content=not streamed, retries=False, redirect=False)

    def _try(self, send: Callable[[], Answer], verb: str, target: Target) -> Answer | errors.TransientError:
        try:
            with self._reached(verb, target):
                return send()
        except errors.TransientError as error:
            return error

    @contextmanager
    def _reached(self, verb: str, target: Target) -> Iterator[None]:
        try:
            yield
        except exceptions.HTTPError as error:
            code = "Unsent" if isinstance(error, _UNSENT) else type(error).__name__
            message = f"{self.server} could not be reached to {VERBS[verb]} {target}: {_brief(error)}"
            raise errors.TransientError(message, hint=_UNREACHED, code=code) from error
        except OSError as error:  # a token's file or the program that makes tokens is not there
            raise errors.UsageError(f"no credentials for {self.server}: {str(error)[:300]}", hint=HINT) from error


def _pool(access: Access) -> urllib3.PoolManager:
    """Connections to the cluster, through the proxy that it or the environment names."""
    cluster, host = access.cluster, urlsplit(access.cluster.server)
    settings: dict[str, Any] = {"maxsize": _CONNECTIONS, "timeout": _TIMEOUT, "ssl_context": credentials.context(access)}
    if cluster.server_name:
        settings |= {"server_hostname": cluster.server_name, "assert_hostname": cluster.server_name}
    outside = "" if urllib.request.proxy_bypass(host.netloc) else urllib.request.getproxies().get(host.scheme, "")
    proxy = cluster.proxy or outside
    return urllib3.ProxyManager(proxy, **settings) if proxy else urllib3.PoolManager(**settings)


def _signed(headers: Mapping[str, str], header: str | None) -> Mapping[str, str]:
    return {**headers, "Authorization": header} if header else headers


def _brief(error: exceptions.HTTPError) -> str:
    """What went wrong, without the pool that it went wrong in."""
    return str(error).rpartition(": ")[2][:300] or type(error).__name__


def refusal(answer: Answer, verb: str, target: Target) -> errors.ProviderError:
    """The server's own words as an error; for Secrets only its reason, since a message may repeat what was sent."""
    status = answer.status_code
    try:
        told = answer.json()
        reason, words = str(told.get("reason") or status), str(told.get("message") or "")
    except (ValueError, AttributeError):  # a proxy's page
        reason, words = str(status), ""
    text = f"Kubernetes refused to {VERBS[verb]} {target}: {reason}"
    if words and target.kind.kind != "Secret":
        text += f": {words[:500]}"
    made = errors.TransientError if status == BUSY or status >= BROKEN else errors.ProviderError
    return made(text, hint=_HINTS.get(status, ""), code=reason, status=status)


_HINTS = {401: f"signing in failed: {HINT}", 403: "the credentials in use may not do this: see their RBAC roles"}


def _again(verb: str, failed: errors.ProviderError) -> bool:
    """Whether to send again: never what creates, once it may have arrived."""
    return isinstance(failed, errors.TransientError) and (verb != "POST" or failed.status == BUSY or failed.code == "Unsent")


def _asked_to_wait(answer: Answer | errors.TransientError) -> float:
    """Seconds that a busy server asks for."""
    asked = answer.headers.get("Retry-After", "") if isinstance(answer, Answer) else ""
    return float(asked) if asked.isdigit() else 0.0
