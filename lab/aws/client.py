"""The lab's own switches as functions, for tests and the lab; nothing but the standard library."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from lab.aws.faults import Kind


@dataclass(frozen=True, slots=True)
class Switches:
    """The switches of the lab's AWS at *endpoint* (`http://127.0.0.1:PORT`)."""

    endpoint: str

    def healthy(self) -> bool:
        """Whether it answers."""
        try:
            return bool(self._ask("GET", "/healthz")["ok"])
        except OSError:
            return False

    def arm_iam(self) -> None:
        """From now on IAM's policies are enforced."""
        self._ask("POST", "/lab/arm-iam", {})

    def order(self, fault: Kind, *, match: dict[str, str] | None = None, **more: Any) -> int:
        """Put *fault* on the calls that *match* names (service, action, user, contains); *more*: count, after, seconds, code, status…"""
        return int(self._ask("POST", "/lab/faults", {"fault": fault, "match": match or {}, **more})["id"])

    def faults(self) -> list[dict[str, Any]]:
        """The faults in force; `hits` says how often each has struck."""
        return list(self._ask("GET", "/lab/faults")["faults"])

    def lift(self, fault: int | None = None) -> None:
        """Lift the *fault* of this number, or all."""
        self._ask("DELETE", "/lab/faults" if fault is None else f"/lab/faults?id={fault}")

    def calls(self, **wanted: str) -> list[dict[str, Any]]:
        """The calls since the last reset whose fields are as *wanted*: user, service, action, code…"""
        return list(self._ask("GET", f"/lab/calls?{urlencode(wanted)}")["calls"])

    def writes(self, **wanted: str) -> list[str]:
        """The actions among the calls that may change something, as `ec2:CreateVolume`, in order; refused ones included."""
        return [f"{call['service']}:{call['action']}" for call in self.calls(**wanted) if call["writes"]]

    def counts(self) -> dict[str, dict[str, int]]:
        """How often each user called each action since the last reset."""
        return dict(self._ask("GET", "/lab/calls")["counts"])

    def forget_calls(self) -> None:
        """Count from zero."""
        self._ask("POST", "/lab/calls/reset", {})

    def events(self, after: int = 0, patience: float = 0) -> list[dict[str, Any]]:
        """What was attached and detached after event *after*; waits up to *patience* seconds for the first."""
        return list(self._ask("GET", f"/lab/events?after={after}&timeout={patience}", patience=patience)["events"])

    def zones(self) -> list[dict[str, Any]]:
        """Route 53's zones as its name servers know them: name, and records of name, type, ttl and values."""
        return list(self._ask("GET", "/lab/zones")["zones"])

    def set(self, **settings: Any) -> None:
        """Change settings (see `lab.aws.settings`)."""
        self._ask("POST", "/lab/settings", settings)

    def _ask(self, method: str, path: str, document: Any = None, patience: float = 0) -> Any:
        body = None if document is None else json.dumps(document).encode()
        request = urllib.request.Request(self.endpoint + path, body, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30 + patience) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                raise ValueError(json.load(error)["error"]) from None
