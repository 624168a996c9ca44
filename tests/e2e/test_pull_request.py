"""A pull request in miniature: a pushed branch gets its plan as a comment; its merge applies that plan, or nothing."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import tool
from tests.e2e.workshop import Repository, Workshop

pytestmark = pytest.mark.e2e

ZONE = "pulls.internal"
NAME = f"cache-0.{ZONE}"
DATA = "volume/lab/cache/cache-0/data"
RECORD = f"record/lab/{NAME}"
CACHE = """\
apiVersion: reconciler/v1
kind: Service
metadata: {name: cache}
spec:
  type: redis
  replicas: 1
  volumes: {data: {size: 3Gi}}
"""


def environment(team: str) -> str:
    return f"""\
apiVersion: reconciler/v1
kind: Environment
metadata: {{name: lab}}
spec:
  zones: [us-east-1a, us-east-1b, us-east-1c]
  aws: {{tags: {{team: {team}}}}}
  dns: {{zone: {ZONE}, ttl: 5s}}
"""


@pytest.fixture(scope="module")
def config(workshop: Workshop) -> Repository:
    """A config repository whose main is applied, with the hook in it."""
    made = workshop.repository("config", {"specs/lab/environment.yaml": environment("first"), "specs/lab/cache.yaml": CACHE})
    workshop.reconcile("apply", "--repo", made.bare, "--auto-approve")
    shutil.copy(tool.root() / "lab" / "pull_request" / "post-receive", made.bare / "hooks")
    command = workshop.directory / "reconcile"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m reconciler "$@"\n')
    command.chmod(0o755)
    workshop.run("git", "-C", made.bare, "config", "reconcile.command", command)
    workshop.run("git", "-C", made.bare, "config", "reconcile.directory", workshop.directory)
    return made


@pytest.fixture
def on_main(config: Repository) -> Iterator[Repository]:
    config.git("checkout", "-q", "main")
    yield config
    config.git("checkout", "-q", "main")


def comment(config: Repository, branch: str) -> str:
    return (config.bare / "comments" / f"{branch}.md").read_text()


def team(workshop: Workshop) -> str:
    return str({tag["Key"]: tag["Value"] for tag in workshop.aws.volume(DATA)["Tags"]}["team"])


def propose(config: Repository, branch: str, files: dict[str, str | None]) -> str:
    """Push *files* as a pull request; the digest that its comment shows, "" where it has none."""
    config.branch(branch)
    config.commit(f"Propose {branch}", files)
    config.push(branch)
    found = re.search(r"^Digest `([0-9a-f]+)`", comment(config, branch), re.MULTILINE)
    return found[1] if found else ""


def test_a_branch_is_planned_and_its_merge_applies_that_plan(workshop: Workshop, on_main: Repository) -> None:
    assert propose(on_main, "pr/second-team", {"specs/lab/environment.yaml": environment("second")})
    said = comment(on_main, "pr/second-team")
    assert DATA in said
    assert "second" in said
    assert team(workshop) == "first"
    on_main.merge("pr/second-team")
    said = on_main.push("main")
    assert "was applied (exit code 0)" in said
    assert team(workshop) == "second"
    assert "was applied (exit code 0)" in comment(on_main, "pr/second-team")
    assert "No changes." in workshop.reconcile("plan", "--repo", on_main.bare).stdout


def test_a_merge_after_drift_is_refused_with_what_moved(workshop: Workshop, on_main: Repository) -> None:
    before = team(workshop)
    digest = propose(on_main, "pr/third-team", {"specs/lab/environment.yaml": environment("third")})
    workshop.aws.set_ttl(ZONE, NAME, 77)
    on_main.merge("pr/third-team")
    said = on_main.push("main")
    assert "(exit code 4)" in said
    assert re.search(rf"{re.escape(RECORD)}: update was not in the approved plan \(ttl is 77 live, 5 declared\)", said)
    assert "was refused" in comment(on_main, "pr/third-team")
    assert (team(workshop), workshop.aws.record(ZONE, NAME)["TTL"]) == (before, 77)

    workshop.aws.set_ttl(ZONE, NAME, 5)  # put right, the old approval holds again
    workshop.reconcile("apply", "--repo", on_main.bare, "--digest", digest)
    assert team(workshop) == "third"


def test_a_merge_of_a_branch_that_main_has_left_behind_is_refused(workshop: Workshop, on_main: Repository) -> None:
    late = propose(on_main, "pr/late", {"specs/lab/cache.yaml": CACHE.replace("3Gi", "4Gi")})
    assert propose(on_main, "pr/early", {"specs/lab/environment.yaml": environment("early")})
    on_main.merge("pr/early")
    assert "was applied (exit code 0)" in on_main.push("main")
    on_main.merge("pr/late")
    said = on_main.push("main")
    assert "(exit code 4)" in said
    assert re.search(r"the specs: tree [0-9a-f]{7} was approved, this is [0-9a-f]{7}", said)
    assert workshop.aws.volume(DATA)["Size"] == 3
    workshop.reconcile("apply", "--repo", on_main.bare, "--digest", late, code=4)
    on_main.git("revert", "--no-edit", "-m", "1", "HEAD")
    on_main.push("main")


def test_branches_that_are_merged_together_are_not_applied(workshop: Workshop, on_main: Repository) -> None:
    before = team(workshop)
    propose(on_main, "pr/one", {"specs/lab/environment.yaml": environment("one")})
    propose(on_main, "pr/two", {"specs/lab/cache.yaml": CACHE.replace("3Gi", "5Gi")})
    on_main.merge("pr/one")
    on_main.merge("pr/two")
    assert "merge one pull request at a time" in on_main.push("main")
    assert (team(workshop), workshop.aws.volume(DATA)["Size"]) == (before, 3)
    on_main.git("reset", "-q", "--hard", "HEAD~2")
    on_main.push("--force", "main")


def test_a_branch_that_says_nonsense_gets_its_faults_as_the_comment(on_main: Repository) -> None:
    broken = CACHE.replace("replicas: 1", "replicas: many")
    propose(on_main, "pr/nonsense", {"specs/lab/cache.yaml": broken})
    assert re.search(r"cache\.yaml:6:\d+:", comment(on_main, "pr/nonsense"))
    assert not (on_main.bare / "comments" / "pr" / "nonsense.md.digest").exists(), "there is nothing to approve"


def test_a_push_without_a_pull_request_applies_nothing(workshop: Workshop, on_main: Repository) -> None:
    before = team(workshop)
    on_main.commit("Sneak it in", {"specs/lab/environment.yaml": environment("nobody")})
    assert "nothing is applied" in on_main.push("main")
    assert team(workshop) == before
    on_main.git("revert", "--no-edit", "HEAD")
    on_main.push("main")


def test_the_script_says_how_to_install_itself(workshop: Workshop) -> None:
    hook = Path(tool.root() / "lab" / "pull_request" / "post-receive")
    assert workshop.run("sh", "-n", hook).stderr == ""
    assert hook.stat().st_mode & 0o111
