"""Sessions as processes of this machine (executor `local`): each has a folder, and outlives the reconciler that began it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from providers.session_mounts import secrets
from reconciler.components.ports import Sight
from reconciler.errors import ProviderError
from reconciler.model.environment import Sessions
from reconciler.model.frame import parse
from reconciler.model.session import Session
from runner import alive, descent, frames, ssh
from runner.place import MOUNTS, SESSION, WORK, Place

BIRTH = 60.0  # seconds from a session's folder to its process; after that there is none
Secret = Callable[[str], Mapping[str, bytes]]  # the content of a Secret; raises ProviderError


def no_secret(name: str) -> Mapping[str, bytes]:
    raise ProviderError(f"the secret {name} cannot be read without a cluster", hint="leave it out, or use the executor kubernetes")


class DirectoryRunner:
    """Runs the sessions of one environment below *folder*."""

    def __init__(self, folder: Path, settings: Sessions, secret: Secret = no_secret) -> None:
        self._folder = folder
        self._settings = settings
        self._secret = secret

    def start(self, session: Session) -> None:
        root = self._folder / session.name
        root.parent.mkdir(parents=True, exist_ok=True)
        self._forget_old()
        try:
            root.mkdir(mode=0o700)
        except FileExistsError:
            return
        self._mount(root / "mounts", session)
        ours = str(Path(__file__).resolve().parent.parent)
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, [ours, os.environ.get("PYTHONPATH", "")])),
            WORK: str(root),
            MOUNTS: str(root / "mounts"),
            SESSION: session.work.text(),
        }
        with (root / "log").open("wb") as log:
            # Through a shell that does not wait: the session is no child of ours, and goes on when we end.
            subprocess.run(
                ["/bin/sh", "-c", 'exec "$@" &', "sh", sys.executable, "-m", "runner.local"],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd=root,
                check=True,
            )

    def look(self, sessions: Sequence[Session]) -> Mapping[str, Sight]:
        return {session.name: self._look(self._folder / session.name, session.frames) for session in sessions}

    def stop(self, name: str) -> None:
        root = self._folder / name
        self._end(root)
        shutil.rmtree(root, ignore_errors=True)

    def strays(self, known: frozenset[str]) -> tuple[str, ...]:
        if not self._folder.is_dir():
            return ()
        return tuple(sorted(root.name for root in self._folder.iterdir() if root.name not in known and self._alive(root)))

    def log(self, session: Session) -> Iterator[str]:
        path = self._folder / session.name / "log"
        yield from path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else ()

    def _look(self, root: Path, seen: int) -> Sight:
        """Whether it runs is asked before what it wrote: so nothing written before its end is missed."""
        running = self._alive(root)
        ended = (root / "exit").read_text(encoding="utf-8") if (root / "exit").exists() else ""
        told = [frame for line in frames.lines(root / "frames")[0] if (frame := parse(line)) and frame.number > seen]
        if running or not root.exists():
            return Sight("running" if running else "absent", tuple(told))
        if not ended and not (root / "process").exists() and time.time() - root.stat().st_mtime < BIRTH:
            return Sight("pending", reason="its process begins")
        if not ended:
            self._end(root)  # it was killed: what it began must not run on beside the next session
        last = "" if ended == "0" else next(reversed([line for line in self._tail(root) if line]), "")
        return Sight("succeeded" if ended == "0" else "failed", tuple(told), reason=last)

    def _end(self, root: Path) -> None:
        descent.end(WORK, str(root))
        ssh.forget(Place(root, root / "mounts"))
        shutil.rmtree(root / "mounts", ignore_errors=True)

    def _forget_old(self) -> None:
        """What ended longer ago than sessions are kept goes with them."""
        oldest = time.time() - self._settings.ttl.seconds
        for root in self._folder.iterdir():
            if root.stat().st_mtime < oldest and not self._alive(root):
                shutil.rmtree(root, ignore_errors=True)

    def _tail(self, root: Path) -> list[str]:
        return (root / "log").read_text(encoding="utf-8", errors="replace").splitlines()[-5:] if (root / "log").exists() else []

    def _alive(self, root: Path) -> bool:
        try:
            return alive.held(root / "process")
        except (FileNotFoundError, NotADirectoryError):
            return False

    def _mount(self, mounts: Path, session: Session) -> None:
        """The Secrets that a Pod would have mounted, readable for this user only."""
        for purpose, name in secrets(self._settings, session).items():
            folder = mounts / purpose
            folder.mkdir(parents=True, mode=0o700)
            for key, content in self._secret(name).items():
                path = folder / key
                path.touch(mode=0o400)
                path.chmod(0o600)
                path.write_bytes(content)
                path.chmod(0o400)
