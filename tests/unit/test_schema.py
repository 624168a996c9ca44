"""The JSON Schemas: fresh in the repository, and of one mind with the loader."""

import json
from pathlib import Path

import jsonschema
import pytest
from referencing import Registry, Resource

from reconciler.specs import syntax
from reconciler.specs.schema import schemas
from tests.unit.specs import ENVIRONMENT, document, service

FOLDER = Path(__file__).parents[2] / "specs" / "schema"
GOOD = {
    "environment": ENVIRONMENT,
    "service": service(
        "kv", "version: '8.0'\nvolumes: {data: {size: 1Gi}}\noptions: {maxmemory: 64Mi}\nresources: {requests: {cpu: 2}}", "redis"
    ),
    "configuration": document("Configuration", "base", "layers:\n- {cloneUrl: ../l.git, branch: main, playbook: a.yaml}"),
    "components": document("Components", "nodes", 'ids: ["n[1-3]"]\nhosts: {n1: {ansible_host: 10.0.0.1}}'),
    "source": document("Source", "forge", "cloneUrl: https://example.org/x.git"),
}
BAD = {
    "an unknown field": ("service", service("kv", "replica: 3", "redis")),
    "an unknown option of the type": ("service", service("kv", "options: {maxmemori: 64Mi}", "redis")),
    "a version that the type does not have": ("service", service("kv", 'version: "1"', "redis")),
    "a wrong type": ("service", service("kv", 'replicas: "3"', "redis")),
    "another kind": ("source", GOOD["service"]),
    "a missing field": ("components", document("Components", "nodes", "enabled: true")),
    "a bad duration": ("environment", ENVIRONMENT + "  dns: {ttl: 5}\n"),
    "a bad name": ("service", service("K_v", type_="redis")),
    "no kind": ("document", "a: b\n"),
    "a bad service, as any document": ("document", service("kv", "replica: 3", "redis")),
}


def errors(name, text):
    """What an editor would underline that has *name*.json for this text."""
    documents = schemas()
    for schema in documents.values():
        jsonschema.Draft202012Validator.check_schema(schema)
    registry = Registry().with_resources((one, Resource.from_contents(schema)) for one, schema in documents.items())
    validator = jsonschema.Draft202012Validator({"$ref": f"{name}.json"}, registry=registry)
    return [found for root in syntax.compose(text.encode())[0] for found in validator.iter_errors(root.plain)]


def test_the_committed_schemas_are_those_of_the_models():
    """`reconcile schema --out specs/schema` writes them anew."""
    assert {path.name: json.loads(path.read_text()) for path in FOLDER.glob("*.json")} == schemas()


@pytest.mark.parametrize("name", GOOD)
def test_what_loads_is_valid(name):
    assert not errors(name, GOOD[name])
    assert not errors("document", GOOD[name])


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_load_is_not(name):
    assert errors(*BAD[name])


@pytest.mark.parametrize("path", sorted((FOLDER.parent / "lab").rglob("*.yaml")), ids=lambda path: path.name)
def test_the_lab_s_specs_are_valid(path):
    assert not errors("document", path.read_text())


def test_what_is_not_supported_yet_says_so():
    properties = schemas()["service.json"]["properties"]["spec"]["properties"]
    assert properties["windows"]["description"].startswith("Not supported")
    assert "$id" not in schemas()["service.json"]


def test_defaults_are_as_a_spec_writes_them():
    """Editors offer them: a duration is text."""
    definitions = schemas()["environment.json"]["$defs"]
    assert definitions["Sessions"]["properties"]["deadline"]["default"] == "1h"
    assert definitions["Dns"]["properties"]["ttl"]["default"] == "5s"
