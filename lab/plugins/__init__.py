"""Stand-ins for Pulumi's plugins `aws` and `kubernetes`, which no registry has; a real `pulumi-resource-kubernetes` on PATH goes first.

`install` writes their launchers; everything else here runs in the processes that the engine starts from them.
"""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

NAMES = ("aws", "kubernetes")
YIELDING = frozenset({"kubernetes"})  # the one whose real plugin runs against the lab as it is; a real `aws` needs moto's endpoints in full

_LAUNCHER = """#!/bin/sh
# Stand-in for pulumi-resource-{name}: see lab/plugins.
PYTHONPATH={root} PYTHONNOUSERSITE=1 exec {python} -P -m lab.plugins {name} "$@"
"""


def install(directory: Path, python: str) -> None:
    """Write `pulumi-resource-<name>` for each plugin into *directory*, to be run by *python*; leave out what PATH has for real."""
    directory.mkdir(parents=True, exist_ok=True)
    root = Path(__file__).resolve().parents[2]
    for name in NAMES:
        launcher = directory / f"pulumi-resource-{name}"
        if name in YIELDING and _real(launcher.name, besides=directory):
            launcher.unlink(missing_ok=True)
            continue
        draft = launcher.with_suffix(".new")
        draft.write_text(_LAUNCHER.format(name=name, root=shlex.quote(str(root)), python=shlex.quote(python)))
        draft.chmod(0o755)
        draft.replace(launcher)


def _real(executable: str, besides: Path) -> bool:
    """Whether PATH has *executable* somewhere that is not a launcher of ours."""
    found = shutil.which(executable)
    return found is not None and Path(found).parent.resolve() != besides.resolve() and b"lab.plugins" not in Path(found).read_bytes()[:400]
