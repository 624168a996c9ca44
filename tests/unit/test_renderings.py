"""One plan with everything that a plan can say, as text, JSON and a pull-request comment: word for word as the files of tests/renderings.

`python -m tests.unit.test_renderings` writes them anew; read the difference before it is committed.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler import plan as planning
from reconciler.kinds import kinds
from reconciler.model.address import parse
from reconciler.model.change import Change, FieldChange, Left
from reconciler.model.observation import gather
from reconciler.model.origin import Revision
from reconciler.model.plan import ComponentsSummary, Conflict, Drift, Plan
from reconciler.model.value import Item, Ref
from reconciler.render import document, markdown, text

FOLDER = Path(__file__).parents[1] / "renderings"
SINCE = "(since the apply of 1c9e0d2)"
SET = "kubernetes/lab/kv/StatefulSet/default/kv"
PASSWORD = FieldChange(("data", "password"), "hunter2", "hunter3", secret=True)


def change(address: str, action: Any, reason: str, *fields: FieldChange, **others: Any) -> Change:
    stack = others.pop("stack", parse(address).service)
    return Change(parse(address), action, others.pop("owner", "engine"), reason, stack, fields, **others)


def changing() -> list[Change]:
    """What is done."""
    ttl = FieldChange(("ttl",), 300, 5, drift=True)
    image = FieldChange(("spec", "template", "spec", "containers", Item("redis"), "image"), "redis:8.0", "redis:8.2")
    replicas = FieldChange(("spec", "replicas"), 7, 3, drift=True)
    flaps = "spec.replicas flaps: kube-controller-manager [HPA] set it 3 times since 2026-11-22T05:00Z; add it to ignore or end that"
    size = FieldChange(("size",), "10Gi", "20Gi")
    cpu = Left(
        ("spec", "template", "spec", "containers", Item("redis"), "resources"),
        "the autoscaler owns it",
        {"cpu": 2},
        {"cpu": 1},
        differs=True,
    )
    handle = FieldChange(("spec",), None, {"csi": {"volumeHandle": Ref(parse("volume/lab/new/new-0/data"), "id")}})
    return [
        change("record/lab/kv-1.db.internal", "update", "ttl differs", ttl, owner="members", stack="kv"),
        change(
            SET, "update", f"declared fields differ; {flaps}", image, replicas, impact="restarts kv-2, kv-1, kv-0; stops kv-6", left=(cpu,)
        ),
        change("volume/lab/kv/kv-1/data", "update", "size differs", size, impact="irreversible: a volume cannot shrink", live_id="vol-2"),
        change("kubernetes/lab/kv/Secret/default/kv", "update", "declared fields differ", PASSWORD),
        change("volume/lab/new/new-0/data", "create", "declared, not found", FieldChange(("size",), None, "8Gi")),
        change("kubernetes/lab/new/PersistentVolume/-/lab-new-0-data", "create", "declared, not found", handle),
        change("volume/lab/crash/crash-0/data", "adopt", "live with our marks, unknown to the engine", live_id="vol-9"),
        change("kubernetes/lab/old/StatefulSet/default/old", "delete", "no longer declared since 9f2c11a", impact="stops old-0"),
        change("volume/lab/old/old-0/data", "forget", "no longer declared since 9f2c11a; it is kept", impact="data is kept"),
        change("volume/lab/kv/kv-9/data", "keep", "as declared"),
    ]


def staying() -> list[Change]:
    """What is left as it is."""
    fault = "specs/lab/services/broken.yaml:7:13: spec.replicas: must be a whole number, not a string. write it without quotes: 3"
    lift = "to lift that, apply a commit with `protect: false` for its service; the next one may remove it"
    return [
        change("volume/lab/logs/logs-2/data", "hold", "could not be read: RequestLimitExceeded; nothing is done about it"),
        change(
            "volume/lab/kv/kv-2/data",
            "hold",
            "iops 3000 -> 4000 has to wait: 4 modifications in 24 hours, the next from 2026-11-22T17:00Z",
            FieldChange(("iops",), 3000, 4000),
            stands=True,
        ),
        change("volume/lab/kv/kv-0/data", "refuse", "services/kv.yaml:12:11: size 100Gi -> 50Gi: a volume cannot shrink"),
        change("kubernetes/lab/safe/StatefulSet/default/safe", "refuse", f"no longer declared since 9f2c11a, but it is protected; {lift}"),
        change("volume/lab/broken/broken-0/data", "hold", fault),
        change("kubernetes/lab/broken/StatefulSet/default/broken", "hold", fault),
    ]


def whole() -> Plan:
    """A plan with everything."""
    made = planning.make(Revision("1c9e0d2" + "0" * 33, "t" * 40, "lab"), [*changing(), *staying()], gather([], {}))
    drift = (
        Drift("record/lab/kv-1.db.internal", f"ttl is 300 live, 5 declared {SINCE}", FieldChange(("ttl",), 300, 5), "1c9e0d2" + "0" * 33),
        Drift(SET, f"spec.replicas is 7 live, 3 declared {SINCE}", FieldChange(("spec", "replicas"), 7, 3), "1c9e0d2" + "0" * 33),
        Drift("kubernetes/lab/kv/Secret/default/kv", f"data.password is (sensitive value) {SINCE}", PASSWORD, "1c9e0d2" + "0" * 33),
        Drift("volume/lab/new/new-0/data", f"is gone {SINCE}", None, "1c9e0d2" + "0" * 33),
    )
    return replace(
        made,
        drift=drift,
        conflicts=(Conflict(SET, "spec.replicas", "kube-controller-manager [HPA]", 3, "2026-11-22T05:00Z"),),
        held={"broken": next(one.reason for one in made.changes if one.stack == "broken")},
        components=(ComponentsSummary("compute-2026-11", 1000, 40, 3, 957, (0, 2)),),
        warnings=("zone us-east-1c has no node: kv-2 will wait for one",),
    )


def rendered() -> dict[str, str]:
    """The plan in every form, by the name of its file."""
    plan = whole()
    told = json.dumps(document.render(plan, kinds()), indent=1, default=str) + "\n"
    return {"plan.txt": text.render(plan), "plan.json": told, "plan.md": markdown.render(plan)}


@pytest.mark.parametrize("name", ["plan.txt", "plan.json", "plan.md"])
def test_a_plan_is_told_word_for_word_as_before(name: str) -> None:
    assert rendered()[name] == (FOLDER / name).read_text()


def test_no_form_tells_a_secret() -> None:
    assert not any("hunter" in told for told in rendered().values())


def test_a_comment_fits_whatever_the_plan() -> None:
    many = [change(f"volume/lab/kv/kv-{n}/data", "hold", "could not be read: RequestLimitExceeded " + "x" * 100) for n in range(2000)]
    told = markdown.render(planning.make(whole().revision, many, gather([], {})))
    assert len(told) <= markdown.LIMIT
    assert "more lines: the whole plan is in the run's log" in told


def test_every_loss_hold_and_refusal_is_seen_before_the_fold_of_a_comment() -> None:
    head = rendered()["plan.md"].partition("```diff")[0]
    assert all(str(one.id) in head for one in whole().changes if one.action in {"delete", "forget", "refuse"})
    assert all(str(one.id) in head for one in whole().changes if one.action == "hold" and one.stack != "broken")
    assert "service/lab/broken is on hold" in head


if __name__ == "__main__":
    for name, told in rendered().items():
        (FOLDER / name).write_text(told)
