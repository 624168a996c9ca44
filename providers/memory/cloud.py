"""Port `Cloud` in memory: EC2 and Route53 as far as the reconciler uses them, with AWS's refusals; held to the contract of the real one."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from providers.memory.ec2 import Ec2
from providers.memory.fault import Faults
from providers.memory.refusal import refuse
from providers.memory.route53 import Route53
from providers.memory.still import FixedClock
from reconciler.ports import Payload

PAGE = 100  # things a page at most, fewer where a call asks for fewer
_READS = ("describe_", "get_", "list_")


class MemoryCloud(Faults):
    """An account. *subnets* by zone and *instances* by id (each with its zone) are what it has from the start.

    `fail("describe_volumes")` makes an operation fail; `calls` counts them by operation; `late` says by how many seconds of
    *clock* a describe or a list lags behind what was written.
    """

    def __init__(
        self,
        *,
        subnets: Mapping[str, str] | None = None,
        instances: Mapping[str, str] | None = None,
        page: int = PAGE,
        clock: FixedClock | None = None,
    ) -> None:
        super().__init__()
        self.page = page
        self.clock = clock or FixedClock()
        self.late: dict[str, float] = {}
        self._past: list[tuple[float, Ec2, Route53]] = []
        self.ec2 = Ec2(dict(subnets or {}), dict(instances or {}), self.clock)
        self.route53 = Route53()
        self._within = threading.RLock()

    def pages(self, service: str, operation: str, **arguments: Any) -> Iterator[Payload]:
        """The answer of a listing operation in chunks, as AWS would give them."""
        size = min(self.page, int(arguments.pop("MaxResults", 0) or arguments.pop("MaxItems", 0) or self.page))
        answer = self.call(service, operation, **arguments)
        key, found = next((key, value) for key, value in answer.items() if isinstance(value, list))
        for start in range(0, max(len(found), 1), size):
            yield {**answer, key: found[start : start + size]}

    def call(self, service: str, operation: str, **arguments: Any) -> Payload:
        with self._within:
            self.strike(operation)
            if operation.startswith(_READS):
                return self._asked(*self._shown(operation), service, operation, arguments)
            self._keep()
            with self.fate.effect(operation):
                return self._asked(self.ec2, self.route53, service, operation, arguments)

    def wait(self) -> None:
        """Until every describe shows what was written, as a careful client does after a create."""
        self.clock.sleep(max(self.late.values(), default=0.0))

    def _keep(self) -> None:
        """Remember what is there before a write, where a describe may be late."""
        now = self.clock.monotonic()
        reach = now - max(self.late.values(), default=0.0)
        self._past = [one for one in self._past if one[0] > reach]
        if self.late:
            self._past.append((now, copy.deepcopy(self.ec2), copy.deepcopy(self.route53)))

    def _shown(self, operation: str) -> tuple[Ec2, Route53]:
        """What *operation* sees: what is there, or what was there as long ago as it lags behind."""
        then = self.clock.monotonic() - self.late.get(operation, 0.0)
        return next(((ec2, route53) for when, ec2, route53 in self._past if when > then), (self.ec2, self.route53))

    @staticmethod
    def _asked(ec2: Ec2, route53: Route53, service: str, operation: str, arguments: Mapping[str, Any]) -> Payload:
        done = getattr({"ec2": ec2, "route53": route53}.get(service), operation, None)
        if done is None:
            raise refuse("InvalidAction", f"the fake knows no {service} {operation}")
        answer: Payload = copy.deepcopy(done(**arguments))
        return answer
