"""Requests → one call → an answer, without a word of HTTP's own machinery: the paths, who may use them, and what they tell."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from reconciler import errors
from reconciler.ports import Clock
from reconciler.serving import handover, health, orders
from reconciler.serving.handover import Desk, Order, Standing
from reconciler.serving.post import Post
from reconciler.serving.tend import Tenders

TOKEN = "X-Reconciler-Token"  # noqa: S105 - a header's name; the API server's proxy keeps `Authorization` to itself
APPLY = "/v1/apply"
LONGEST = 65_536  # bytes of a request's body


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, and a document as JSON; a text as it is."""

    status: HTTPStatus
    document: Any

    @property
    def body(self) -> bytes:
        return self.document.encode() if isinstance(self.document, str) else json.dumps(self.document).encode()


@dataclass(frozen=True, slots=True)
class Routes:
    """What a process that serves answers. Without a *desk* (it has not the role `api`) it tells of its health alone."""

    posts: Iterable[Post]
    clock: Clock
    tenders: Tenders
    desk: Desk | None
    token: Callable[[], str]

    def get(self, path: str, token: str) -> Answer:
        """Answer a GET; *token* is what the caller shows."""
        match path.partition("?")[0]:
            case "/healthz":
                return Answer(HTTPStatus.OK, "ok\n")
            case "/readyz":
                found = health.ready(self.posts, self.clock.monotonic())
                return Answer(HTTPStatus.OK if found["ready"] else HTTPStatus.SERVICE_UNAVAILABLE, found)
            case other if self.desk and other.startswith(f"{APPLY}/"):
                return self._known(token) or self._standing(self.desk.find(other.removeprefix(f"{APPLY}/")))
        return _nothing(path)

    def post(self, path: str, token: str, body: bytes) -> Answer:
        """Answer a POST."""
        if self.desk is None or path != APPLY:
            return _nothing(path)
        if refused := self._known(token):
            return refused
        try:
            order = self.desk.take(handover.wanted(json.loads(body)))
        except ValueError as error:
            return _refused(HTTPStatus.BAD_REQUEST, f"the body is no JSON: {error}")
        except errors.UsageError as error:
            return _refused(HTTPStatus.BAD_REQUEST, error.message, error.hint)
        return Answer(HTTPStatus.ACCEPTED, _tell(order, self.tenders))

    def _known(self, token: str) -> Answer | None:
        """Why the caller may not; None for who shows the token."""
        try:
            if token and hmac.compare_digest(token.encode(), self.token().encode()):
                return None
        except errors.ProviderError as error:
            return _refused(HTTPStatus.SERVICE_UNAVAILABLE, f"the token of this API cannot be read: {error.message}", error.hint)
        return _refused(HTTPStatus.UNAUTHORIZED, f"the header {TOKEN} does not hold the token of this environment's API")

    def _standing(self, order: Order | None) -> Answer:
        if order is None:
            return _refused(HTTPStatus.NOT_FOUND, "no such apply is known: the server may have been started anew", "run apply again")
        return Answer(HTTPStatus.OK, _tell(order, self.tenders))


def _tell(order: Order, tenders: Tenders) -> Standing:
    return {
        "id": order.id,
        "state": order.state,
        "why": order.why if order.state == "waiting" else "",
        "refusal": order.refusal,
        "outcomes": {name: handover.tell(outcome) for name, outcome in sorted(orders.outcomes(order, tenders).items())},
        "said": list(order.said),
    }


def _nothing(path: str) -> Answer:
    return _refused(HTTPStatus.NOT_FOUND, f"there is nothing at {path}")


def _refused(status: HTTPStatus, message: str, hint: str = "") -> Answer:
    return Answer(status, {"message": message, "hint": hint})
