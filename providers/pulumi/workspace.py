"""Where the engine runs: a folder, a project and an environment for each stack, and the one way in which its command is called."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import grpc
from pulumi import automation
from pulumi.automation import errors as automation_errors
from pulumi.automation._server import LanguageServer
from pulumi.runtime.proto import events_pb2_grpc, language_pb2_grpc

from providers import checkpoints
from providers.pulumi.command import Command
from providers.pulumi.events import Log, Receiver
from reconciler import errors
from reconciler.model.allowance import Allowance

FORMAT = 3  # of the deployments that the engine reads
_SILENT = ("PASSPHRASE", "PASSWORD", "SECRET", "TOKEN", "ACCESS_KEY")  # in the names of variables whose values are shown nowhere
_SHORTEST = 6  # characters of a value that can be told from an ordinary word
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
class Workspace:
    """The engine's command over one backend."""

    settings: Settings
    checkpoints: checkpoints.Checkpoints

    def stack(self, name: str) -> automation.Stack:
        """Stack *name*, made where there is none. It is begun here: to have the engine select and make it takes half a second."""
        folder = self.settings.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        self.checkpoints.begin(name)
        tell_salt(folder / f"Pulumi.{name}.yaml", self.checkpoints.deployment(name))
        project = automation.ProjectSettings(checkpoints.PROJECT, "python", backend=automation.ProjectBackend(whole(self.settings.backend)))
        workspace = automation.LocalWorkspace(
            work_dir=str(folder), env_vars=dict(self.settings.environment), pulumi_command=self._command, project_settings=project
        )
        return _Stack(name, workspace)

    def take(self, name: str, state: Mapping[str, Any]) -> None:
        """Let the engine take *state* as its record. It was read as it lies there: what is secret in it stays encrypted."""
        stack = self.stack(name)
        path = self.settings.folder / name / "import.json"
        path.write_text(json.dumps({"version": FORMAT, "deployment": state}))
        try:
            self._call(stack, ["stack", "import", "--file", str(path)])
        except automation_errors.CommandError as error:
            raise errors.ProviderError(f"the engine failed: {last_line(str(error))}", hint="--debug shows its own words") from error
        finally:
            path.unlink()

    def remove(self, name: str) -> None:
        """Remove a record that holds nothing but its own root."""
        try:
            self._call(self.stack(name), ["stack", "rm", "--yes", "--force"])
        except automation_errors.CommandError as error:
            raise errors.ProviderError(f"the engine failed: {last_line(str(error))}", hint="--debug shows its own words") from error

    def run(self, name: str, command: list[str], program: Callable[[], None], log: Log) -> str:
        """One run of *command* (`up` or `preview`) with *program*; the message it failed with, or ""."""
        stack, server = self.stack(name), grpc.server(futures.ThreadPoolExecutor(4))
        language_pb2_grpc.add_LanguageRuntimeServicer_to_server(_Server(program), server)
        events_pb2_grpc.add_EventsServicer_to_server(Receiver(log), server)
        here = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        server.start()
        flags = ["--refresh", f"--parallel={self.settings.parallel}", "--exec-kind=auto.inline", f"--client={here}"]
        try:
            with _unraisable_kept_quiet():
                self._call(stack, [*command, *flags, f"--event-log=tcp://{here}"])
        except automation_errors.CommandError as error:
            return "; ".join(log.faults) or last_line(str(error))
        finally:
            server.stop(0)
        return ""

    def _call(self, stack: automation.Stack, arguments: list[str]) -> None:
        told = self._tell if os.environ.get("RECONCILE_DEBUG") else None
        stack._run_pulumi_cmd_sync(arguments, told, told)  # noqa: SLF001 - the methods around it spawn more processes for what we have

    @cached_property
    def _command(self) -> automation.PulumiCommand:
        try:
            return Command()
        except Exception as error:
            raise errors.UsageError(f"the Pulumi engine cannot be started: {error}", hint="put `pulumi` on PATH") from error

    def _tell(self, line: str) -> None:
        """The engine's own words, for `--debug`; what its environment keeps to itself is left out."""
        for value in self._silent:
            line = line.replace(value, "[secret]")
        if line.strip():
            sys.stderr.write(f"pulumi: {line}\n")

    @cached_property
    def _silent(self) -> tuple[str, ...]:
        every = {**os.environ, **self.settings.environment}
        values = {value for name, value in every.items() if any(word in name.upper() for word in _SILENT) and len(value) >= _SHORTEST}
        return tuple(sorted(values, key=len, reverse=True))


class _Server(LanguageServer):
    """One run's program. The SDK leaves its event loop open, with three file descriptors, when a failed program's tasks end in errors."""

    def __init__(self, program: Callable[[], None]) -> None:
        super().__init__(self._noted(program))
        self.loops: list[asyncio.AbstractEventLoop] = []

    def Run(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's name
        try:
            return super().Run(request, context)  # type: ignore[no-untyped-call]
        finally:
            for loop in self.loops:
                loop.close()

    def _noted(self, program: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            self.loops.append(asyncio.get_running_loop())
            program()

        return run


class _Stack(automation.Stack):
    """A stack that exists: selecting it would spawn a process to no end."""

    def __init__(self, name: str, workspace: automation.Workspace) -> None:
        self.name, self.workspace = name, workspace


def tell_salt(path: Path, deployment: Mapping[str, Any]) -> None:
    """Let the stack's settings in *path* have the salt of its record: they may be of another machine's, or a kill may have halved them."""
    salt = ((deployment.get("secrets_providers") or {}).get("state") or {}).get("salt")
    told = f"encryptionsalt: {salt}\n"
    if not salt:
        path.unlink(missing_ok=True)
    elif not path.exists() or path.read_text(errors="replace") != told:
        path.write_text(told)


def whole(backend: str) -> str:
    """*backend* without the files in which gocloud keeps attributes: killed while it writes one, the engine reads neither file again."""
    if not backend.startswith("file://"):
        return backend
    return f"{backend}{'&' if '?' in backend else '?'}metadata=skip"


def last_line(text: str) -> str:
    """The engine's own last word on what went wrong."""
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
