"""Part of the stand-in plugins: Pulumi's generated protocol modules without the SDK around them, which would cost each start 0.1 s."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import sys
import types
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def bare_sdk() -> Iterator[None]:
    """Let `pulumi` and `pulumi.runtime` be bare folders for the imports within, unless the SDK is loaded already."""
    found = importlib.util.find_spec("pulumi") if "pulumi" not in sys.modules else None
    bare = dict(_folders(Path(found.origin).parent)) if found is not None and found.origin is not None else {}
    sys.modules.update(bare)
    try:
        yield
    finally:
        for name in bare:
            del sys.modules[name]  # whoever imports the SDK later gets the whole of it


def sdk_version(package: str) -> str:
    """The version that the installed SDK of *package* (`pulumi_aws`) asks of its plugin."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        return "0.0.0"
    return str(json.loads(Path(found.origin).with_name("pulumi-plugin.json").read_text())["version"])


def _folders(base: Path) -> Iterator[tuple[str, types.ModuleType]]:
    for name, folder in (("pulumi", base), ("pulumi.runtime", base / "runtime"), ("pulumi.runtime.proto", base / "runtime" / "proto")):
        module = types.ModuleType(name)
        module.__path__ = [str(folder)]
        yield name, module


with bare_sdk():
    from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

__all__ = ["bare_sdk", "plugin_pb2", "provider_pb2", "provider_pb2_grpc", "sdk_version", "status_pb2"]
