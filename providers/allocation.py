"""Elastic addresses are allocated by ourselves, and imported by the engine: AllocateAddress knows no token, so a retry makes a second one.

Looked for by tag before, asked for once, and looked for again where no answer came; written down meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from reconciler import errors
from reconciler.model.address import ResourceId
from reconciler.model.change import Change
from reconciler.model.outcome import Blocked, Failed, Outcome
from reconciler.ports import Clock, Cloud, Engine, Progress, StackResult, StackRun
from reconciler.resources import marks

TURNS_UP_WITHIN = 30.0  # seconds for which describes must agree that an allocation without an answer was none
LOOK_EVERY = 2.0


class Intents(Protocol):
    """What is about to be made, durable before it is."""

    def begin(self, id: ResourceId) -> None: ...

    def end(self, id: ResourceId) -> None: ...


@dataclass(frozen=True, slots=True)
class Allocating:
    """*engine*, for which addresses that are to be created are there already. *cloud* must never send a call again by itself."""

    engine: Engine
    cloud: Callable[[], Cloud]
    intents: Intents
    clock: Clock

    def up(self, run: StackRun, progress: Progress) -> StackResult:
        wanted = {change.id: change for change in run.changes if change.action == "create" and change.id.kind == "address"}
        if not wanted:
            return self.engine.up(run, progress)
        tags: dict[ResourceId, Any] = {resource.id: resource.fields["tags"] for resource in run.resources if resource.id in wanted}
        live: dict[ResourceId, str] = {}
        for id in sorted(wanted):
            try:
                live[id] = self._allocated(id, tags[id])
            except errors.ProviderError as error:
                progress(str(id), "failed", error.message)
                return _failed(run, id, Failed(error.message, retryable=True))
        changes = tuple(replace(change, action="adopt", live_id=live[change.id]) if change.id in live else change for change in run.changes)
        return self.engine.up(replace(run, changes=changes), progress)

    def forget(self, environment: str, stack: str, ids: Iterable[ResourceId]) -> None:
        self.engine.forget(environment, stack, ids)

    def _allocated(self, id: ResourceId, tags: Mapping[str, str]) -> str:
        """The allocation of *id*: the one that is there, or a new one."""
        found = self._found(id)
        if found:
            return found
        self.intents.begin(id)
        specified = [{"ResourceType": "elastic-ip", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}]
        try:
            made = str(self.cloud().call("ec2", "allocate_address", Domain="vpc", TagSpecifications=specified)["AllocationId"])
        except errors.TransientError:
            made = self._turned_up(id)
            if not made:
                raise
        except errors.ProviderError:
            self.intents.end(id)  # refused: nothing was made
            raise
        if self._turned_up(id):
            self.intents.end(id)
        return made

    def _turned_up(self, id: ResourceId) -> str:
        """What was allocated for *id*, as soon as a describe shows it; "" where none does for long enough."""
        deadline = self.clock.monotonic() + TURNS_UP_WITHIN
        while not (found := self._found(id)) and self.clock.monotonic() < deadline:
            self.clock.sleep(LOOK_EVERY)
        return found

    def _found(self, id: ResourceId) -> str:
        filters = [{"Name": f"tag:{marks.ADDRESS}", "Values": [str(id)]}, {"Name": f"tag:{marks.ENVIRONMENT}", "Values": [id.environment]}]
        pages = self.cloud().pages("ec2", "describe_addresses", Filters=filters)
        return next((str(one["AllocationId"]) for page in pages for one in page["Addresses"]), "")


def _failed(run: StackRun, id: ResourceId, outcome: Failed) -> StackResult:
    """Nothing of *run* was begun since *id* could not be allocated."""
    acting: list[Change] = [change for change in run.changes if change.acts]
    outcomes: dict[ResourceId, Outcome] = {change.id: outcome if change.id == id else Blocked(str(id)) for change in acting}
    return StackResult(outcomes)
