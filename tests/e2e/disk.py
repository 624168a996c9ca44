"""A small disk in the place of a folder, seen by those who run in its mount namespace; what is on it goes back to the folder at the end."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

MEBI = 8  # of the disk


class Disk:
    """Stands in for *folder* in a mount namespace of its own, kept by a process that only sleeps."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._beside = folder.with_name(f"{folder.name}.beside")

    def __enter__(self) -> Self:
        self._keeper = subprocess.Popen(["unshare", "--mount", "sleep", "infinity"], start_new_session=True)
        shutil.copytree(self.folder, self._beside)
        own = Path(f"/proc/{self._keeper.pid}/ns/mnt")
        while own.readlink() == Path("/proc/self/ns/mnt").readlink():
            time.sleep(0.01)
        self._do("mount", "-t", "tmpfs", "-o", f"size={MEBI}m", "tmpfs", str(self.folder))
        self._do("cp", "-a", f"{self._beside}/.", str(self.folder))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.free()
        shutil.rmtree(self._beside)
        self._do("cp", "-a", f"{self.folder}/.", str(self._beside))
        self._keeper.kill()
        self._keeper.wait()
        shutil.copytree(self._beside, self.folder, dirs_exist_ok=True)

    def fill(self, *, left: int) -> None:
        """Write until only *left* KiB are free."""
        free = int(self._do("df", "--output=avail", "-k", str(self.folder)).splitlines()[1])
        self._do("dd", "if=/dev/zero", f"of={self.folder}/ballast", "bs=1k", f"count={free - left}")

    def free(self) -> None:
        self._do("rm", "-f", f"{self.folder}/ballast")

    def run(self, *words: str, directory: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """Run `reconcile` with *words* there; all that it says is in `stdout`."""
        command = self._inside(sys.executable, "-m", "reconciler", *words, at=directory)
        ended = subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=200
        )
        return subprocess.CompletedProcess(words, ended.returncode, ended.stdout, "")

    def _do(self, *words: str) -> str:
        ended = subprocess.run(self._inside(*words), check=False, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def _inside(self, *words: str, at: Path = Path("/")) -> list[str]:
        return ["nsenter", "--target", str(self._keeper.pid), "--mount", f"--wdns={at}", "--", *words]
