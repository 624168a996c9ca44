"""Ansible's callback plugin: says what became of each host, as frames. Failures at once, `applied` when the whole playbook is through."""

# ruff: noqa: SLF001 - what a callback needs of Ansible's objects has no public names

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ansible.playbook.block import Block
from ansible.plugins.callback import CallbackBase

from reconciler.model.frame import Kind
from runner import frames

DOCUMENTATION = """
name: reconciler_report
type: aggregate
short_description: reports each host to the reconciler
description: Appends numbered frames to the file that RECONCILER_FRAMES names; does nothing without it.
"""

MESSAGE_LIMIT = 500


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Failed or unreachable: failed. Where a play was broken off, the others: incomplete. A host that ran no task is not told of."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "reconciler_report"
    CALLBACK_NEEDS_ENABLED = False

    def __init__(self) -> None:
        super().__init__()
        self._frames = os.environ.get("RECONCILER_FRAMES", "")
        self._layer = int(os.environ.get("RECONCILER_LAYER", "-1"))
        self._record = bool(os.environ.get("RECONCILER_RECORD"))
        self.disabled = not self._frames
        self._plays, self._begun = 0, set[str]()
        self._play, self._serial = "", False
        self._touched, self._out, self._failed = set[str](), set[str](), set[str]()
        self._broken = False

    def v2_playbook_on_start(self, playbook: Any) -> None:
        self._plays = len(playbook.get_plays())

    def v2_playbook_on_play_start(self, play: Any) -> None:
        self._end_play()
        self._begun.add(str(play._uuid))
        self._play, self._serial = str(play.get_name()), bool(play.serial)

    def v2_runner_on_ok(self, result: Any) -> None:
        self._touched.add(_host(result))

    def v2_runner_on_skipped(self, result: Any) -> None:
        self._touched.add(_host(result))

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:  # noqa: FBT002 - Ansible's signature
        self._touched.add(_host(result))
        if not ignore_errors and not _rescued(_task(result)):
            self._fail(result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._touched.add(_host(result))
        if not _task(result).ignore_unreachable:
            self._fail(result)

    def v2_playbook_on_no_hosts_remaining(self) -> None:
        self._broken = True

    def v2_playbook_on_stats(self, stats: Any) -> None:
        self._end_play()
        whole = not self._broken and len(self._begun) >= self._plays
        for host in sorted(stats.processed):
            counts = stats.summarize(host)
            if host in self._failed:
                continue
            if counts["failures"] or counts["unreachable"]:
                self._tell("host", host=host, result="failed", play=self._play, message="it failed, and Ansible does not say where")
            else:
                self._tell("host", host=host, result="applied" if whole else "incomplete")
        self._write("stats")

    def _fail(self, result: Any) -> None:
        """Tell of it at once. A task that must not fail anywhere, or that ran once for all, ends the play for everybody."""
        host, task = _host(result), _task(result)
        self._out.add(host)
        if task.any_errors_fatal or task.run_once:
            self._broken = True
        if host not in self._failed:
            self._failed.add(host)
            name = str(task.get_name())
            self._tell("host", host=host, result="failed", play=self._play, task=name, message=_message(result))

    def _end_play(self) -> None:
        """A serial batch that fails as a whole ends the playbook without a word: the batches after it are never begun."""
        if self._serial and self._touched and self._touched <= self._out:
            self._broken = True
        for host in sorted(self._touched):
            self._write("play", host=host, play=self._play, message="failed" if host in self._out else "ok")
        self._touched, self._out = set(), set()

    def _tell(self, kind: Kind, **fields: Any) -> None:
        if self._record:
            self._write(kind, **fields)

    def _write(self, kind: Kind, **fields: Any) -> None:
        frames.append(Path(self._frames), kind, layer=self._layer, **fields)


def _host(result: Any) -> str:
    return str((result.host if hasattr(result, "host") else result._host).get_name())


def _task(result: Any) -> Any:
    return result.task if hasattr(result, "task") else result._task  # public since 2.19


def _rescued(task: Any) -> bool:
    """Whether the failure of *task* begins a rescue: it stands in the body, not in the rescue or always part, of a block that has one."""
    child, parent = task, task._parent
    while parent is not None:
        if isinstance(parent, Block) and parent.rescue and not any(_holds(part, child) for part in (parent.rescue, parent.always)):
            return True
        child, parent = parent, parent._parent
    return False


def _holds(tasks: list[Any], one: Any) -> bool:
    return any(task is one or task._uuid == one._uuid for task in tasks)


def _message(result: Any) -> str:
    said = result.result if hasattr(result, "result") else result._result
    if said.get("censored") or said.get("_ansible_no_log") or _task(result).no_log is True:
        return "(hidden by no_log)"
    return " ".join(str(said.get("msg", "")).split())[:MESSAGE_LIMIT]
