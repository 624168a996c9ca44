"""A pull request in miniature: a branch is planned when it is pushed; its merge applies what was read, or nothing."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from pathlib import Path

from lab import tool
from lab.demo import outside, place
from lab.demo.first import ZONE
from lab.demo.stage import Stage

_BRANCH = "pr/more-room"
_GIT = f"git -C {place.CLONE}"
_NAME = f"kv-2.{ZONE}"
_DATA = "volume/lab/kv/kv-0/data"


def play(stage: Stage) -> None:
    aws = outside.connect(place.running())
    _install(stage)
    digest = _propose(stage)
    stage.say("Meanwhile somebody changes a record by hand. The merge would now do something else than what was read:")
    stage.show_python(f"route53.change_resource_record_sets(… UPSERT {_NAME} … TTL=60)")
    aws.set_ttl(ZONE, _NAME, 60)
    stage.shell(f"{_GIT} checkout -q main && {_GIT} merge -q --no-ff -m 'Merge {_BRANCH}' {_BRANCH}")
    said = stage.shell(f"{_GIT} push -q").stderr
    stage.check("exit code 4" in said and f"record/lab/{_NAME}" in said and "ttl" in said, "refused, naming what moved")
    stage.check(aws.volume(_DATA)["Size"] == 10, "nothing was applied")
    stage.say("Once that is put right, the digest that was approved holds again:")
    stage.show_python(f"route53.change_resource_record_sets(… UPSERT {_NAME} … TTL=5)")
    aws.set_ttl(ZONE, _NAME, 5)
    stage.reconcile("apply", "--digest", digest, head=0, tail=0)
    stage.check(aws.volume(_DATA)["Size"] == 12, "the volumes have grown")
    stage.reconcile("history")
    stage.check("No changes." in stage.reconcile("plan").stdout, "git and the world agree")


def _install(stage: Stage) -> None:
    """Let a hook of the bare repository do what a code host and its CI do."""
    hook = os.path.relpath(tool.root() / "lab" / "pull_request" / "post-receive")
    command = shutil.which("reconcile", path=str(Path(sys.executable).parent)) or "reconcile"
    stage.say("A hook of config.git plans what is pushed to pr/…, and applies the plan of what is merged into main.")
    stage.shell(f"cp {hook} {place.BARE}/hooks/ && git -C {place.BARE} config reconcile.directory {shlex.quote(str(Path.cwd()))}")
    stage.quiet_shell(f"git -C {place.BARE} config reconcile.command {shlex.quote(command)}")


def _propose(stage: Stage) -> str:
    """Push a branch and read the comment; the digest it ends in."""
    stage.shell(f"{_GIT} checkout -qb {_BRANCH} && sed -i 's/size: 10Gi/size: 12Gi/' {place.SPECS}/services/kv.yaml")
    stage.shell(f"{_GIT} commit -qam 'Give kv more room' && {_GIT} push -q origin {_BRANCH}")
    comment = stage.shell(f"cat {place.BARE}/comments/{_BRANCH}.md").stdout
    digest = re.search(r"^Digest `([0-9a-f]+)`", comment, re.MULTILINE)
    stage.check(digest and _DATA in comment, "the comment tells what the merge would do, and under which digest")
    return digest[1] if digest else ""
