"""Requests to an API server: signed in by lightkube's client, sent again while that may help and can do no harm, refusals as ours."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
from lightkube.config.client_adapter import Client, ConnectionParams
from lightkube.config.kubeconfig import SingleConfig
from lightkube.core.exceptions import ConfigError

from providers.kubernetes.kubeconfig import HINT
from reconciler import errors
from reconciler.ports import ObjectKind

PATIENCE = 60.0  # seconds for which a request is sent again while the API server is busy or cannot be reached
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
BUSY, BROKEN = 429, 500
VERBS = {"GET": "read", "POST": "create", "PUT": "replace", "PATCH": "patch", "DELETE": "delete"}
_TIMEOUT = httpx2.Timeout(30, connect=5)
_UNREACHED = "see whether the cluster runs, and whether `kubernetes` in environment.yaml names it"
_UNSENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)


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


class Transport:
    """One API server with the credentials of *config*; may be used by many threads."""

    def __init__(self, config: SingleConfig, patience: float) -> None:
        self.server, self.patience = config.cluster.server, patience
        try:
            self._http = Client(config, ConnectionParams(timeout=_TIMEOUT))
        except (ConfigError, OSError, ValueError) as error:
            raise errors.UsageError(f"the credentials for {self.server} cannot be used: {error}", hint=HINT) from error

    def close(self) -> None:
        self._http.close()

    def send(self, verb: str, target: Target, *, tolerate: Collection[int] = (), **request: Any) -> httpx2.Response:
        """The server's answer: a success, or one of the statuses to *tolerate*."""
        deadline, pause = time.monotonic() + self.patience, FIRST_PAUSE
        while True:
            answer = self._try(lambda: self._http.request(verb, target.path, **request), verb, target)
            if isinstance(answer, httpx2.Response) and (answer.is_success or answer.status_code in tolerate):
                return answer
            failed = answer if isinstance(answer, errors.ProviderError) else refusal(answer, verb, target)
            wait = max(_asked_to_wait(answer), pause * random.uniform(0.5, 1.5))  # noqa: S311 - spreads retries, guards nothing
            if not _again(verb, failed) or time.monotonic() + wait > deadline:
                raise failed
            time.sleep(wait)
            pause = min(pause * 2, LONGEST_PAUSE)

    def stream(self, target: Target, **request: Any) -> Iterator[bytes]:
        """The bytes of an answer as they come; not tried again."""
        with self._reached("GET", target), self._http.stream("GET", target.path, **request) as answer:
            if not answer.is_success:
                answer.read()
                raise refusal(answer, "GET", target)
            yield from answer.iter_bytes()

    def _try(self, send: Callable[[], httpx2.Response], verb: str, target: Target) -> httpx2.Response | errors.TransientError:
        try:
            with self._reached(verb, target):
                return send()
        except errors.TransientError as error:
            return error

    @contextmanager
    def _reached(self, verb: str, target: Target) -> Iterator[None]:
        try:
            yield
        except httpx2.TransportError as error:
            code = "Unsent" if isinstance(error, _UNSENT) else type(error).__name__
            message = f"{self.server} could not be reached to {VERBS[verb]} {target}: {error or type(error).__name__}"
            raise errors.TransientError(
                message, hint="see whether the cluster runs and `kubernetes` in environment.yaml names it", code=code
            ) from error
        except (ConfigError, OSError) as error:  # a token's file or the program that makes tokens is not there
            raise errors.UsageError(f"no credentials for {self.server}: {str(error)[:300]}", hint=HINT) from error


def refusal(answer: httpx2.Response, verb: str, target: Target) -> errors.ProviderError:
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


def _asked_to_wait(answer: httpx2.Response | errors.TransientError) -> float:
    """Seconds that a busy server asks for."""
    asked = answer.headers.get("Retry-After", "") if isinstance(answer, httpx2.Response) else ""
    return float(asked) if asked.isdigit() else 0.0
