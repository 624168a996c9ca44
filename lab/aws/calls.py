"""Who called what, when, with which outcome: told from a request's signature and form, kept for tests that count."""

from __future__ import annotations

import itertools
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import parse_qs

from moto.core.request import Request as MotoRequest
from moto.core.routing import get_service_router
from moto.iam.models import iam_backends
from werkzeug.exceptions import HTTPException

from lab.aws.exchange import Request

CREDENTIAL = re.compile(r"Credential=(?P<key>[^/]+)/\d+/[^/]+/(?P<service>[^/]+)/aws4_request")
READS = re.compile(r"^(Describe|List|Get|Search|Test|AssumeRole|Simulate)")
PAGED = re.compile(r"^(MaxResults$|NextToken$|Filter\.|\w+Id\.)")
KEPT = 100_000


@dataclass(frozen=True, slots=True)
class Call:
    """One call: *writes* when its action may change something, *paged* when it asks for a part (a page, a filter, ids).

    *agent* is what the client calls itself.
    """

    service: str
    action: str
    user: str
    access_key: str
    writes: bool
    paged: bool
    body: str
    agent: str = ""


def identify(request: Request, environ: dict[str, Any]) -> Call:
    """Whose call *request* is and to what. An unsigned one has no service."""
    signed = CREDENTIAL.search(request.headers.get("Authorization", ""))
    service, key = (signed["service"], signed["key"]) if signed else ("", "")
    body = request.body.decode("utf-8", "replace")
    form = parse_qs(body, keep_blank_values=True) if service != "route53" else {}
    agent = request.headers.get("User-Agent", "")
    action = _routed(environ) if service == "route53" else form.get("Action", [""])[0]
    return Call(service, action, _user(key), key, not READS.match(action), any(PAGED.match(name) for name in form), body, agent)


def _routed(environ: dict[str, Any]) -> str:
    try:
        return str(get_service_router("route53").match(MotoRequest(environ))[0].name)
    except (HTTPException, NotImplementedError):
        return ""


def _user(key: str) -> str:
    """The IAM user whose access key *key* is; empty for a made-up one."""
    for account in list(iam_backends.values()):
        for backend in list(account.values()):
            for user in list(backend.users.values()):
                if any(each.access_key_id == key for each in user.access_keys):
                    return str(user.name)
    return ""


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the log. *status* is 0 and *code* empty where the connection was dropped without a word."""

    id: int
    at: float
    service: str
    action: str
    user: str
    access_key: str
    writes: bool
    status: int
    code: str
    request_id: str
    seconds: float


class CallLog:
    """All calls since the last reset, the last hundred thousand of them in full; *told* hears of each one as well."""

    def __init__(self, told: Callable[[Call, str], None] = lambda _call, _code: None) -> None:
        self._told = told
        self._lock = threading.Lock()
        self._number = itertools.count(1)
        self.reset()

    def reset(self) -> None:
        """Forget every call."""
        with self._lock:
            self._log: list[Entry] = []

    def add(self, call: Call, started: float, outcome: tuple[int, str, str]) -> None:
        """Put *call* down, which began at *started* and ended with a status, an error code and a request id."""
        status, code, request_id = outcome
        with self._lock:
            self._told(call, code)
            entry = Entry(
                id=next(self._number),
                at=started,
                service=call.service,
                action=call.action,
                user=call.user,
                access_key=call.access_key,
                writes=call.writes,
                status=status,
                code=code,
                request_id=request_id,
                seconds=round(time.time() - started, 6),
            )
            self._log.append(entry)
            del self._log[:-KEPT]

    def read(self, wanted: dict[str, str]) -> dict[str, Any]:
        """The calls whose fields are as *wanted*, and counts a user and action: `{"total", "counts": {user: {action: n}}, "calls"}`."""
        with self._lock:
            calls = [asdict(entry) for entry in self._log if all(str(getattr(entry, name)) == value for name, value in wanted.items())]
        counts: dict[str, Counter[str]] = {}
        for call in calls:
            counts.setdefault(call["user"], Counter())[f"{call['service']}:{call['action']}"] += 1
        return {"total": len(calls), "counts": counts, "calls": calls}
