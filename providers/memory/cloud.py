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
from reconciler.ports import Payload

PAGE = 100  # things a page at most, fewer where a call asks for fewer


class MemoryCloud(Faults):
    """An account. *subnets* by zone and *instances* by id (each with its zone) are what it has from the start.

    `fail("describe_volumes")` makes an operation fail; `calls` counts them by operation.
    """

    def __init__(self, *, subnets: Mapping[str, str] | None = None, instances: Mapping[str, str] | None = None, page: int = PAGE) -> None:
        super().__init__()
        self.page = page
        self.ec2 = Ec2(dict(subnets or {}), dict(instances or {}))
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
            done = getattr({"ec2": self.ec2, "route53": self.route53}.get(service), operation, None)
            if done is None:
                raise refuse("InvalidAction", f"the fake knows no {service} {operation}")
            answer: Payload = copy.deepcopy(done(**arguments))
            return answer
