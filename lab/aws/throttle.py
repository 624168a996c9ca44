"""Token buckets in front of the account, as AWS has them: each call takes a token, a bucket fills at its own rate, an empty one refuses."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from lab.aws.calls import Call
from lab.aws.settings import Settings

LARGE = {
    "DescribeInstances",
    "DescribeInstanceStatus",
    "DescribeNetworkInterfaces",
    "DescribeSecurityGroups",
    "DescribeSnapshots",
    "DescribeVolumes",
}
"""Actions that have a smaller bucket for those who ask for everything at once."""


@dataclass(slots=True)
class Bucket:
    """Tokens, and the moment they were last counted."""

    tokens: float
    counted: float

    def fill(self, now: float, burst: float, rate: float) -> None:
        """Add what has come since, up to *burst*."""
        self.tokens = min(burst, self.tokens + (now - self.counted) * rate)
        self.counted = now


class Throttle:
    """The buckets of one account; *clock* gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[str, Bucket] = {}

    def allows(self, call: Call, settings: Settings) -> bool:
        """Take a token for *call* from each of its buckets; False, and none taken, where one is empty."""
        if not settings.throttle:
            return True
        limits = {name: _limit(name, kind, settings) for name, kind in _names(call).items()}
        with self._lock:
            buckets = [self._filled(name, *limit) for name, limit in limits.items()]
            if any(bucket.tokens < 1 for bucket in buckets):
                return False
            for bucket in buckets:
                bucket.tokens -= 1
            return True

    def _filled(self, name: str, burst: float, rate: float) -> Bucket:
        now = self._clock()
        bucket = self._buckets.setdefault(name, Bucket(burst, now))
        bucket.fill(now, burst, rate)
        return bucket


def _names(call: Call) -> dict[str, str]:
    """The buckets *call* draws from, each with the name of its kind's limit."""
    name = f"{call.service}:{call.action}"
    if call.service == "route53":
        return {"route53:account": "route53:account", name: "route53:action"}
    if call.service == "ec2" and call.writes:
        return {name: "ec2:write"}
    if call.service == "ec2":
        return {f"{name}, all": "ec2:read-all"} if call.action in LARGE and not call.paged else {name: "ec2:read"}
    return {}


def _limit(name: str, kind: str, settings: Settings) -> tuple[float, float]:
    """An action's own limit where it has one (`ec2:CreateVolume`), its kind's otherwise."""
    return settings.buckets.get(name.removesuffix(", all"), settings.buckets[kind])
