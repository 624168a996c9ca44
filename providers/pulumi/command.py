"""How the engine's command is run: in a session of its own, so that Ctrl-C at our terminal does not reach it.

Interrupted itself, the engine would cancel what its providers are just making. We start no other stack, and let the one at work finish.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from concurrent import futures
from typing import IO

from pulumi import automation
from pulumi.automation import errors

OnOutput = automation.OnOutput | None


class Command(automation.PulumiCommand):
    """`pulumi` as the Automation API runs it, but for the session."""

    def run(
        self, args: list[str], cwd: str, additional_env: Mapping[str, str], on_output: OnOutput = None, on_error: OnOutput = None
    ) -> automation.CommandResult:
        """Run it to its end; CommandError where that is not a good one."""
        with (
            subprocess.Popen(
                [self.command, "--non-interactive", *args],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=cwd,
                env={**os.environ, **additional_env, "PULUMI_AUTOMATION_API": "true"},
                encoding="utf-8",
                start_new_session=True,
            ) as process,
            futures.ThreadPoolExecutor(2) as pool,
        ):
            said, complained = pool.map(_heard, (process.stdout, process.stderr), (on_output, on_error))
            code = process.wait()
        result = automation.CommandResult(stdout=said, stderr=complained, code=code)
        if code:
            raise errors.create_command_error(result)
        return result


def _heard(stream: IO[str] | None, tell: OnOutput) -> str:
    """All that comes out of *stream*, each line told as it comes."""
    lines = []
    for line in stream or ():
        lines.append(line.rstrip())
        if tell:
            tell(lines[-1])
    return "\n".join(lines)
