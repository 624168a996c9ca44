"""Port `History` in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from reconciler.model.origin import Revision
from reconciler.ports import Clock, Deed, Healed


@dataclass
class MemoryHistory:
    """What was applied, oldest first in *recorded*."""

    clock: Clock
    recorded: list[dict[str, Any]] = field(default_factory=list)

    def record(
        self,
        revision: Revision,
        action: str,
        summary: Mapping[str, int],
        result: str,
        deeds: Iterable[Deed] = (),
        followed: Mapping[str, Any] | None = None,
    ) -> None:
        entry = {"time": self.clock.now(), "action": action, "commit": revision.commit, "tree": revision.tree, "summary": dict(summary)}
        own = {"environment": revision.environment, "deeds": tuple(deeds)}
        self.recorded.append({**entry, "result": result, "followed": dict(followed or {}), **own})

    def entries(self, environment: str, limit: int) -> Iterator[Mapping[str, Any]]:
        found = (one for one in reversed(self.recorded) if one["environment"] == environment)
        yield from (_public(one) for one, _ in zip(found, range(limit), strict=False))

    def healed(self, environment: str, since: float) -> Iterator[Healed]:
        times: dict[tuple[str, str, str], list[float]] = {}
        for one in self.recorded:
            if one["environment"] == environment and one["time"] >= since:
                for deed in one["deeds"]:
                    for path, digest in deed.healed:
                        times.setdefault((deed.address, path, digest), []).append(one["time"])
        yield from (Healed(*key, len(found), min(found)) for key, found in times.items())

    def touched(self, environment: str, address: str) -> Mapping[str, Any] | None:
        for one in reversed(self.recorded):
            deed = next((deed for deed in one["deeds"] if deed.address == address), None)
            if deed and one["environment"] == environment:
                return {**{name: value for name, value in _public(one).items() if name != "followed"}, "deed": deed.action}
        return None


def _public(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name not in {"environment", "deeds"}}
