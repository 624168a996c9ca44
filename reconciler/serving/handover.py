"""Applies that others planned, had approved and hand over: each is carried out once, in its turn, and can be asked about meanwhile.

They are kept in memory only. A client whose order was lost with its process runs `apply` again: what was done is then no longer planned.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from reconciler import errors
from reconciler.model.outcome import Blocked, Done, Failed, Outcome, Waiting

KEPT = 100  # orders that can still be asked about
What = Literal["start", "done", "failed"]
State = Literal["waiting", "applying", "applied", "refused"]
_ERRORS: dict[str, type[errors.ReconcilerError]] = {
    one.__name__: one
    for one in (errors.StalePlan, errors.UnsafePlanError, errors.LockHeld, errors.UsageError, errors.Interrupted, errors.TransientError)
}


class Wanted(TypedDict):
    """What is handed over: the plan of *digest*, made at *commit*, whose specs have the hash *tree*; narrowed to *services* if any."""

    environment: str
    commit: str
    tree: str
    digest: str
    services: list[str]
    allow_deletes: int | None
    allow_delete_data: bool


class Told(TypedDict):
    """How one thing ended, or why it has not."""

    outcome: Literal["done", "waiting", "blocked", "failed"]
    words: str
    retryable: NotRequired[bool]


class Refusal(TypedDict):
    """Why nothing was done."""

    kind: str
    message: str
    hint: str


class Standing(TypedDict):
    """How an order stands. *outcomes* are of the engine once it is through, and of members and components as they are now.

    *said* is what the engine has begun and done until now: address, what happened, words.
    """

    id: str
    state: State
    why: str
    refusal: Refusal | None
    outcomes: dict[str, Told]
    said: list[tuple[str, What, str]]


@dataclass(slots=True)
class Order:
    """One apply that was handed over; *why* it waits, and since when (*applied*) the engine is through with it."""

    id: str
    wanted: Wanted
    state: State = "waiting"
    why: str = "its turn comes"
    applied: float = 0.0
    refusal: Refusal | None = None
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    members: frozenset[str] = frozenset()  # services, and members that go, that are waited for
    not_before: float = 0.0
    said: list[tuple[str, What, str]] = field(default_factory=list)

    def put_off(self, why: str, until: float) -> None:
        """Its turn comes again."""
        self.state, self.why, self.not_before = "waiting", why, until

    def refuse(self, error: errors.ReconcilerError) -> None:
        self.refusal = {"kind": type(error).__name__, "message": error.message, "hint": error.hint}
        self.state = "refused"


class Desk:
    """The orders of this process, in the order in which they came."""

    def __init__(self) -> None:
        self._orders: dict[str, Order] = {}
        self._lock = threading.Lock()

    def take(self, wanted: Wanted) -> Order:
        """The order for *wanted*: the same for who asks again while it is open."""
        with self._lock:
            for order in self._orders.values():
                if order.wanted == wanted and order.state in {"waiting", "applying"}:
                    return order
            order = Order(secrets.token_hex(8), wanted)
            self._orders[order.id] = order
            for old in [one.id for one in self._orders.values() if one.state in {"applied", "refused"}][:-KEPT]:
                del self._orders[old]
            return order

    def find(self, id: str) -> Order | None:
        return self._orders.get(id)

    def next(self, now: float) -> Order | None:
        """The one whose turn it is."""
        with self._lock:
            return next((order for order in self._orders.values() if order.state == "waiting" and now >= order.not_before), None)


def wanted(document: Any) -> Wanted:
    """What a request asks for; UsageError where it is not written as it has to be."""
    texts = ("environment", "commit", "tree", "digest")
    if not isinstance(document, dict) or not all(isinstance(document.get(name), str) and document[name] for name in texts):
        raise errors.UsageError(f"an apply is handed over by {', '.join(texts)}, each a text", hint="see docs/explanation/serve.md")
    services, deletes = document.get("services", []), document.get("allow_deletes")
    if not isinstance(services, list) or not all(isinstance(one, str) for one in services):
        raise errors.UsageError("services is a list of names")
    data = document.get("allow_delete_data", False)
    if deletes is not None and type(deletes) is not int:
        raise errors.UsageError("allow_deletes is a whole number")
    if not isinstance(data, bool):
        raise errors.UsageError("allow_delete_data is true or false")
    told = {name: document[name] for name in texts}
    return {**told, "services": services, "allow_deletes": deletes, "allow_delete_data": data}  # type: ignore[typeddict-item]


def tell(outcome: Outcome) -> Told:
    match outcome:
        case Done():
            return {"outcome": "done", "words": ""}
        case Waiting(until):
            return {"outcome": "waiting", "words": until}
        case Blocked(by):
            return {"outcome": "blocked", "words": by}
        case Failed(message, retryable):
            return {"outcome": "failed", "words": message, "retryable": retryable}


def heard(told: Told) -> Outcome:
    """What *told* tells of; the other way round."""
    match told["outcome"]:
        case "done":
            return Done()
        case "waiting":
            return Waiting(told["words"])
        case "blocked":
            return Blocked(told["words"])
        case "failed":
            return Failed(told["words"], told.get("retryable", False))


def error(refusal: Refusal) -> errors.ReconcilerError:
    """The error that *refusal* was made from."""
    return _ERRORS.get(refusal["kind"], errors.ProviderError)(refusal["message"], hint=refusal["hint"])
