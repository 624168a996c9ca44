"""The lab's own switches, under /lab/ on the same port. Nothing protects them but that a lab is reached from its own machine only."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import asdict
from typing import Any
from urllib.parse import parse_qsl

from lab.aws import faults, zones
from lab.aws.exchange import Answer, Request, as_json
from lab.aws.front import Front

PATIENCE = 60.0
Query = dict[str, str]


class Control:
    """Answers what is the lab's, leaves the rest to AWS's front."""

    def __init__(self, front: Front) -> None:
        self._front = front
        self._routes: dict[tuple[str, str], Callable[[Query, dict[str, Any]], Any]] = {
            ("GET", "/healthz"): lambda _query, _body: {"ok": True, "armed": front.armed},
            ("POST", "/lab/arm-iam"): self._arm,
            ("GET", "/lab/faults"): lambda _query, _body: {"faults": front.faults.read()},
            ("POST", "/lab/faults"): self._order,
            ("DELETE", "/lab/faults"): self._lift,
            ("GET", "/lab/calls"): lambda query, _body: front.calls.read(query),
            ("POST", "/lab/calls/reset"): self._reset,
            ("GET", "/lab/events"): self._events,
            ("GET", "/lab/zones"): lambda _query, _body: {"zones": zones.read(front.world)},
            ("GET", "/lab/settings"): lambda _query, _body: asdict(front.world.settings),
            ("POST", "/lab/settings"): self._set,
        }

    def __call__(self, request: Request) -> Answer | None:
        """Answer *request*."""
        if not re.match(r"/(lab/|healthz$|moto-api)", request.path):
            return self._front(request)
        route = self._routes.get((request.method, request.path))
        if route is None:
            known = ", ".join(f"{method} {path}" for method, path in self._routes)
            return as_json({"error": f"no such switch: {request.method} {request.path}; there are {known}"}, 404)
        try:
            return as_json(route(dict(parse_qsl(request.query, keep_blank_values=True)), json.loads(request.body or b"{}")))
        except (ValueError, TypeError, AttributeError) as error:
            return as_json({"error": f"{request.method} {request.path}: {error}"}, 400)

    def _arm(self, _query: Query, _body: dict[str, Any]) -> Any:
        self._front.arm()
        return {"armed": True}

    def _order(self, _query: Query, body: dict[str, Any]) -> Any:
        number = self._front.faults.add(faults.parse(body))
        self._front.look_back()
        return {"id": number}

    def _lift(self, query: Query, _body: dict[str, Any]) -> Any:
        self._front.faults.clear(int(query["id"]) if "id" in query else None)
        self._front.look_back()
        return {"faults": self._front.faults.read()}

    def _reset(self, _query: Query, _body: dict[str, Any]) -> Any:
        self._front.calls.reset()
        return {"total": 0}

    def _events(self, query: Query, _body: dict[str, Any]) -> Any:
        patience = min(float(query.get("timeout", 0)), PATIENCE)
        return {"events": self._front.world.events.after(int(query.get("after", 0)), patience)}

    def _set(self, _query: Query, body: dict[str, Any]) -> Any:
        with self._front.world.lock:
            self._front.world.settings = self._front.world.settings.changed(body)
            return asdict(self._front.world.settings)
