"""Port `Engine` over Pulumi's Automation API: one `pulumi up --refresh` a stack, its preview held against the plan before anything happens.

Nothing of Pulumi's own types or errors leaves this package.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from pulumi import runtime

from providers import checkpoints
from providers.pulumi import deployment
from providers.pulumi.events import Log
from providers.pulumi.gate import Gate
from providers.pulumi.journal import Journal
from providers.pulumi.program import Program, Providers
from providers.pulumi.workspace import Settings, Workspace
from providers.pulumi.writers import Writers
from reconciler.kinds import Kind
from reconciler.model.address import ResourceId
from reconciler.model.change import Change
from reconciler.model.outcome import Done, Failed, Outcome
from reconciler.ports import Progress, StackResult, StackRun, StackView

PREVIEW_ENDS_WITHIN = 60.0  # seconds between the program's second run and the preview's summary, which comes by another channel


@dataclass(frozen=True)
class Pulumi:
    """The engine of one environment."""

    settings: Settings
    kinds: Mapping[str, Kind]
    providers: Providers

    @cached_property
    def checkpoints(self) -> checkpoints.Checkpoints:
        return checkpoints.Checkpoints(self.settings.backend)

    @cached_property
    def _workspace(self) -> Workspace:
        return Workspace(self.settings, self.checkpoints)

    def up(self, run: StackRun, progress: Progress) -> StackResult:
        """Apply *run*. The caller holds the environment's lease: a lock or an operation left by a dead run is cleared here."""
        journal = Journal(self.checkpoints.intents)
        log = Log(_in_words_of(run, progress), journal)
        program = Program(run, self.kinds, self.providers)
        name = checkpoints.name(run.revision.environment, run.stack)
        for other, ids in run.inherits.items():
            self.forget(run.revision.environment, other, ids)
        self._clear(name)
        gate = self._gate(run, name)
        message = self._workspace.run(name, ["up", "--yes", "--skip-preview=false"], _gated(program, gate, log), log)
        journal.ended(log.failed)
        if gate.refusal or message:
            progress(run.stack, "failed", gate.refusal or message)
        for surprise in gate.surprises:
            progress(run.stack, "done", surprise)
        if not run.resources and not message and not checkpoints.held(self.checkpoints.deployment(name)):
            self._workspace.remove(name)
        outcomes = {change.id: _outcome(change, log, gate, message) for change in run.changes if change.acts}
        return StackResult(outcomes, program.attributes)

    def view(self, run: StackRun) -> StackView:
        """What the engine would do for *run*, held against its plan. It works on a copy of its record, and registers nothing.

        Its provider plugins read with the engine's own credentials: a server-side dry run counts as writing.
        """
        name = checkpoints.name(run.revision.environment, run.stack)
        before = self.checkpoints.deployment(name)
        with tempfile.TemporaryDirectory(prefix="reconcile-view-") as folder:
            copy = replace(self, settings=replace(self.settings, backend=f"file://{folder}", folder=Path(folder) / "work"))
            copy.checkpoints.begin(name, deployment.settled(before))
            log = Log(lambda *_: None)
            message = copy._workspace.run(name, ["preview"], Program(run, self.kinds, self.providers, previews=True), log)  # noqa: SLF001 - its own kind
        return StackView(run.stack, tuple(self._gate(run, name).views(log.previewed)) if log.summed_up.is_set() else (), message)

    def clear(self, environment: str) -> None:
        """Remove what dead runs left in any stack of *environment*. The caller holds its lease, and has looked for what they made."""
        for name in self.checkpoints.left(environment):
            self._clear(name)

    def forget(self, environment: str, stack: str, ids: Iterable[ResourceId]) -> None:
        """Strike *ids* out of the record of *stack*; nothing that is live is touched. The caller holds the environment's lease.

        Done again after a kill it does what is left; a record that holds nothing any more goes altogether.
        """
        name = checkpoints.name(environment, stack)
        if not self.checkpoints.exists(name):
            return
        self.checkpoints.unlock(name)
        before = self.checkpoints.deployment(name)
        left = deployment.without(before, ids)
        if left != before:
            self._workspace.take(name, left)
        if not checkpoints.held(left) and not checkpoints.unsure(left):
            self._workspace.remove(name)

    def _gate(self, run: StackRun, name: str) -> Gate:
        return Gate(run.changes, self.settings.allowed, checkpoints.leftover(self.checkpoints.deployment(name)))

    def _clear(self, name: str) -> None:
        """Remove a dead run's lock and what it left half done from one stack."""
        self.checkpoints.unlock(name)
        left = self.checkpoints.deployment(name)
        if checkpoints.unsure(left):
            self._workspace.take(name, deployment.settled(left))


def _gated(program: Program, gate: Gate, log: Log) -> Callable[[], None]:
    """*program*, which in its second run first holds the preview against the plan, and registers nothing when that is worse."""

    def run() -> None:
        if not runtime.is_dry_run():
            if not log.summed_up.wait(PREVIEW_ENDS_WITHIN):
                raise TimeoutError("the engine did not sum up its preview")
            if not gate.judge(log.previewed):
                raise PermissionError(gate.refusal)
        program()

    return run


def _in_words_of(run: StackRun, progress: Progress) -> Progress:
    """*progress* that tells what the engine calls a deletion as the plan does: what is kept is forgotten."""
    forgotten = {str(change.id) for change in run.changes if change.action == "forget"}

    def tell(address: str, what: Literal["start", "done", "failed"], words: str) -> None:
        progress(address, what, "forget" if address in forgotten and words == "delete" else words)

    return tell


def _outcome(change: Change, log: Log, gate: Gate, message: str) -> Outcome:
    address = str(change.id)
    if gate.refusal:
        return Failed(gate.refusal)
    if address in log.failed:
        return Failed(log.failed[address] or message or "failed", retryable=True)
    if message and address not in log.done:
        return Failed(message, retryable=True)
    return Done()


def process_environment(token: str) -> dict[str, str]:
    """What the engine's process finds in its environment beside our own: *token* lets a take-over find it and its plugins."""
    return {
        "PULUMI_SKIP_UPDATE_CHECK": "1",
        "PULUMI_K8S_ENABLE_PATCH_FORCE": "true",
        "PULUMI_CONFIG_PASSPHRASE": os.environ.get("PULUMI_CONFIG_PASSPHRASE", ""),
        "RECONCILE_RUN": token,
    }


__all__ = ["Pulumi", "Settings", "Writers", "process_environment"]
