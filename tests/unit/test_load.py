"""Specs → Desired: what is made of good ones, and the exact words and places for bad ones, all at once."""

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler import kinds
from reconciler.errors import SpecError
from reconciler.kinds import ServiceType
from reconciler.model.address import ResourceId, parse
from reconciler.model.origin import Origin
from reconciler.model.resource import Resource
from reconciler.model.text import Unreadable
from reconciler.specs.load import load
from tests.unit.specs import ENVIRONMENT, REVISION, TYPES, document, loaded, service


def faults(files, **others):
    """Each fault as it is printed, without the folder that they are all in."""
    try:
        found = loaded(files, **others).faults
    except SpecError as error:
        found = error.faults
    return [str(fault).removeprefix("specs/lab/") for fault in found]


COMPONENTS = document("Components", "nodes", 'ids: ["n[1-3]"]\ndesiredConfiguration: base')
CONFIGURATION = document("Configuration", "base", "layers:\n- {cloneUrl: https://example.org/l.git, branch: main, playbook: a.yaml}")

FIELDS_OF_A_SERVICE = (
    "addresses, deletionPolicy, dependsOn, ignore, movedFrom, namespace, options, owner, paused, podTemplate, policy, protect, replicas, "
    "resources, restartedAt, restoreFrom, rotation, snapshots, stopped, type, version, volumes, windows, zones"
)

BAD = {
    "an unknown field stands at its name": (
        service("kv", "replica: 3"),
        ["a.yaml:6:3: unknown field spec.replica. did you mean replicas?"],
    ),
    "an unknown field deep inside": (
        service("kv", "volumes:\n  data: {size: 1Gi, typ: gp3}"),
        ["a.yaml:7:23: unknown field spec.volumes.data.typ. did you mean type?"],
    ),
    "a name of the code's own is unknown": (
        service("kv", "depends_on: []\nname: x\norigin: y\npinned: {}"),
        [
            "a.yaml:6:3: unknown field spec.depends_on. did you mean dependsOn?",
            "a.yaml:7:3: unknown field spec.name. did you mean namespace?",
            f"a.yaml:8:3: unknown field spec.origin. there are {FIELDS_OF_A_SERVICE}",
            f"a.yaml:9:3: unknown field spec.pinned. there are {FIELDS_OF_A_SERVICE}",
        ],
    ),
    "a missing field stands at the mapping around it": (
        service("kv", "volumes:\n  data: {type: gp3}"),
        ["a.yaml:7:11: spec.volumes.data.size is missing"],
    ),
    "wrong types say which": (
        service("kv", 'replicas: "3"\nstopped: no\nversion: 8.10\nzones: a\nvolumes: []\nowner: 7\nnamespace:'),
        [
            "a.yaml:6:13: spec.replicas: must be a whole number, not a string. write it without quotes: 3",
            "a.yaml:7:12: spec.stopped: must be true or false, not a string. YAML 1.2 has only true and false: write false",
            'a.yaml:8:12: spec.version: must be a string, not a number. quote it: "8.10"',
            "a.yaml:9:10: spec.zones: must be a list, not a string",
            "a.yaml:10:12: spec.volumes: must be a mapping, not a list",
            'a.yaml:11:10: spec.owner: must be a string, not a whole number. quote it: "7"',
            "a.yaml:12:13: spec.namespace: must be a string, not empty",
        ],
    ),
    "a word that is none of those allowed": (
        service("kv", "addresses: privat"),
        ["a.yaml:6:14: spec.addresses: must be one of none, private, elastic. did you mean private?"],
    ),
    "numbers out of range": (
        service("kv", "replicas: 0\nvolumes:\n  a: {size: 100}\n  b: {size: 20Ti}\n  c: {size: 1Gi, type: io2, throughput: 200}"),
        [
            "a.yaml:6:13: spec.replicas: must be greater than or equal to 1",
            "a.yaml:8:15: spec.volumes.a.size: 100 is not a whole number of GiB, which is all that a volume can have: write 1Gi",
            "a.yaml:10:8: spec.volumes.c.iops: a volume of type io2 must say its iops",
            "a.yaml:10:15: spec.volumes.c.size: 1Gi is out of range: a io2 volume has 4Gi to 65536Gi",
            "a.yaml:10:43: spec.volumes.c.throughput: a volume of type io2 takes no throughput",
        ],
    ),
    "an unknown type hides nothing": (
        service("kv", "replicas: -1\ndependsOn: [nobody]", type_="stor"),
        [
            "a.yaml:5:9: there is no service type stor. did you mean store?",
            "a.yaml:6:13: spec.replicas: must be greater than or equal to 1",
            "a.yaml:7:15: there is no Service nobody. there is kv",
        ],
    ),
    "options are those of the type": (
        service("kv", "options:\n  heep: 1Gi\n  shards: few"),
        [
            "a.yaml:7:5: unknown field spec.options.heep. did you mean heap?",
            "a.yaml:8:13: spec.options.shards: must be a whole number, not a string",
        ],
    ),
    "a Pod template of another shape": (
        service(
            "kv",
            "podTemplate:\n  spec:\n    containers: [{name: a, env: [b], volumeMounts: [{name: c}]}]\n  containers: []",
            type_="unheard",
        ),
        [
            "a.yaml:5:9: there is no service type unheard. there are queue, store",
            "a.yaml:8:36: spec.podTemplate.spec.containers[0].env[0]: must be a mapping, not a string",
            "a.yaml:8:55: spec.podTemplate.spec.containers[0].volumeMounts[0].mountPath is missing",
            "a.yaml:9:5: unknown field spec.podTemplate.containers. there are metadata, spec",
        ],
    ),
    "what the type itself finds": (
        service("kv", "options:\n  heap: 64Gi"),
        ["a.yaml:7:11: a heap of 64Gi has no compressed pointers. 31Gi at most"],
    ),
    "a version that the type does not have": (
        service("kv", 'version: "6"'),
        ["a.yaml:6:12: store has no version 6. there are 8.0, 7.2"],
    ),
    "a zone that the environment does not have": (
        service("kv", "zones: [us-east-1a, us-east-1c]"),
        ["a.yaml:6:23: the environment has no zone us-east-1c. did you mean us-east-1b?"],
    ),
    "what is not there yet, and its default": (
        service("kv", "snapshots: {every: 1d, keep: 3}\ndeletionPolicy: Retain\npolicy: approval\nwindows: []"),
        [
            "a.yaml:8:3: policy approval is not supported yet. leave it out until a release brings it",
        ],
    ),
    "dangling references": (
        service("kv", "dependsOn: [kw, kx]")
        + "---\n"
        + service("kw")
        + "---\n"
        + COMPONENTS
        + "---\n"
        + document("Configuration", "bass", "layers:\n- {source: forge, commit: " + "0" * 40 + ", playbook: a.yaml}"),
        [
            "a.yaml:6:19: there is no Service kx. there are kv, kw",
            "a.yaml:19:25: there is no Configuration base. did you mean bass?",
            "a.yaml:26:14: there is no Source forge",
            'a.yaml:26:29: spec.layers[0].commit: must be a string, not a whole number. quote it: "' + "0" * 40 + '"',
        ],
    ),
    "a fault elsewhere in its document hides no reference": (
        document("Components", "nodes", 'ids: ["n[", n1]\ndesiredConfiguration: base\nids2: x')
        + "---\n"
        + document("Components", "more", "ids: [n1]")
        + "---\n"
        + service("kv", "replicas: x\ndependsOn: [kx, 3]"),
        [
            "a.yaml:5:9: spec.ids[0]: 'n[' is no host list, which is names with ranges in brackets: nid[000001-001000], a[1-3,7]",
            "a.yaml:6:25: there is no Configuration base",
            "a.yaml:7:3: unknown field spec.ids2. did you mean ids?",
            "a.yaml:13:9: component n1 is declared already in specs/lab/a.yaml:5:15",
            "a.yaml:20:13: spec.replicas: must be a whole number, not a string",
            "a.yaml:21:15: there is no Service kx. there is kv",
            'a.yaml:21:19: spec.dependsOn[1]: must be a string, not a whole number. quote it: "3"',
        ],
    ),
    "a circle of services, once": (
        service("a", "dependsOn: [b]")
        + "---\n"
        + service("b", "dependsOn: [c]")
        + "---\n"
        + service("c", "dependsOn: [x, a]")
        + "---\n"
        + service("x", "dependsOn: [x]"),
        [
            "a.yaml:6:15: dependsOn goes in a circle: a → b → c → a. take one of them out",
            "a.yaml:27:15: dependsOn goes in a circle: x → x. take one of them out",
        ],
    ),
    "two of one name": (
        service("kv") + "---\n" + service("kv"),
        ["a.yaml:9:18: Service kv is declared twice, first in specs/lab/a.yaml:3:18"],
    ),
    "two names that differ by case": (
        service("kv") + "---\n" + service("KV"),
        [
            "a.yaml:9:18: Service KV is declared twice, but for case kv, first in specs/lab/a.yaml:3:18",
            "a.yaml:9:18: metadata.name: must be a DNS label: at most 63 of a-z, 0-9 and -, beginning and ending with a letter or digit",
        ],
    ),
    "members of one name": (
        service("kv", "options: {shards: 1}") + "---\n" + service("kv-0", "replicas: 1"),
        ["a.yaml:10:18: its member kv-0-0 is one of kv too (specs/lab/a.yaml:1:1). rename one of them"],
    ),
    "a service whose name is too long": (
        service("k" * 53),
        [f"a.yaml:3:18: the name {'k' * 53} is too long for a StatefulSet and its Pods. 52 characters at most"],
    ),
    "a service that begins with a digit": (
        service("1kv"),
        ["a.yaml:3:18: the service 1kv must begin with a letter, as a Kubernetes Service does"],
    ),
    "a component in two documents": (
        CONFIGURATION + "---\n" + COMPONENTS + "---\n" + document("Components", "more", 'ids: ["m1", "n[2-9]"]'),
        ["a.yaml:19:15: component n2 and 1 more is declared already in specs/lab/a.yaml:12:9"],
    ),
    "host lists that are none": (
        document("Components", "nodes", 'ids: ["n[1-3", "n[3-1]", 7]\nhosts: {m1: {}}\nnode: "{name}"'),
        [
            "a.yaml:5:9: spec.ids[0]: 'n[1-3' is no host list, which is names with ranges in brackets: nid[000001-001000], a[1-3,7]",
            "a.yaml:5:18: spec.ids[1]: [3-1] runs backwards: write [1-3]",
            "a.yaml:5:28: spec.ids[2]: must be a host list such as nid[000001-001000]",
            "a.yaml:7:9: spec.node: has a placeholder other than {id}",
        ],
    ),
    "hosts that ids does not have": (
        document("Components", "nodes", "ids: [a1]\nhosts: {m1: {}}"),
        ["a.yaml:6:10: spec.hosts: names m1, which ids does not contain"],
    ),
    "layers": (
        document(
            "Configuration",
            "base",
            "layers:\n- {playbook: a.yaml}\n- {cloneUrl: https://me:secret@h/x, branch: a..b, playbook: ../x}\n"
            "- {cloneUrl: 'ext::sh -c x', source: y, commit: abc, playbook: x}\n"
            "rollout: {canary: 2}",
        ),
        [
            "a.yaml:6:5: spec.layers[0].commit: needs either branch or commit",
            "a.yaml:6:5: spec.layers[0].source: needs either cloneUrl or source",
            "a.yaml:7:16: spec.layers[1].cloneUrl: carries a password, which has no place in git: declare a Source with credentials",
            "a.yaml:7:47: spec.layers[1].branch: is no name of a branch",
            "a.yaml:7:63: spec.layers[1].playbook: must be a path inside the layer's repository",
            "a.yaml:8:16: spec.layers[2].cloneUrl: is no URL that layers are cloned from",
            "a.yaml:8:40: there is no Source y",
            "a.yaml:8:51: spec.layers[2].commit: must be a whole commit hash: 40 of 0-9 and a-f (a branch goes into branch)",
            "a.yaml:9:3: rollout is not supported yet. leave it out: all components are configured in batches",
        ],
    ),
    "a relative URL that leads nowhere": (
        document("Configuration", "base", "layers:\n- {cloneUrl: ../../../../x, branch: main, playbook: a.yaml}"),
        ["a.yaml:6:16: cloneUrl climbs out of https://example.org/a/config.git"],
    ),
    "documents that are none": (
        "- a\n---\nkind: Servce\napiVersion: v1\nmetadata: {name: x, label: {}}\n---\njust text\n",
        [
            "a.yaml:1:1: a document must be a mapping of apiVersion, kind, metadata and spec",
            "a.yaml:3:1: spec is missing",
            "a.yaml:3:7: kind: must be one of Environment, Service, Configuration, Components, Source. did you mean Service?",
            "a.yaml:4:13: apiVersion: must be one of reconciler/v1",
            "a.yaml:5:21: unknown field metadata.label. did you mean labels?",
            "a.yaml:7:1: a document must be a mapping of apiVersion, kind, metadata and spec",
        ],
    ),
    "YAML's own faults": (
        "a: 1\na: 2\nb: !!python/object/apply:os.system [x]\nc: *nowhere\n1: x\nd: {<<: {}}\ne: .inf\nf: &f [*f]\n",
        [
            "a.yaml:1:1: apiVersion is missing",
            "a.yaml:1:1: kind is missing",
            "a.yaml:1:1: metadata is missing",
            "a.yaml:1:1: spec is missing",
            "a.yaml:1:1: unknown field a. there are apiVersion, kind, metadata, spec",
            "a.yaml:2:1: a is set twice, first in line 1",
            "a.yaml:3:1: unknown field b. there are apiVersion, kind, metadata, spec",
            "a.yaml:3:4: the tag !!python/object/apply:os.system is refused. a spec holds values only: strings, numbers, lists, mappings",
            "a.yaml:4:1: unknown field c. there are apiVersion, kind, metadata, spec",
            "a.yaml:4:4: *nowhere has no anchor before it",
            'a.yaml:5:1: a key must be a string. quote it: "1"',
            "a.yaml:6:1: unknown field d. there are apiVersion, kind, metadata, spec",
            "a.yaml:6:5: merge keys (<<) have no meaning in YAML 1.2. write the fields out",
            "a.yaml:7:1: unknown field e. there are apiVersion, kind, metadata, spec",
            "a.yaml:7:4: is a number out of range. quote it if it is text",
            "a.yaml:8:1: unknown field f. there are apiVersion, kind, metadata, spec",
            "a.yaml:8:8: *f stands inside what it refers to",
        ],
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_fault_has_its_place_and_says_what_to_do(name):
    text, expected = BAD[name]
    assert faults({"a.yaml": text}, base_url="https://example.org/a/config.git") == expected


def test_faults_of_all_files_come_at_once():
    """A broken file hides neither those of the others nor the documents before its break, and makes no reference dangle."""
    found = faults(
        {
            "a.yaml": service("kv", "replicas: x\ndependsOn: [kw, queue, ghost]"),
            "b.yaml": service("queue") + "---\n" + service("kw") + "\t- x\n",
            "deep/c.yaml": b"a: \xff",
            "d.yml": service("kz"),
            "e.yaml": b"# " + b"x" * (1 << 20),
        }
    )
    assert found == [
        "a.yaml:6:13: spec.replicas: must be a whole number, not a string",
        "a.yaml:7:26: there is no Service ghost. there are kv, queue",
        "b.yaml:12:1: is no YAML: while scanning for the next token, found character '\\t' that cannot start any token. indent with spaces",
        "d.yml: only files that end in .yaml are read. rename it",
        "deep/c.yaml:1:4: is not UTF-8",
        "e.yaml: is larger than 1 MiB. split it",
    ]


def test_what_is_no_file_is_a_fault_in_its_place():
    texts = {"specs/lab/environment.yaml": ENVIRONMENT.encode(), "specs/lab/x.yaml": Unreadable(b"is a symbolic link: put the file there")}
    desired = load(texts, REVISION, TYPES)
    assert [str(fault) for fault in desired.faults] == ["specs/lab/x.yaml: is a symbolic link. put the file there"]
    assert desired.lost == "the specs have faults: specs/lab/x.yaml: is a symbolic link. put the file there"


ENVIRONMENTS = {
    "none": ({"environment.yaml": ""}, [
        "specs/lab: there is no Environment document named lab. write one; of its spec, only zones is required",
    ]),
    "two": ({"other.yaml": ENVIRONMENT}, [
        "other.yaml:1:1: an environment has one Environment document. the first is specs/lab/environment.yaml:1:1",
    ]),
    "of another name": ({"environment.yaml": ENVIRONMENT.replace("name: lab", "name: prod")}, [
        "environment.yaml:3:18: the Environment is named prod, its folder lab. name both the same",
    ]),
    "with faults of its own beside those of services": (
        {
            "environment.yaml": ENVIRONMENT + "  dns: {zone: Internal, ttl: 5}\n  engine: {backend: s3://bucket}\n  events: kafka://h:1/t\n",
            "a.yaml": service("kv", "zones: [eu-west-1a]"),
        },
        [
            "a.yaml:6:11: the environment has no zone eu-west-1a. did you mean us-east-1a?",
            "environment.yaml:6:15: spec.dns.zone: must be a domain in lower case without a dot at its end: db.example.internal",
            "environment.yaml:6:30: spec.dns.ttl: must be a duration such as 5s, 1h30m or 7d",
            "environment.yaml:7:12: engine.backend s3://… is not supported yet. use file://… until a release brings other backends",
            "environment.yaml:8:3: events kafka://… is not supported yet. use local",
        ],
    ),
    "without zones": ({"environment.yaml": ENVIRONMENT.replace("[us-east-1a, us-east-1b]", "[]")}, [
        "environment.yaml:5:10: spec.zones: needs at least one item",
    ]),
    "with a zone of another region": ({"environment.yaml": ENVIRONMENT + "  aws: {region: eu-west-1}\n"}, [
        "environment.yaml:5:11: the zone us-east-1a is not in aws.region eu-west-1",
        "environment.yaml:5:23: the zone us-east-1b is not in aws.region eu-west-1",
    ]),
}  # fmt: skip


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_an_environment_has_one_document_named_as_its_folder(name):
    files, expected = ENVIRONMENTS[name]
    assert faults(files) == expected


def test_an_alias_that_explodes_is_refused_in_time():
    bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12))
    started = time.monotonic()
    found = faults({"a.yaml": bomb})
    assert "a.yaml:5:38: aliases stand for more than 100,000 values in this file. write the values out" in found
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("deep", ["[" * 200_000, "{a: " * 200_000, "- " * 200_000, "? " * 100_000, "a0: &a0 [x]\n" + "".join(
    f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 300))])  # fmt: skip
def test_nesting_without_end_is_refused(deep):
    assert any("nested deeper than 100 levels" in one or "no YAML" in one for one in faults({"a.yaml": deep}))


def test_defaults_come_from_type_and_environment():
    desired = loaded({"a.yaml": service("kv", "volumes: {data: {size: 1Gi}}") + "---\n" + COMPONENTS + "---\n" + CONFIGURATION})
    kv = desired.services[0]
    assert (kv.version, kv.zones, kv.namespace, kv.replicas) == ("8.0", ("us-east-1a", "us-east-1b"), "default", 3)
    assert desired.environment.dns.zone == "db.internal"
    assert str(desired.environment.dns.ttl) == "5s"
    assert desired.components[0].retry_policy == 3
    assert list(desired.components[0].ids) == ["n1", "n2", "n3"]


def test_what_a_document_leaves_out_is_filled_by_the_machine_before_services_are_looked_at():
    def settle(environment):
        assert "dns" not in environment.model_fields_set
        return environment.model_copy(update={"zones": ("us-east-1c",)})

    desired = loaded({"a.yaml": service("kv")}, settle=settle)
    assert desired.services[0].zones == ("us-east-1c",)


def test_documents_of_all_files_come_together():
    """Aliases are fine; services come by name, wherever they stand; an environment without services needs no hosted zone."""
    two = service("b", "volumes: {data: &v {size: 1Gi}, log: *v}") + "---\n" + service("a", "dependsOn: [b]")
    desired = loaded({"x/y/two.yaml": two, "empty.yaml": "# nothing\n---\n"})
    assert [one.name for one in desired.services] == ["a", "b"]
    assert desired.services[1].volumes["log"] == desired.services[1].volumes["data"]
    assert parse("volume/lab/b/b-2/log") in desired.resources
    assert parse("zone/lab/db.internal") in desired.resources
    assert not loaded().resources


def test_a_resource_knows_the_line_that_declared_it():
    desired = loaded({"a.yaml": "# x\n" + service("kv", "volumes:\n  data:\n    size: 1Gi")})
    volume = desired.resources[parse("volume/lab/kv/kv-0/data")]
    assert volume.where("size") == Origin("specs/lab/a.yaml", 9, 13)
    kv = desired.services[0]
    assert kv.locate("spec.volumes.data") == Origin("specs/lab/a.yaml", 9, 7)
    assert kv.locate("spec.replicas") == Origin("specs/lab/a.yaml", 6, 3), "what is not written stands where it would be"
    assert kv.origin == Origin("specs/lab/a.yaml", 2, 1)


@pytest.mark.parametrize(
    ("base", "url", "expected"),
    [
        ("https://example.org/a/config.git", "../layers.git", "https://example.org/a/layers.git"),
        ("https://example.org/a/config.git/", "./x", "https://example.org/a/config.git/x"),
        ("git@example.org:config.git", "../layers.git", "git@example.org:layers.git"),
        ("/srv/git/config.git", "../../l", "/srv/l"),
        ("file:///srv/config.git", "../layers.git", "file:///srv/layers.git"),
        ("/srv/git/config.git", "https://example.org/l.git", "https://example.org/l.git"),
    ],
)
def test_relative_urls_start_at_the_repository(base, url, expected):
    layers = f"layers:\n- {{cloneUrl: {url!r}, branch: main, playbook: a.yaml}}\nadditionalInventory: {{cloneUrl: {url!r}, branch: main}}"
    files = {"a.yaml": document("Configuration", "base", layers), "b.yaml": document("Source", "forge", f"cloneUrl: {url!r}")}
    desired = loaded(files, base_url=base)
    configuration = desired.configurations["base"]
    assert (
        configuration.layers[0].clone_url == configuration.additional_inventory.clone_url == desired.sources["forge"].clone_url == expected
    )


def test_a_need_that_nobody_declares_names_the_file():
    """Otherwise a deletion could run before what leans on it."""

    def resources(service, environment):
        needs = frozenset({ResourceId("volume", "lab", "ghost", "ghost-0/data")})
        return (Resource(ResourceId("address", "lab", service.name, "kv-0"), {}, service.name, needs=needs, origin=service.origin),)

    types = {"store": ServiceType("store", "full", ("1",), resources, lambda service, environment: ())}
    texts = {"specs/lab/environment.yaml": ENVIRONMENT.encode(), "specs/lab/a.yaml": service("kv").encode()}
    desired = load(texts, REVISION, types)
    expected = "specs/lab/a.yaml:1:1: address/lab/kv/kv-0 needs volume/lab/ghost/ghost-0/data, which nothing declares"
    assert [str(fault) for fault in desired.faults] == [expected]
    assert desired.held == {"kv": expected}
    assert not desired.services


def test_no_password_of_a_url_is_repeated():
    text = document("Source", "forge", "cloneUrl: https://me:hunter2@example.org/x.git")
    assert not any("hunter2" in one for one in faults({"a.yaml": text}))


def outcome(text, types=TYPES):
    """The environment's name, or none and the faults."""
    try:
        desired = loaded({"a.yaml": text}, types)
    except SpecError as error:
        return "", error.faults
    assert bool(desired.faults) == bool(desired.lost)
    assert desired.faults or not desired.held
    assert not {one.stack for one in desired.resources.values()} & set(desired.held) - {one.name for one in desired.services}
    return "" if desired.faults else desired.environment.name, desired.faults


PIECES = [
    "apiVersion: reconciler/v1\n",
    "kind: Service\n",
    "kind: Components\n",
    "kind: Configuration\n",
    "metadata: {name: kv}\n",
    "spec:\n",
    "  type: store\n",
    "  type: queue\n",
    "  replicas: 3\n",
    "  zones: [us-east-1b]\n",
    "  ids: [a, 'b[1-3]']\n",
    "  layers: [{}]\n",
    "  options: {shards: 2}\n",
    "  volumes: {data: {size: 1Gi}}\n",
    "  dependsOn: [kv]\n",
    "---\n",
    "- ",
    "? ",
    ": ",
    "&a ",
    "*a ",
    "!!int ",
    "{",
    "}",
    "[",
    "]",
    "'",
    '"',
    ">\n",
    "#",
    "\t",
    "\x00",
    "<<: ",
    "\u2028",
    "%YAML 1.1\n",
    "x: 1e999\n",
    "0o9: 0x\n",
]


@given(st.one_of(st.binary(max_size=200), st.lists(st.sampled_from(PIECES), max_size=25).map("".join).map(str.encode)))
@settings(max_examples=400, deadline=None)
def test_any_bytes_are_specs_or_a_spec_error(text):
    name, found = outcome(text)
    assert name == "lab" or (found and all(fault.message for fault in found))


KEYS = st.sampled_from(["size", "type", "data", "layers", "cloneUrl", "name"])
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=6)
FIELDS = [
    "type",
    "replicas",
    "zones",
    "volumes",
    "options",
    "dependsOn",
    "ids",
    "hosts",
    "layers",
    "node",
    "version",
    "aws",
    "dns",
    "resources",
    "podTemplate",
    "cloneUrl",
]


@given(
    st.sampled_from(["Service", "Components", "Configuration", "Source", "Environment"]), st.dictionaries(st.sampled_from(FIELDS), VALUES)
)
@settings(max_examples=400, deadline=None)
def test_any_values_are_specs_or_a_spec_error(kind, spec):
    """Each fault with its line."""
    text = json.dumps({"apiVersion": "reconciler/v1", "kind": kind, "metadata": {"name": "kv"}, "spec": {"type": "store", **spec}})
    name, found = outcome(text)
    assert name == "lab" or (found and all(fault.origin.line for fault in found))


POD = st.sampled_from(["spec", "containers", "name", "image", "env", "volumeMounts", "metadata", "labels", "ports", "volumes"])
PARTS = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(POD, inner, max_size=4), max_leaves=8)
PODS = st.builds(
    lambda containers, more: {"spec": {"containers": containers, **more}}, st.lists(PARTS, max_size=2), st.dictionaries(POD, PARTS)
)


@given(st.sampled_from(sorted(kinds.service_types())), PODS | st.dictionaries(POD, PARTS, max_size=3), st.dictionaries(POD, PARTS))
@settings(max_examples=300, deadline=None)
def test_no_service_type_stumbles_over_a_pod_template_or_options(type_, template, options):
    volumes = {"data": {"size": "1Gi"}}
    spec = {"type": type_, "podTemplate": template, "options": options, "volumes": volumes}
    text = json.dumps({"apiVersion": "reconciler/v1", "kind": "Service", "metadata": {"name": "kv"}, "spec": spec})
    name, found = outcome(text, kinds.service_types())
    assert name == "lab" or (found and all(fault.origin.line for fault in found))


def test_loading_is_linear():
    """10,000 specs take about 5 s on an idle machine; a loader that has gone quadratic needs minutes."""
    spec = (
        'version: "8.0"\nreplicas: 1\nzones: [us-east-1a]\nvolumes:\n  data: {size: 100Gi, type: gp3}\nowner: team\noptions:\n  heap: 1Gi'
    )
    files = {f"s{n}.yaml": service(f"s{n}", spec) for n in range(2_000)}
    started = time.process_time()
    desired = loaded(files)
    assert len(desired.services) == 2_000
    assert time.process_time() - started < 4
