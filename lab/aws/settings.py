"""What can be turned on the lab's AWS while it runs: how long things take, how much there is, how fast one may ask."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any

# Tokens a bucket holds, and tokens a second it gets back. The page on EC2 throttling gives 100/20 for describing actions and 50/10 for
# those that neither filter nor page; Route 53's account has 50/10 and so has each of its actions.
BUCKETS: dict[str, tuple[float, float]] = {
    "ec2:read": (100, 20),
    "ec2:read-all": (50, 10),
    "ec2:write": (50, 5),
    "route53:account": (50, 10),
    "route53:action": (50, 10),
    "route53:CreateHostedZone": (40, 2),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """Seconds that a change takes and that the account's clock is *ahead*, the quota of Elastic IP addresses, the throttle's buckets.

    *releasing*: seconds that detaching takes from an instance, of a volume or of an interface, by its id; 0 takes an entry away.
    *machines*: instances for which a machine runs; until that is off, none of them is stopped or terminated.
    """

    creating: float = 0.3
    deleting: float = 0.3
    attaching: float = 0.3
    detaching: float = 0.3
    stopping: float = 0.5
    modifying: float = 0.4
    optimizing: float = 0.6
    snapshotting: float = 1.0
    insync: float = 0.5
    ahead: float = 0.0
    addresses: int = 5
    throttle: bool = True
    buckets: dict[str, tuple[float, float]] = field(default_factory=lambda: dict(BUCKETS))
    releasing: dict[str, float] = field(default_factory=dict)
    machines: dict[str, bool] = field(default_factory=dict)

    def changed(self, patch: dict[str, Any]) -> Settings:
        """These settings with those of *patch* in their place; buckets are merged by name. ValueError names what is not a setting."""
        unknown = sorted(set(patch) - {each.name for each in fields(self)})
        if unknown:
            raise ValueError(f"no such setting: {', '.join(unknown)}; there are {', '.join(each.name for each in fields(self))}")
        buckets = {name: (float(burst), float(rate)) for name, (burst, rate) in patch.get("buckets", {}).items()}
        releasing = {id: float(seconds) for id, seconds in (self.releasing | patch.get("releasing", {})).items() if seconds}
        machines = {id: True for id, runs in (self.machines | patch.get("machines", {})).items() if runs}
        return replace(self, **{**patch, "buckets": self.buckets | buckets, "releasing": releasing, "machines": machines})

    def release(self, *ids: str) -> float:
        """The seconds that a detachment between *ids* takes: the longest that was set for one, or as long as any."""
        return max((self.releasing[id] for id in ids if id in self.releasing), default=self.detaching)
