"""Entry point of the stand-in plugins: `python -m lab.plugins aws|kubernetes ENGINE`, as their launchers call it."""

from __future__ import annotations

import sys

from lab.plugins import NAMES, server
from lab.plugins.provider import Provider


def main() -> None:
    """Serve the plugin that the first argument names to the engine that the second one gives the address of."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in NAMES:
        sys.exit(f"error: no such plugin: {name!r}; one of {', '.join(NAMES)} is expected")
    engine = next((argument for argument in sys.argv[2:] if not argument.startswith("-")), "")
    provider: Provider
    if name == "aws":
        from lab.plugins import aws  # noqa: PLC0415 - each plugin imports its own half only

        provider = aws.Aws()
    else:
        from lab.plugins import kubernetes  # noqa: PLC0415

        provider = kubernetes.Kubernetes()
    server.serve(provider, engine)


if __name__ == "__main__":
    main()
