"""An invalid document holds its own service and what depends on it; the others are loaded as if nothing were wrong."""

import pytest

from reconciler.errors import SpecError
from reconciler.model.text import Unreadable
from tests.unit.specs import ENVIRONMENT, document, loaded, service

COMPONENTS = document("Components", "nodes", 'ids: ["n[1-3]"]\ndesiredConfiguration: base')
LAYER = "branch: main, playbook: a.yaml"
CONFIGURATION = document("Configuration", "base", f"layers:\n- {{cloneUrl: https://example.org/l.git, {LAYER}}}")


def held(desired):
    """Each service on hold with where its reason stands, without the folder that they are all in."""
    return {name: why.replace("specs/lab/", "") for name, why in desired.held.items()}


def declared(desired):
    return [one.name for one in desired.services]


def stacks(desired):
    return sorted({one.stack for one in desired.resources.values()} - {"-"})


def test_a_sound_environment_holds_nothing():
    desired = loaded({"a.yaml": service("kv")})
    assert (desired.held, desired.lost, desired.faults) == ({}, "", ())


def test_a_fault_holds_its_own_service_and_no_other():
    desired = loaded({"a.yaml": service("kv", "replicas: x") + "---\n" + service("kw"), "b.yaml": service("kx")})
    assert held(desired) == {"kv": "a.yaml:6:13: spec.replicas: must be a whole number, not a string"}
    assert declared(desired) == stacks(desired) == ["kw", "kx"]
    assert desired.lost == "the specs have faults: specs/lab/a.yaml:6:13: spec.replicas: must be a whole number, not a string"


def test_the_fault_of_the_second_document_of_a_file_is_not_laid_on_the_first():
    desired = loaded({"a.yaml": service("kv") + "---\n" + service("kw", "replicas: x") + "---\n" + service("kx")})
    assert set(desired.held) == {"kw"}
    assert declared(desired) == ["kv", "kx"]


def test_what_depends_on_a_held_service_is_held_however_far_away():
    files = {
        "a.yaml": service("a", "replicas: x"),
        "b.yaml": service("b", "dependsOn: [a]"),
        "c.yaml": service("c", "dependsOn: [b, d]"),
        "d.yaml": service("d"),
    }
    desired = loaded(files)
    why = "a.yaml:6:13: spec.replicas: must be a whole number, not a string"
    assert held(desired) == {"a": why, "b": f"it depends on a: {why}", "c": f"it depends on a: {why}"}
    assert declared(desired) == ["b", "c", "d"], "documents that are sound are known, whatever holds them"
    assert stacks(desired) == ["b", "c", "d"], "so that a plan can show what waits"


def test_a_circle_holds_all_who_stand_in_it_and_who_wait_for_them():
    files = {
        name: service(name[0], f"dependsOn: [{of}]") for name, of in (("a.yaml", "b"), ("b.yaml", "c"), ("c.yaml", "a"), ("d.yaml", "a"))
    }
    desired = loaded({**files, "e.yaml": service("e")})
    assert set(desired.held) == {"a", "b", "c", "d"}
    assert held(desired)["c"].startswith("it depends on a: a.yaml:6:15: dependsOn goes in a circle")


def test_a_dependency_that_nobody_declares_holds_who_names_it():
    desired = loaded({"a.yaml": service("a", "dependsOn: [ghost]"), "b.yaml": service("b")})
    assert held(desired) == {"a": "a.yaml:6:15: there is no Service ghost. there are a, b"}


def test_a_name_given_twice_holds_both():
    desired = loaded({"a.yaml": service("kv"), "b.yaml": service("kv", "replicas: 1"), "c.yaml": service("kw")})
    assert held(desired) == {"kv": "b.yaml:3:18: Service kv is declared twice, first in a.yaml:3:18"}
    assert declared(desired) == stacks(desired) == ["kw"]


def test_names_that_differ_by_case_hold_both():
    assert set(loaded({"a.yaml": service("kv") + "---\n" + service("KV")}).held) == {"kv", "KV"}


def test_two_services_with_a_member_of_one_name_are_both_held():
    desired = loaded({"a.yaml": service("kv", "options: {shards: 1}"), "b.yaml": service("kv-0", "replicas: 1"), "c.yaml": service("kw")})
    assert set(desired.held) == {"kv", "kv-0"}
    assert declared(desired) == stacks(desired) == ["kw"]


def test_a_file_that_cannot_be_parsed_holds_those_who_need_what_may_be_in_it():
    files = {
        "a.yaml": service("kv") + "---\n" + service("kw") + "\t- x\n",
        "b.yaml": service("kx", "dependsOn: [kw]"),
        "c.yaml": service("ky"),
    }
    desired = loaded(files)
    assert held(desired) == {"kx": "it depends on kw: b.yaml:6:14: the document of kw cannot be read"}
    assert declared(desired) == ["kv", "kx", "ky"], "what came whole before the break is as good as ever"
    assert desired.lost.startswith("the specs have faults: specs/lab/a.yaml:12:1: is no YAML")


@pytest.mark.parametrize(
    "files",
    [
        {"x.yml": service("kw")},
        {"x.yaml": "- just a list\n"},
        {"x.yaml": service("kw").replace("Service", "Servce")},
        {"x.yaml": service("kw").replace("name: kw", "nam: kw")},
        {"x.yaml": b"a: \xff"},
        {"x.yaml": Unreadable(b"is a submodule: put the files there")},
    ],
)
def test_what_names_nothing_holds_nothing_but_removals(files):
    desired = loaded({"a.yaml": service("kv"), **files})
    assert (desired.held, declared(desired)) == ({}, ["kv"])
    assert desired.lost


def test_several_faults_are_counted():
    desired = loaded({"a.yaml": service("kv", "replicas: x\nstopped: 3"), "b.yaml": service("kw", "owner: 7")})
    assert desired.lost.endswith("specs/lab/a.yaml:6:13: spec.replicas: must be a whole number, not a string (and 2 more)")
    assert [fault.origin.path for fault in desired.faults] == ["specs/lab/a.yaml", "specs/lab/a.yaml", "specs/lab/b.yaml"]


def test_a_repository_that_does_not_tell_everything_is_said_so_before_any_fault():
    desired = loaded({"a.yaml": service("kv", "replicas: x")}, lost="the repository is shallow")
    assert desired.lost == "the repository is shallow"
    assert loaded({"a.yaml": service("kv")}, lost="the repository is shallow").lost


@pytest.mark.parametrize(
    "environment",
    [
        "",
        ENVIRONMENT + "  guard: {maxDeletes: many}\n",
        ENVIRONMENT.replace("name: lab", "name: prod"),
        ENVIRONMENT + "---\n" + ENVIRONMENT,
        ENVIRONMENT + "\t- x\n",
    ],
)
def test_without_a_sound_environment_nothing_is_planned_and_all_faults_are_told(environment):
    with pytest.raises(SpecError) as caught:
        loaded({"environment.yaml": environment, "a.yaml": service("kv", "replicas: x")})
    assert any("spec.replicas" in str(fault) for fault in caught.value.faults)
    assert len(caught.value.faults) > 1


def test_a_fault_on_the_component_side_holds_no_service():
    desired = loaded({"a.yaml": service("kv"), "b.yaml": document("Components", "nodes", "ids: [a1]\nenabled: perhaps")})
    assert (desired.held, declared(desired), desired.components) == ({}, ["kv"], ())
    assert desired.lost


def sides(desired):
    return sorted(desired.sources), sorted(desired.configurations), [str(one.ids) for one in desired.components]


def test_components_of_a_broken_configuration_are_held_and_others_go_on():
    broken = CONFIGURATION.replace("base", "broken").replace("playbook: a.yaml", "playbook: ../a.yaml")
    more = document("Components", "more", "ids: [m1]\ndesiredConfiguration: broken")
    bare = document("Components", "bare", "ids: [o1]")
    desired = loaded({"a.yaml": f"{CONFIGURATION}---\n{COMPONENTS}---\n{broken}---\n{more}---\n{bare}"})
    assert sides(desired) == ([], ["base"], ["n[1-3]", "o1"])


def test_a_broken_source_holds_the_configurations_that_name_it_and_their_components():
    source = document("Source", "forge", "cloneUrl: https://example.org/x\ncaCert: 3")
    layers = f"layers:\n- {{source: forge, {LAYER}}}"
    extra = f"layers:\n- {{cloneUrl: https://example.org/l.git, {LAYER}}}\nadditionalInventory: {{source: forge, branch: main}}"
    files = {
        "a.yaml": source,
        "b.yaml": document("Configuration", "one", layers) + "---\n" + document("Configuration", "two", extra) + "---\n" + CONFIGURATION,
        "c.yaml": COMPONENTS + "---\n" + document("Components", "more", "ids: [m1]\ndesiredConfiguration: two"),
    }
    assert sides(loaded(files)) == ([], ["base"], ["n[1-3]"])


def test_a_component_in_two_documents_holds_both():
    desired = loaded({"a.yaml": CONFIGURATION, "b.yaml": COMPONENTS, "c.yaml": document("Components", "more", "ids: [n3]"),
                      "d.yaml": document("Components", "other", "ids: [o1]")})  # fmt: skip
    assert sides(desired) == ([], ["base"], ["o1"])
