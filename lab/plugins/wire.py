"""Part of the stand-in plugins: Pulumi's generated protocol modules without the SDK around them, which would cost each start 0.1 s."""

from __future__ import annotations

import importlib.util
import sys
import types
from pathlib import Path


def _spare_the_sdk() -> None:
    """Let `pulumi` and `pulumi.runtime` be bare folders in this process, unless the SDK is loaded already."""
    found = importlib.util.find_spec("pulumi") if "pulumi" not in sys.modules else None
    if found is None or found.origin is None:
        return
    base = Path(found.origin).parent
    for name, folder in (("pulumi", base), ("pulumi.runtime", base / "runtime"), ("pulumi.runtime.proto", base / "runtime" / "proto")):
        bare = types.ModuleType(name)
        bare.__path__ = [str(folder)]
        sys.modules[name] = bare


def sdk_version(package: str) -> str:
    """The version that the installed SDK of *package* (`pulumi_aws`) asks of its plugin."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        return "0.0.0"
    import json  # noqa: PLC0415 - only GetPluginInfo needs it

    return str(json.loads(Path(found.origin).with_name("pulumi-plugin.json").read_text())["version"])


_spare_the_sdk()

from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2  # noqa: E402

__all__ = ["plugin_pb2", "provider_pb2", "provider_pb2_grpc", "sdk_version", "status_pb2"]
