"""What stands before moto: each call is told apart, throttled, struck by faults, answered by moto under the lock, and put down."""

from __future__ import annotations

import io
import logging
import re
import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlsplit

from lab.aws import calls, identity, refusal
from lab.aws.calls import Call, CallLog
from lab.aws.exchange import Answer, Request
from lab.aws.faults import Fault, Faults
from lab.aws.throttle import Throttle
from lab.aws.world import World

log = logging.getLogger(__name__)

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

CODE = re.compile(rb"<Code>([^<]+)</Code>")
BROKEN = (500, "InternalError", "The lab's AWS broke on this call; its standard error has the traceback.")
UNKNOWN = (404, "InvalidAction", "The lab's AWS has no such service or action.")


class Front:
    """AWS's front door; callable from many threads."""

    def __init__(self, world: World, moto: Wsgi) -> None:
        self.world = world
        self.calls = CallLog()
        self.faults = Faults()
        self.throttle = Throttle()
        self.armed = False
        self._moto = moto

    def arm(self) -> None:
        """From now on signatures are checked and IAM's policies enforced."""
        self.armed = True

    def look_back(self) -> None:
        """Keep as much of the past as the faults in force ask for."""
        with self.world.lock:
            self.world.past.reach = self.faults.reach

    def __call__(self, request: Request) -> Answer | None:
        """Answer *request*, or None where a fault drops it."""
        started = time.time()
        environ = _environ(request)
        call = calls.identify(request, environ)
        try:
            answer: Answer | None = self._answer(request, call, environ)
        except _CutShortError as cut:
            answer = cut.answer
        self.calls.add(call, started, _outcome(answer))
        return _dated(answer, self.world.now()) if answer else None

    def _answer(self, request: Request, call: Call, environ: dict[str, Any]) -> Answer:
        refused = self._refuse(request, call)
        if refused:
            return refused
        if not self.throttle.allows(call, self.world.settings):
            return refusal.throttled(call.service)
        struck = self.faults.strike(call)
        for fault in struck:
            if fault.fault == "hold":
                self.faults.hold(fault)
            _before(fault, call)
        answer = self._ask(call, environ, max((fault.seconds for fault in struck if fault.fault == "stale"), default=0.0))
        for fault in struck:
            _after(fault)
        return answer

    def _refuse(self, request: Request, call: Call) -> Answer | None:
        if self.armed:
            with self.world.lock:
                return identity.refuse(request, call)
        return None if call.service else refusal.answer("", *UNKNOWN)

    def _ask(self, call: Call, environ: dict[str, Any], behind: float) -> Answer:
        """What moto says; *behind* seconds late where a describe is stale."""
        world = self.world
        with world.lock:
            world.later.settle()
            if call.writes:
                world.past.keep(time.monotonic())
            try:
                with world.past.shown(behind) if behind else nullcontext():
                    return _run(self._moto, environ)
            except Exception:
                # Moto raises where it knows no better; AWS would answer with a 500, and a server goes on.
                log.exception("%s:%s", call.service, call.action)
                return refusal.answer(call.service, *BROKEN)


class _CutShortError(Exception):
    """A fault ends the call: with *answer*, or without a word."""

    def __init__(self, answer: Answer | None) -> None:
        super().__init__()
        self.answer = answer


def _before(fault: Fault, call: Call) -> None:
    """What *fault* does before moto sees *call*."""
    match fault.fault:
        case "latency":
            time.sleep(fault.seconds)
        case "throttle":
            raise _CutShortError(refusal.throttled(call.service))
        case "error":
            raise _CutShortError(_error(fault, call))
        case "timeout-before":
            time.sleep(fault.seconds)
            raise _CutShortError(None)
        case "timeout-after-success" | "hold" | "stale":
            pass


def _after(fault: Fault) -> None:
    """What *fault* does once moto has answered."""
    if fault.fault == "timeout-after-success":
        time.sleep(fault.seconds)
        raise _CutShortError(None)


def _error(fault: Fault, call: Call) -> Answer:
    code = fault.code or ("InternalError" if call.service == "ec2" else "InternalFailure")
    status = fault.status or (400 if fault.code else 500)
    return refusal.answer(call.service, status, code, fault.message or "A fault that was ordered.")


def _dated(answer: Answer, now: datetime) -> Answer:
    """*answer* with the account's own time, by which its limits go."""
    kept = tuple((name, value) for name, value in answer.headers if name.lower() != "date")
    return replace(answer, headers=(*kept, ("Date", format_datetime(now.replace(tzinfo=UTC), usegmt=True))))


def _outcome(answer: Answer | None) -> tuple[int, str, str]:
    """Status, error code and request id; zero and nothing for a connection that was dropped."""
    if answer is None:
        return 0, "", ""
    code = CODE.search(answer.body) if answer.status >= 400 else None
    request_id = next((value for name, value in answer.headers if name.lower() == "x-amzn-requestid"), "")
    return answer.status, code[1].decode() if code else "", request_id


def _environ(request: Request) -> dict[str, Any]:
    """*request* as WSGI has it, which is how moto's server takes requests."""
    host = request.headers.get("Host", "localhost")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": request.path.encode().decode("latin-1"),
        "QUERY_STRING": request.query,
        "RAW_URI": request.target,
        "REQUEST_URI": request.target,
        "CONTENT_TYPE": request.headers.get("Content-Type", ""),
        "CONTENT_LENGTH": str(len(request.body)),
        "SERVER_NAME": urlsplit(f"//{host}").hostname or "localhost",
        "SERVER_PORT": str(urlsplit(f"//{host}").port or 80),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    named = {name.upper().replace("-", "_"): value for name, value in request.headers.items() if "_" not in name}
    return environ | {f"HTTP_{name}": value for name, value in named.items() if name not in {"CONTENT_TYPE", "CONTENT_LENGTH"}}


def _run(application: Wsgi, environ: dict[str, Any]) -> Answer:
    begun: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], _failure: Any = None) -> Callable[[bytes], None]:
        begun.append((status, headers))
        return lambda _: None

    chunks = application(environ, start_response)
    body = b"".join(chunks)
    if close := getattr(chunks, "close", None):
        close()
    status, headers = begun[-1]
    return Answer(int(status.split()[0]), tuple(headers), body)
