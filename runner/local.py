"""A whole session as one process on this machine: the executor `local`."""

from __future__ import annotations

import os
import shutil
import sys

from runner import alive, clone, frames, git, session
from runner.place import SESSION, here


def main() -> int:
    """The exit code, which is also left in the file `exit`."""
    place = here()
    with alive.hold(place.root / "process", str(os.getpid())):
        try:
            clone.prepare(place, os.environ.pop(SESSION))
            code = session.main()
        except (git.GitError, OSError, ValueError) as error:
            code = 1
            frames.append(place.frames, "end", code=code, message=f"the session cannot begin: {error}")
        finally:
            shutil.rmtree(place.mounts, ignore_errors=True)  # secrets are not kept longer than they are needed
        (place.root / "exit").write_text(str(code), encoding="utf-8")
    return code


if __name__ == "__main__":
    sys.exit(main())
