"""Calls in threads of which only one ever moves, from one pause to the next: what interleaves them decides, and nothing else does."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Crash(BaseException):
    """What a call meets at its next pause when its process has died."""


class Turns:
    """Steps calls. Threads are used again: a call is over long before the next thousand have begun."""

    def __init__(self) -> None:
        self._idle: list[_Worker] = []
        self._moving: _Worker | None = None

    def pause(self) -> None:
        """Wait for the next turn; for who is in no turn, nothing."""
        worker = self._moving
        if worker is None or worker.ident != threading.get_ident():
            return
        worker.left -= 1
        if worker.left > 0:
            return
        worker.paused.release()
        worker.go.acquire()
        if worker.task.crashed:
            raise Crash

    def cut_short(self) -> None:
        """The turn that somebody has is over at his next pause."""
        if self._moving:
            self._moving.left = 0

    @property
    def moving(self) -> Task | None:
        """Whose turn it is."""
        return self._moving.task if self._moving else None

    def begin(self, call: Callable[[], object], since: int = 0) -> Task:
        """A call that waits for its first turn. *since* is when what it acts on was read, as its caller counts."""
        return Task(self, call, since)

    def step(self, task: Task, pauses: int) -> None:
        worker = task.worker = task.worker or self._hire(task)
        worker.left = pauses
        before, self._moving = self._moving, worker
        worker.go.release()
        worker.paused.acquire()
        self._moving = before
        if task.over:
            task.worker = None
            self._idle.append(worker)

    def _hire(self, task: Task) -> _Worker:
        worker = self._idle.pop() if self._idle else _Worker()
        worker.task = task
        return worker


class Task:
    """A call that goes on when it is told to."""

    def __init__(self, turns: Turns, call: Callable[[], object], since: int) -> None:
        self.call, self.since, self.over, self.crashed = call, since, False, False
        self.error: BaseException | None = None
        self.worker: _Worker | None = None
        self._turns = turns

    def step(self, pauses: int = 1) -> bool:
        """A turn, up to the next pause or the one after so many; False once the call has ended. What it raises is raised here."""
        if not self.over:
            self._turns.step(self, pauses)
        if self.error:
            raise self.error
        return not self.over

    def crash(self) -> None:
        """Its process dies where it stands: nothing after its last call is done."""
        self.crashed = True
        if self.worker is None:
            self.over = True
        while not self.over:
            self._turns.step(self, 1)


class _Worker(threading.Thread):
    task: Task
    left: int

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.go, self.paused = threading.Lock(), threading.Lock()
        self.go.acquire()
        self.paused.acquire()
        self.start()

    def run(self) -> None:
        while True:
            self.go.acquire()
            try:
                self.task.call()
            except Crash:
                pass
            except BaseException as error:  # noqa: BLE001 - raised again where the turn was given
                self.task.error = error
            self.task.over = True
            self.paused.release()
