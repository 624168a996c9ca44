"""Asks, verifies, clears up. Nothing is made before somebody has said yes to the account and the cluster by name."""

from __future__ import annotations

import argparse
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.verify import place
from tests.verify.judge import Judge
from tests.verify.steps import Verification

# 8 GiB of gp3 for an hour is a tenth of a cent; a hosted zone that lives less than 12 hours is free; interfaces are.
COST = "less than a cent of EBS; a hosted zone is free when it goes within 12 hours"


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when every sentence was true and nothing is left, 1 otherwise."""
    asked = _arguments(arguments)
    document = YAML(typ="safe").load(asked.environment.read_text())
    name = f"verify-{secrets.token_hex(3)}"
    spec = _spec(document["spec"], name)
    judge = Judge(name, spec, asked.judge_profile, asked.judge_kubeconfig)
    if not (asked.yes or _agreed(judge)):
        return 1
    folder = Path(tempfile.mkdtemp(prefix="reconcile-verify-"))
    ok = False
    try:
        made = place.make(folder, name, {**document, "spec": spec})
        ok = _all(Verification(made, judge, bool(spec.get("aws", {}).get("subnets"))))
    finally:
        print(f"clearing up whatever carries reconciler/environment={name}", flush=True)
        left = judge.clear()
        print("\n".join(f"  still there: {id}" for id in left) or "  nothing is left", flush=True)
    if ok and not left:
        shutil.rmtree(folder)
        return 0
    print(f"the repository and the engine's record are kept in {folder}")
    return 1


def _spec(given: dict[str, Any], name: str) -> dict[str, Any]:
    """The user's spec, with a zone of this run's own: names in a zone that others use are not touched."""
    return {**given, "dns": {**given.get("dns", {}), "zone": f"{name}.reconciler.internal", "private": True}}


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.verify", description=__doc__)
    parser.add_argument("environment", type=Path, help="an Environment document of yours: zones, aws (vpc, subnets), kubernetes, engine")
    parser.add_argument("--judge-profile", default="", help="an AWS profile to look and clear up with; default: the engine's")
    parser.add_argument("--judge-kubeconfig", default="", help="the same for kubectl")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    return parser.parse_args(arguments)


def _agreed(judge: Judge) -> bool:
    cluster = judge.kubectl("config", "current-context").strip() if not judge.spec.get("kubernetes", {}).get("context") else ""
    print(f"account {judge.account()}, region {judge.region}, cluster {cluster or judge.spec['kubernetes']['context']}")
    print(f"makes 4 volumes of 1 to 2 GiB, a private hosted zone and two StatefulSets without Pods; {COST}")
    print("everything is tagged and goes again at the end")
    return input("Only 'yes' goes on: ") == "yes"


def _all(verification: Verification) -> bool:
    for sentence, step in verification.steps():
        begun = time.monotonic()
        try:
            step()
        except RuntimeError as error:
            print(f"NO   {sentence}\n{error}", flush=True)
            return False
        print(f"yes  {sentence} ({time.monotonic() - begun:.0f} s)", flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
