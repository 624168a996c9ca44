"""Where the lab's programs are: RECONCILE_TOOLS, the folder that `make setup` links, or PATH. Builds nothing."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from lab.error import LabError

PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")


def root() -> Path:
    """The folder that holds the package `lab`: the checkout, or the wheel's own folder of packages."""
    return Path(__file__).resolve().parent.parent


def folder() -> str:
    """The folder of the built programs, or "" where PATH alone must do."""
    named = os.environ.get("RECONCILE_TOOLS")
    linked = root() / ".venv" / "tools"
    return named or (str(linked.resolve()) if linked.is_dir() else "")


def path() -> str:
    """PATH as the lab's processes see it: this interpreter's folder, the built programs, then what the caller has and where sshd lies."""
    return ":".join(part for part in (str(Path(sys.executable).parent), folder(), os.environ.get("PATH", ""), "/usr/sbin:/sbin") if part)


def require(*programs: str) -> None:
    """Refuse to begin where one of *programs* is missing, naming them all."""
    missing = [program for program in programs if not shutil.which(program, path=path())]
    if missing:
        raise LabError(
            f"the lab's programs are not there: {', '.join(missing)} (searched {folder() or 'no tools folder'} and PATH)",
            hint="run `make setup`, or name their folder in RECONCILE_TOOLS",
        )
