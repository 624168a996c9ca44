"""What a number was measured on: enough to read it by, and nothing that names the machine."""

from __future__ import annotations

import datetime as dt
import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lab import tool

LIBRARIES = ("botocore", "click", "httpx2", "moto", "pulumi", "pydantic", "ruamel.yaml")


def facts() -> dict[str, Any]:
    """Cores, memory, kernel, versions, and how busy it was."""
    return {
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "commit": _said("git", "rev-parse", "--short", "HEAD"),
        "cores": os.cpu_count(),
        "processor": _line("/proc/cpuinfo", "model name"),
        "memory_mib": int(_line("/proc/meminfo", "MemTotal").split()[0]) // 1024,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in LIBRARIES},
        "pulumi": _said("pulumi", "version"),
        "kubernetes": _said("kube-apiserver", "--version").removeprefix("Kubernetes "),
        "load_average": load(),
    }


def load() -> float:
    """How many processes wanted a core, over the last minute."""
    return round(os.getloadavg()[0], 2)


def _line(path: str, name: str) -> str:
    lines = (line.partition(":") for line in Path(path).read_text().splitlines())
    return next((value.strip() for key, _, value in lines if key.strip() == name), "0")


def _said(*command: str) -> str:
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "PATH": tool.path()})
    except FileNotFoundError:
        return ""
    return answer.stdout.strip()
