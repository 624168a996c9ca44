"""Hands an approved plan over to a running `serve`, and follows there what becomes of it, as if it were done here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from reconciler import errors
from reconciler.api.routes import APPLY
from reconciler.loop import Options, Prepared
from reconciler.model.address import ResourceId
from reconciler.model.desired import Desired
from reconciler.model.outcome import Failed, Outcome, Waiting, goes_on
from reconciler.model.report import Report
from reconciler.ports import Checkpoints, Recall, Recorded
from reconciler.serving import handover
from reconciler.serving.attendance import LATELY, MEMBERS
from reconciler.serving.handover import Standing, Wanted
from reconciler.world import World

if TYPE_CHECKING:
    from providers.served import Served

LOOK_EVERY = 1.0
_LOST = "the server was started anew and knows nothing of this apply any more: run it again"


def is_served(world: World, desired: Desired) -> bool:
    """Whether the environment names a server, and one was heard of lately."""
    if not desired.environment.api:
        return False
    try:
        heard = world.leases().heard(MEMBERS)
    except errors.ProviderError:  # who cannot ask will be told so by what comes next
        return False
    return heard is not None and heard <= LATELY


def from_here(world: World, desired: Desired) -> World:
    """*world* as a client of the server sees it: what is missed in no record, where none is here, since the server keeps it."""
    here = world.checkpoints
    return world if here.stacks(desired.environment.name) else replace(world, checkpoints=_Elsewhere(here))


@dataclass(frozen=True, slots=True)
class _Elsewhere:
    """An engine's record that lies with the server."""

    here: Checkpoints

    def stacks(self, environment: str) -> None:
        del environment

    def pending(self, environment: str) -> frozenset[ResourceId]:
        return self.here.pending(environment)

    def recorded(self, environment: str, stack: str, recall: Recall) -> Mapping[ResourceId, Recorded]:
        return self.here.recorded(environment, stack, recall)


@dataclass(frozen=True, slots=True)
class Hand:
    """Gives a plan to *served*; with what a person let pass."""

    served: Served
    allow_deletes: int | None = None
    allow_delete_data: bool = False

    def over(self, world: World, prepared: Prepared, how: Options) -> Report:
        """Have *prepared* carried out there, and wait here as for an apply of our own.

        Raises:
            StalePlan: the branch that is served has other specs, or its plan is another one; nothing was done. And what else it refuses.
        """
        deadline, told = world.clock.monotonic() + how.timeout, 0
        standing: Standing = self.served.hand_over(APPLY, self._wanted(prepared))
        while True:
            if standing["refusal"]:
                raise handover.error(standing["refusal"])
            for address, what, words in standing["said"][told:]:
                how.progress(address, what, words)
            told = len(standing["said"])
            outcomes = self._outcomes(standing)
            how.said(outcomes)
            late = world.clock.monotonic() >= deadline or (standing["state"] == "applied" and not how.wait)
            if late or world.stopping() or not any(goes_on(outcome) for outcome in outcomes.values()):
                return Report(prepared.plan.revision, outcomes)
            world.clock.sleep(LOOK_EVERY)
            try:
                found = self.served.look(f"{APPLY}/{standing['id']}")
            except errors.TransientError as error:  # it may be starting anew, or its API server is
                how.said({"serve": Waiting(f"it can be reached again: {error.message}")})
                continue
            if found is None:
                return Report(prepared.plan.revision, {**outcomes, "serve": Failed(_LOST)})
            standing = found

    def _wanted(self, prepared: Prepared) -> Wanted:
        revision = prepared.plan.revision
        if not revision.commit:
            hint = "commit and push them, or --allow-unattended to do the work here"
            raise errors.UsageError("the working tree has changes, and a server carries out commits only", hint=hint)
        return {
            "environment": revision.environment,
            "commit": revision.commit,
            "tree": revision.tree,
            "digest": prepared.plan.digest,
            "services": sorted(prepared.only),
            "allow_deletes": self.allow_deletes,
            "allow_delete_data": self.allow_delete_data,
        }

    def _outcomes(self, standing: Standing) -> dict[str, Outcome]:
        if standing["state"] == "waiting":
            return {"serve": Waiting(standing["why"])}
        if standing["state"] == "applying":
            return {"serve": Waiting("the engine is through")}
        return {name: handover.heard(told) for name, told in standing["outcomes"].items()}
