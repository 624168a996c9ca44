"""Plans: their order, their digest, their guard, and the words that people read and tools search for."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler import errors, plan, planfile
from reconciler.kinds import kinds
from reconciler.model.address import ResourceId, parse
from reconciler.model.change import Change, FieldChange
from reconciler.model.environment import Guard
from reconciler.model.observation import gather
from reconciler.model.origin import Revision
from reconciler.model.plan import ComponentsSummary, Drift
from reconciler.model.value import Item, Ref
from reconciler.render import document, markdown, text

REVISION = Revision("1c9e0d2" + "0" * 33, "t" * 40, "lab")
NOTHING = gather([], {})


def change(address, action="create", *fields, stack="kv", owner="engine", reason="declared, not found", **others):
    return Change(parse(address), action, owner, reason, stack, tuple(fields), **others)


def made(*changes, known=100, **others):
    return replace(plan.make(REVISION, changes, NOTHING, **others), known=known)


def test_the_text_is_the_interface_s():
    """The example of the interface, word for word where the meaning is the same."""
    changes = (
        change(
            "volume/lab/orders-db/orders-db-0/data",
            "create",
            FieldChange(("size",), None, "100Gi"),
            FieldChange(("type",), None, "gp3"),
            FieldChange(("zone",), None, "us-east-1a"),
            stack="orders-db",
        ),
        change(
            "record/lab/orders-db-1.db.internal",
            "update",
            FieldChange(("ttl",), 300, 5),
            stack="orders-db",
            owner="members",
            reason="ttl differs",
        ),
        change(
            "kubernetes/lab/kv/StatefulSet/default/kv",
            "update",
            FieldChange(("spec", "template", "spec", "containers", Item("redis"), "image"), "redis:8.0", "redis:8.2"),
            reason="declared fields differ",
            impact="restarts kv-2, kv-1, kv-0",
        ),
        change("kubernetes/lab/old/Service/default/old", "delete", stack="old", reason="no longer declared since 9f2c11a"),
        change(
            "volume/lab/logs/logs-2/data",
            "hold",
            stack="logs",
            reason="could not be read: RequestLimitExceeded; nothing is done about it",
        ),
        change("volume/lab/kv/kv-0/data", "refuse", reason="services/kv.yaml:12:11: size 100Gi -> 50Gi: a volume cannot shrink"),
    )
    summary = (ComponentsSummary("compute-2026-11", 1000, 40, 3, 957, (0, 2)),)
    drifting = replace(
        made(*changes, components=summary),
        drift=(Drift("record/lab/orders-db-1.db.internal", "ttl is 300 live, 5 declared (since the apply of 1c9e0d2)"),),
    )
    assert (
        text.render(drifting)
        == f"""\
Note: objects have changed outside of the specs (each is planned below)
  ~ record/lab/orders-db-1.db.internal   ttl is 300 live, 5 declared (since the apply of 1c9e0d2)

  # kubernetes/lab/kv/StatefulSet/default/kv will be updated in-place (declared fields differ)  # restarts kv-2, kv-1, kv-0
  ~ spec.template.spec.containers[redis].image = "redis:8.0" -> "redis:8.2"
  # volume/lab/kv/kv-0/data is refused (services/kv.yaml:12:11: size 100Gi -> 50Gi: a volume cannot shrink)
  # volume/lab/logs/logs-2/data is on hold (could not be read: RequestLimitExceeded; nothing is done about it)
  # record/lab/orders-db-1.db.internal will be updated in-place (ttl differs; owner: members)
  ~ ttl = 300 -> 5
  # volume/lab/orders-db/orders-db-0/data will be created (declared, not found)
  + size = 100Gi   + type = gp3   + zone = us-east-1a
  # kubernetes/lab/old/Service/default/old will be destroyed (no longer declared since 9f2c11a)

Plan: 1 to add, 2 to change, 1 to destroy. 1 on hold, 1 refused.
Components: 40 of 1000 pending for compute-2026-11 (layers 0, 2), 3 failed.
Digest {drifting.digest} of 1c9e0d2
"""
    )


def test_an_empty_plan_is_falsy_and_says_so():
    empty = made(change("volume/lab/kv/kv-0/data", "keep"))
    assert not empty
    assert text.render(empty) == "No changes. Your infrastructure matches the configuration.\n"


def test_imports_and_forgets_are_counted_only_where_there_are_any():
    counted = made(change("volume/lab/kv/kv-0/data", "adopt"), change("volume/lab/kv/kv-1/data", "forget"))
    assert text.counts(counted) == "Plan: 1 to import, 0 to add, 0 to change, 0 to destroy, 1 to forget."


def test_a_replacement_counts_as_both():
    assert made(change("kubernetes/lab/-/StorageClass/-/c", "replace")).summary == {"add": 1, "destroy": 1}


def test_secrets_are_shown_nowhere():
    secret = FieldChange(("data", "password"), "hunter2", "hunter3", secret=True)
    plan_ = made(change("kubernetes/lab/kv/Secret/default/kv", "update", secret))
    shown = text.render(plan_) + markdown.render(plan_) + str(document.render(plan_, kinds())) + planfile.dump(plan_, "0", 0)
    assert "hunter" not in shown
    assert "(sensitive value)" in shown


def test_json_has_terraform_s_shape():
    size = FieldChange(("size",), None, "10Gi")
    handle = FieldChange(("spec",), None, {"volumeHandle": Ref(parse("volume/lab/kv/kv-0/data"), "id")})
    rendered = document.render(
        made(change("volume/lab/kv/kv-0/data", "create", size), change("kubernetes/lab/kv/PersistentVolume/-/x", "create", handle)), kinds()
    )
    disk, claim = sorted(rendered["resource_changes"], key=lambda item: item["type"])
    assert disk["address"] == "volume/lab/kv/kv-0/data"
    assert disk["change"]["actions"] == ["create"]
    assert disk["change"]["after"] == {"size": "10Gi"}
    assert disk["type"] == "aws_ebs_volume"
    assert claim["change"]["after_unknown"] == {"spec": True}
    assert rendered["summary"]["add"] == 2
    assert rendered["format_version"].startswith("1.")


def test_the_comment_says_losses_first_and_fits():
    many = [change(f"volume/lab/kv/kv-{n}/data", "create", FieldChange(("size",), None, "x" * 200)) for n in range(600)]
    comment = markdown.render(made(*many, change("kubernetes/lab/old/Service/default/old", "delete", stack="old")))
    assert len(comment) <= markdown.LIMIT
    assert comment.index(":warning: kubernetes/lab/old") < comment.index("```diff")
    assert "cut here" in comment


def test_the_digest_is_of_tree_and_changes_not_of_the_commit():
    one = change("volume/lab/kv/kv-0/data", "create", FieldChange(("size",), None, "10Gi"))
    merged = replace(REVISION, commit="m" * 40)
    assert plan.make(REVISION, [one], NOTHING).digest == plan.make(merged, [one], NOTHING).digest
    other = replace(one, fields=(FieldChange(("size",), None, "11Gi"),))
    assert plan.make(REVISION, [one], NOTHING).digest != plan.make(REVISION, [other], NOTHING).digest
    assert plan.make(REVISION, [one], NOTHING).digest != plan.make(replace(REVISION, tree="u" * 40), [one], NOTHING).digest


def deletes(count):
    return [change(f"record/lab/kv-{n}.db.internal", "delete") for n in range(count)]


def test_deleting_everything_always_asks():
    with pytest.raises(errors.UnsafePlanError, match="everything there is") as caught:
        plan.guard(made(*deletes(9), known=9), Guard(max_deletes=100, max_delete_percent=100))
    assert "--allow-deletes 9" in caught.value.hint


def test_too_many_deletions_ask_by_count_and_by_share():
    with pytest.raises(errors.UnsafePlanError, match=r"guard\.maxDeletes 10"):
        plan.guard(made(*deletes(11), known=1000), Guard())
    with pytest.raises(errors.UnsafePlanError, match=r"guard\.maxDeletePercent 30"):
        plan.guard(made(*deletes(10), known=31), Guard())


def test_a_person_s_number_lets_just_that_many_pass():
    plan.guard(made(*deletes(11), known=11), Guard(), allowed=11)
    with pytest.raises(errors.UnsafePlanError, match="deletes 12, 11 allowed"):
        plan.guard(made(*deletes(12), known=12), Guard(), allowed=11)


def test_a_few_deletions_pass():
    plan.guard(made(*deletes(3), known=40), Guard())


def test_a_stale_plan_names_what_moved():
    before = made(change("record/lab/kv-0.db.internal", "update", FieldChange(("ttl",), 300, 5)))
    after = made(change("record/lab/kv-0.db.internal", "update", FieldChange(("ttl",), 600, 5)), change("volume/lab/kv/kv-0/data"))
    saved = planfile.load(planfile.dump(before, "1", 0), "plan.json")
    planfile.check(saved, before, "1", 0)
    with pytest.raises(errors.StalePlan) as caught:
        planfile.check(saved, after, "1", 0)
    assert "record/lab/kv-0.db.internal: ttl was 300 live when it was approved, it is 600" in caught.value.message
    assert "volume/lab/kv/kv-0/data: create was not in the approved plan" in caught.value.message


def test_a_plan_of_another_environment_version_or_day_is_refused():
    saved = planfile.load(planfile.dump(made(), "1", 0), "plan.json")
    for plan_, version, now, why in (
        (made(), "2", 0, "version"),
        (made(), "1", planfile.LASTS + 1, "expired"),
        (replace(made(), revision=replace(REVISION, environment="prod")), "1", 0, "for lab, not prod"),
    ):
        with pytest.raises(errors.StalePlan, match=why):
            planfile.check(saved, plan_, version, now)


@pytest.mark.parametrize("broken", ["", "{}", "[]", '{"reconcile_plan": 9}', "not json", '{"reconcile_plan": 1}'])
def test_what_is_no_plan_file_is_refused_by_name(broken):
    with pytest.raises(errors.UsageError, match=r"my\.json"):
        planfile.load(broken, "my.json")


IDS = st.lists(st.builds(lambda n: ResourceId("volume", "lab", "kv", f"kv-{n}/data"), st.integers(0, 30)), unique=True, max_size=12)


@given(IDS, st.randoms(use_true_random=False))
def test_a_plan_is_a_permutation_of_its_changes_and_respects_needs(ids, random):
    actions = ["create", "update", "delete", "keep"]
    needs = [frozenset(random.sample(ids[:n], min(n, 2))) for n in range(len(ids))]
    changes = [Change(id, random.choice(actions), "engine", "", "kv", needs=need) for id, need in zip(ids, needs, strict=True)]
    random.shuffle(changes)
    ordered = plan.order(changes)
    assert sorted(change.id for change in ordered) == sorted(ids)
    position = {change.id: index for index, change in enumerate(ordered)}
    making = [change for change in ordered if change.action not in {"delete", "forget"}]
    known = {change.id for change in making}
    assert all(position[need] < position[change.id] for change in making for need in change.needs if need in known)
    assert all(position[one.id] < position[other.id] for one in making for other in ordered if other.action == "delete")


def test_a_circle_of_needs_is_named():
    one, two = (ResourceId("volume", "lab", "kv", f"kv-{n}/data") for n in range(2))
    changes = [
        Change(one, "create", "engine", "", "kv", needs=frozenset({two})),
        Change(two, "create", "engine", "", "kv", needs=frozenset({one})),
    ]
    with pytest.raises(errors.ReconcilerError, match="these need each other"):
        plan.order(changes)


def test_of_a_text_of_many_lines_only_those_that_differ_are_shown():
    def shown(before: str | None, after: str | None) -> list[str]:
        fields = (FieldChange(("data", "a.conf"), before, after),)
        return text.fields(Change(parse("kubernetes/lab/kv/ConfigMap/default/kv"), "update", "engine", "", "kv", fields))

    whole = "".join(f"line {n}\n" for n in range(40))
    assert shown(whole, whole.replace("line 7\n", "--flag\n")) == ["  ~ data.a.conf", "      - line 7", "      + --flag"]
    assert shown(whole, whole.replace("line", "row"))[-1] == "      (68 more lines)"
    assert shown("one\r\ntwo\r\n", "one\ntwo\n") == ["  ~ data.a.conf", "      (only the ends of lines differ)"]
    assert (shown(None, whole), shown(whole, None)) == (["  + data.a.conf = (40 lines)"], ["  - data.a.conf = (40 lines) -> null"])
