"""A working directory with a lab in it, and what a test does there: our commands as a person runs them, git, and the judge's own looks."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lab import tool
from lab.demo import outside
from lab.demo.outside import Outside
from lab.layout import Layout
from tests import printed

_GIT = {f"GIT_{who}_{what}": "e2e@localhost" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
Ended = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class Workshop:
    """*directory* is where commands run; the environment `lab` finds *running* there."""

    directory: Path
    running: Layout

    @cached_property
    def aws(self) -> Outside:
        """AWS as the judge sees it."""
        return outside.connect(self.running)

    @cached_property
    def environment(self) -> Mapping[str, str]:
        """What commands find in their environment: nothing of the caller's that would lead elsewhere."""
        own = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "GIT_", "KUBE", "PULUMI_", "RECONCILE_"))}
        tools = {"RECONCILE_TOOLS": os.environ["RECONCILE_TOOLS"]} if "RECONCILE_TOOLS" in os.environ else {}
        git = {**_GIT, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        judge = {"KUBECONFIG": self.running.kubernetes.kubeconfigs["judge"]}
        return {**own, **tools, **git, **judge, "PATH": tool.path(), "PYTHONPATH": str(tool.root())}

    def run(self, *words: str | Path, code: int | None = 0, cwd: Path | None = None) -> Ended:
        """Run a command; it has to end with *code*, unless that is None."""
        ended = subprocess.run(words, cwd=cwd or self.directory, env=self.environment, capture_output=True, text=True, check=False)
        assert code in (None, ended.returncode), f"{words} ended with {ended.returncode}:\n{ended.stdout}\n{ended.stderr}"
        return ended

    def reconcile(self, *words: str | Path, code: int | None = 0) -> Ended:
        """Run `reconcile` with *words*, in a process of its own; JSON that it prints has to be as its schema says."""
        ended = self.run(sys.executable, "-m", "reconciler", *words, code=code)
        if ended.stdout:
            printed.check(tuple(map(str, words)), ended.stdout)
        return ended

    def kubectl(self, *words: str) -> str:
        """What the judge's kubectl says."""
        return self.run("kubectl", *words).stdout

    def repository(self, name: str, files: Mapping[str, str]) -> Repository:
        """A bare repository with one commit of *files* on main, and a clone to make more in."""
        bare, clone = self.directory / f"{name}.git", self.directory / name
        self.run("git", "init", "-q", "--bare", "-b", "main", bare)
        self.run("git", "init", "-q", "-b", "main", clone)
        self.run("git", "-C", clone, "remote", "add", "origin", bare)
        made = Repository(self, bare, clone)
        made.commit("Begin", files)
        made.push("main")
        return made


@dataclass(frozen=True)
class Repository:
    """*bare* is what everybody reads, *clone* where commits are made."""

    workshop: Workshop
    bare: Path
    clone: Path

    def git(self, *words: str | Path) -> Ended:
        """Run git in the clone."""
        return self.workshop.run("git", "-C", self.clone, *words)

    def commit(self, message: str, files: Mapping[str, str | None]) -> str:
        """Write *files* (None removes one) and commit; the commit's id."""
        for path, text in files.items():
            target = self.clone / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if text is None:
                target.unlink()
            else:
                target.write_text(text)
        self.git("add", "--all")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD").stdout.strip()

    def push(self, *refs: str) -> str:
        """Push; what the other side said (a hook's words among it)."""
        return self.git("push", "-q", "origin", *refs).stderr

    def branch(self, name: str) -> None:
        """Go to the new branch *name*, begun at main."""
        self.git("checkout", "-q", "-b", name, "main")

    def merge(self, name: str) -> None:
        """Go to main and merge *name* into it, as a code host does: with a commit of its own."""
        self.git("checkout", "-q", "main")
        self.git("merge", "-q", "--no-ff", "-m", f"Merge {name}", name)
