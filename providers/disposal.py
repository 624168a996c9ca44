"""Deletes the data that a plan gives up: the engine only ever forgets a volume, and what it has forgotten is deleted here, at the very end.

By the API's own calls, with the engine's credentials, once the stack has ended well and nothing holds the volume any more. Whoever dies
in between leaves a volume that no record has: the next plan sees it as what it is, still marked, and a person is asked again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from reconciler import errors
from reconciler.model.address import ResourceId
from reconciler.model.change import Change
from reconciler.model.outcome import Blocked, Done, Failed, Outcome
from reconciler.ports import Checkpoints, Clock, Cloud, Engine, Progress, StackResult, StackRun
from reconciler.resources import marks

RELEASED_WITHIN = 300.0  # seconds that the Pods of a stack have to end, and its volumes to detach
LOOK_EVERY = 3.0
GONE = "InvalidVolume.NotFound"


@dataclass(frozen=True, slots=True)
class Disposing:
    """*engine*, after which *cloud* deletes the volumes that are to go; it is made when there is one. *stopping* ends the wait for them."""

    engine: Engine
    checkpoints: Checkpoints
    cloud: Callable[[], Cloud]
    clock: Clock
    stopping: Callable[[], bool] = lambda: False

    def up(self, run: StackRun, progress: Progress) -> StackResult:
        doomed = tuple(change for change in run.changes if change.action == "delete" and change.id.kind == "volume")
        if not doomed:
            return self.engine.up(run, progress)
        known = (self.checkpoints.stacks(run.revision.environment) or {}).get(run.stack, frozenset())
        held = {change.id: replace(change, action="forget") for change in doomed if change.id in known}
        rest = tuple(held.get(change.id, change) for change in run.changes if change not in doomed or change.id in held)
        result = self.engine.up(replace(run, changes=rest), progress) if any(change.acts for change in rest) else StackResult()
        if all(isinstance(outcome, Done) for outcome in result.outcomes.values()):
            deadline = self.clock.monotonic() + RELEASED_WITHIN
            ended = {change.id: self._deleted(change, deadline, progress) for change in doomed}
        else:
            ended = {change.id: Blocked(run.stack) for change in doomed}
        return replace(result, outcomes={**result.outcomes, **ended})

    def forget(self, environment: str, stack: str, ids: Iterable[ResourceId]) -> None:
        self.engine.forget(environment, stack, ids)

    def _deleted(self, change: Change, deadline: float, progress: Progress) -> Outcome:
        address = str(change.id)
        progress(address, "start", "delete")
        try:
            self._delete(change, deadline)
        except errors.ProviderError as error:
            if error.code != GONE:
                progress(address, "failed", error.message)
                return Failed(error.message, retryable=True)
        progress(address, "done", "delete")
        return Done()

    def _delete(self, change: Change, deadline: float) -> None:
        """Delete the volume of *change* as soon as nobody has it attached.

        Raises:
            ProviderError: it is in use for too long, or is no longer marked as what may be deleted.
        """
        cloud = self.cloud()
        while True:
            volume = _described(cloud, change.live_id)
            _require_given_up(change, volume)
            holders = [one["InstanceId"] for one in volume.get("Attachments") or ()]
            if not holders:
                break
            if self.stopping() or self.clock.monotonic() >= deadline:
                raise errors.ProviderError(f"{change.live_id} is still attached to {holders[0]}: apply again once it is detached")
            self.clock.sleep(LOOK_EVERY)
        cloud.call("ec2", "delete_volume", VolumeId=change.live_id)


def _described(cloud: Cloud, id: str) -> Any:
    """The volume; ProviderError with the code GONE where there is none."""
    found = (one for page in cloud.pages("ec2", "describe_volumes", VolumeIds=[id]) for one in page["Volumes"])
    volume = next(found, None)
    if volume is None:
        raise errors.ProviderError(f"{id} is gone", code=GONE)
    return volume


def _require_given_up(change: Change, volume: Any) -> None:
    """Raise ProviderError where the marks say something else than when it was planned: somebody may have meant to save it."""
    tags = {tag["Key"]: tag["Value"] for tag in volume.get("Tags") or ()}
    wanted = {marks.ADDRESS: str(change.id), marks.DELETION_POLICY: "Delete"}
    kept = [name for name in (marks.RETAINED, marks.PROTECTED) if name in tags]
    if kept or any(tags.get(name) != value for name, value in wanted.items()):
        raise errors.ProviderError(f"{change.live_id} is not marked as data to be deleted any more, so it is kept: plan again")
