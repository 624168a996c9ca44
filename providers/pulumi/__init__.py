"""Port `Engine` over Pulumi's Automation API: one `pulumi up --refresh` a stack, its preview held against the plan before anything happens.

Nothing of Pulumi's own types or errors leaves this package.
"""

from __future__ import annotations

import json
import os
import re
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

import grpc
from pulumi import automation, runtime
from pulumi.automation import errors as automation_errors
from pulumi.automation._server import LanguageServer
from pulumi.runtime.proto import events_pb2_grpc, language_pb2_grpc

from providers import checkpoints
from providers.pulumi import deployment
from providers.pulumi.events import Log, Receiver
from providers.pulumi.gate import Gate
from providers.pulumi.program import Program, Providers
from providers.pulumi.writers import Writers
from reconciler import errors
from reconciler.kinds import Kind
from reconciler.model.address import ResourceId
from reconciler.model.allowance import Allowance
from reconciler.model.change import Change
from reconciler.model.outcome import Done, Failed, Outcome
from reconciler.ports import Progress, StackResult, StackRun

FORMAT = 3  # of the deployments that the engine reads
PREVIEW_ENDS_WITHIN = 60.0  # seconds between the program's second run and the preview's summary, which comes by another channel
_silence = threading.Lock()


@dataclass(frozen=True, slots=True)
class Settings:
    """How the engine runs: *backend* as a URL, *folder* for its working files, *environment* for its process, *parallel* steps a stack.

    *allowed* are differences from the plan that are not told.
    """

    backend: str
    folder: Path
    environment: Mapping[str, str]
    parallel: int = 8
    allowed: tuple[Allowance, ...] = ()


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
    def _command(self) -> automation.PulumiCommand:
        try:
            return automation.PulumiCommand()
        except Exception as error:
            raise errors.UsageError(f"the Pulumi engine cannot be started: {error}", hint="put `pulumi` on PATH") from error

    def up(self, run: StackRun, progress: Progress) -> StackResult:
        """Apply *run*. The caller holds the environment's lease: a lock or an operation left by a dead run is cleared here."""
        log = Log(_in_words_of(run, progress))
        program = Program(run, self.kinds, self.providers)
        name = checkpoints.name(run.revision.environment, run.stack)
        self._clear(name)
        gate = Gate(run.changes, self.settings.allowed, checkpoints.leftover(self.checkpoints.deployment(name)))
        stack = self._stack(name)
        message = self._run(stack, _gated(program, gate, log), log)
        if gate.refusal or message:
            progress(run.stack, "failed", gate.refusal or message)
        for surprise in gate.surprises:
            progress(run.stack, "done", surprise)
        if not run.resources and not message and not checkpoints.held(self.checkpoints.deployment(stack.name)):
            self._remove(name)
        outcomes = {change.id: _outcome(change, log, gate, message) for change in run.changes if change.acts}
        return StackResult(outcomes, program.attributes)

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
            self._import(name, left)
        if not checkpoints.held(left) and not checkpoints.unsure(left):
            self._remove(name)

    def _stack(self, name: str) -> automation.Stack:
        folder = self.settings.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        self.checkpoints.root.mkdir(parents=True, exist_ok=True)
        workspace = automation.LocalWorkspace(
            work_dir=str(folder),
            env_vars=dict(self.settings.environment),
            pulumi_command=self._command,
            project_settings=automation.ProjectSettings(
                checkpoints.PROJECT, "python", backend=automation.ProjectBackend(_whole(self.settings.backend))
            ),
        )
        known = self.checkpoints.exists(name) and (folder / f"Pulumi.{name}.yaml").exists()
        mode = _Stack if known else automation.Stack.create_or_select
        stack: automation.Stack = self._call(mode, name, workspace)
        return stack

    def _clear(self, name: str) -> None:
        """Remove a dead run's lock and what it left half done from one stack."""
        self.checkpoints.unlock(name)
        left = self.checkpoints.deployment(name)
        if checkpoints.unsure(left):
            self._import(name, deployment.settled(left))

    def _import(self, name: str, state: Mapping[str, Any]) -> None:
        """Let the engine take *state* as its record. It was read as it lies there: what is secret in it stays encrypted."""
        stack = self._stack(name)
        path = self.settings.folder / name / "import.json"
        path.write_text(json.dumps({"version": FORMAT, "deployment": state}))
        try:
            self._call(partial(stack._run_pulumi_cmd_sync, ["stack", "import", "--file", str(path)]))  # noqa: SLF001 - Stack.import_stack leaves its file about when it fails
        finally:
            path.unlink()

    def _remove(self, name: str) -> None:
        """Remove a record that holds nothing but its own root."""
        stack = self._stack(name)
        self._call(partial(stack.workspace.remove_stack, force=True), name)

    def _run(self, stack: automation.Stack, program: Callable[[], None], log: Log) -> str:
        """One `pulumi up`; the message it failed with, or ""."""
        server = grpc.server(futures.ThreadPoolExecutor(4))
        language_pb2_grpc.add_LanguageRuntimeServicer_to_server(LanguageServer(program), server)
        events_pb2_grpc.add_EventsServicer_to_server(Receiver(log), server)
        here = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        server.start()
        flags = ["--yes", "--refresh", "--skip-preview=false", f"--parallel={self.settings.parallel}", "--exec-kind=auto.inline"]
        try:
            with _unraisable_kept_quiet():
                stack._run_pulumi_cmd_sync(["up", *flags, f"--client={here}", f"--event-log=tcp://{here}"])  # noqa: SLF001 - Stack.up spawns three more processes for a summary that we have
        except automation_errors.CommandError as error:
            return "; ".join(log.faults) or _last_line(str(error))
        finally:
            server.stop(0)
        return ""

    @staticmethod
    def _call(call: Callable[..., Any], *arguments: Any) -> Any:
        """Any other call of the Automation API, its errors as ours."""
        try:
            return call(*arguments)
        except automation_errors.CommandError as error:
            raise errors.ProviderError(f"the engine failed: {_last_line(str(error))}", hint="--debug shows its own words") from error


class _Stack(automation.Stack):
    """A stack that exists: selecting it would spawn a process to no end."""

    def __init__(self, name: str, workspace: automation.Workspace) -> None:
        self.name, self.workspace = name, workspace


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


def _whole(backend: str) -> str:
    """*backend* without the files in which gocloud keeps attributes: killed while it writes one, the engine reads neither file again."""
    if not backend.startswith("file://"):
        return backend
    return f"{backend}{'&' if '?' in backend else '?'}metadata=skip"


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    told = [line for line in lines if line.startswith("error:")]
    return (told or lines or ["it said nothing"])[-1].removeprefix("error: ")


@contextmanager
def _unraisable_kept_quiet() -> Iterator[None]:
    """Every failed up makes the SDK drop a coroutine; the interpreter's complaint about it says nothing to anybody."""
    with _silence:
        before = sys.unraisablehook
        quiet = getattr(before, "quiet", False)

        def hook(problem: Any) -> None:
            if not re.search(r"coroutine object run_(in_stack|pulumi_func)", repr(problem.object)):
                before(problem)

        hook.quiet = True  # type: ignore[attr-defined]
        if not quiet:
            sys.unraisablehook = hook
    yield


def process_environment(token: str) -> dict[str, str]:
    """What the engine's process finds in its environment beside our own: *token* lets a take-over find it and its plugins."""
    return {
        "PULUMI_SKIP_UPDATE_CHECK": "1",
        "PULUMI_K8S_ENABLE_PATCH_FORCE": "true",
        "PULUMI_CONFIG_PASSPHRASE": os.environ.get("PULUMI_CONFIG_PASSPHRASE", ""),
        "RECONCILE_RUN": token,
    }


__all__ = ["Pulumi", "Settings", "Writers", "process_environment"]
