"""
The words of the OpenAPI document: summaries, descriptions of fields, and examples.
"""

import json
import re
from typing import Any

import jsonschema_rs
import pytest

from mission_http.platform.field_descriptions import FIELDS
from mission_http.platform.openapi import document_of
from tests.contract.populated_app import DIALECTS
from tests.documentation import samples

# Fields whose name says it all, also to somebody who knows nothing but the field's nouns.
PLAIN = {
    "action", "activity", "agent", "agent_id", "agent_name", "agents", "approval_id", "approvals", "assignments",
    "audit", "board", "board_name", "boards", "by_model", "capacity", "comment", "comment_count", "comments",
    "comments_authored", "comments_count", "common_errors", "connected", "connections", "content", "cost",
    "created_at", "description", "done", "email", "group", "identity", "keys", "lifetime_stats", "message_count",
    "messages", "methods", "mutations", "name", "offline", "project", "project_name", "projects", "pronouns",
    "question", "queue", "recent_completed", "recommendation", "results", "rotated_by", "runs", "settings", "status",
    "status_changes", "status_changes_count", "summary", "task", "task_id", "task_mutations_count", "task_title",
    "tasks", "tasks_completed", "tasks_total", "templates", "timeline", "title", "tokens", "tool_version",
    "total_activities", "total_done", "total_endpoints", "total_items", "total_pending", "trends", "updated_at",
    "url", "user", "user_id", "username", "users", "webhook_id", "windows", "workspace", "workspaces",
}  # fmt: skip
DOCUMENT = document_of(DIALECTS)
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}
PARAMETERS = [each for operation in OPERATIONS.values() for each in operation.get("parameters", ())]
SCHEMAS = DOCUMENT["components"]["schemas"]
NAMED = {
    f"{name}.{field}": schema for name, of in SCHEMAS.items() for field, schema in of.get("properties", {}).items()
}
TOURS = (
    ("README.md", "## A short tour"),
    ("docs/apis.md", "## The tour in the Boards API"),
    ("docs/sign-in.md", "## The first admin"),
)
SENTENCE = re.compile(r"[A-Z`].*\.", re.DOTALL)


def examples_of(operation: dict[str, Any]) -> list[tuple[Any, Any]]:
    """
    The examples of an operation, each with its schema.
    """
    bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
    contents = [body["content"]["application/json"] for body in bodies if "application/json" in body.get("content", {})]
    return [(content["schema"], content["example"]) for content in contents if "example" in content]


def test_a_summary_is_a_sentence() -> None:
    """
    It is not the name of the function made readable.
    """
    handlers = {endpoint.handler.__name__.replace("_", " ") for one in DIALECTS for endpoint in one.endpoints}
    summaries = [operation["summary"] for operation in OPERATIONS.values()]

    assert [] == [each for each in summaries if not re.fullmatch(r"[A-Z].*[^.]\.", each)]
    assert [] == [each for each in summaries if each.rstrip(".").lower() in handlers or " " not in each]


def test_a_field_is_described_unless_its_name_says_it_all() -> None:
    fields = {name: schema for name, schema in NAMED.items() if name.partition(".")[2] not in PLAIN}

    assert [] == [name for name, schema in fields.items() if "description" not in schema]
    assert [] == [each["name"] for each in PARAMETERS if "description" not in each]


def test_a_description_is_a_sentence() -> None:
    described = [*NAMED.values(), *PARAMETERS]
    descriptions = {each["description"] for each in described if "description" in each}

    assert [] == [each for each in descriptions if not SENTENCE.fullmatch(each)]


def test_a_description_names_no_attribute_of_python() -> None:
    """
    Docstrings set attributes and arguments in *italics*. Readers of the document do not know these names.
    """
    assert [] == re.findall(r"[^.\"]*\*[a-z_]+\*[^.\"]*", json.dumps(DOCUMENT, default=str))


def test_a_description_is_of_something() -> None:
    """
    A field that is gone or has another name leaves no words behind.
    """
    known = {dialect: _keys_of(document_of([dialect])) for dialect in DIALECTS}

    for dialect, keys in known.items():
        assert set() == dialect.openapi_metadata.field_descriptions.keys() - FIELDS.keys() - keys
    assert set() == FIELDS.keys() - set().union(*known.values())
    assert set() == PLAIN - {name.partition(".")[2] for name in NAMED}


def _keys_of(document: dict[str, Any]) -> set[str]:
    """
    All that a description may be of.
    """
    fields = [(name, field) for name, of in document["components"]["schemas"].items() for field in of["properties"]]
    operations = [operation for methods in document["paths"].values() for operation in methods.values()]
    queries = {f"?{each['name']}" for one in operations for each in one.get("parameters", ()) if each["in"] == "query"}
    paths = {"/".join(found) for path in document["paths"] for found in re.findall(r"([^/]+)/{(\w+)}", path)}
    return {field for _, field in fields} | {".".join(each) for each in fields} | queries | paths


def test_the_tours_of_the_documentation_have_examples() -> None:
    """
    Each call of them that a reader can paste.
    """
    lines = [line for page, heading in TOURS for sample in samples(page, heading, "sh") for line in sample.splitlines()]
    calls = [line for line in lines if "curl -s" in line]
    called = {_operation_of(call) for call in calls}

    assert len(calls) == len(called)
    assert called == {name for name, operation in OPERATIONS.items() if examples_of(operation)}


@pytest.mark.parametrize("name", [name for name, operation in OPERATIONS.items() if examples_of(operation)])
def test_an_example_is_as_its_schema_says(name: str) -> None:
    for schema, example in examples_of(OPERATIONS[name]):
        validator = jsonschema_rs.Draft202012Validator({**schema, "components": DOCUMENT["components"]})
        validator.validate(example)


def _operation_of(call: str) -> str:
    """
    The operation that a line with `curl` calls.
    """
    path = re.sub(r"\$\w+|(?<=/)1(?=/)", "{}", re.search(r"\$HERE(/[^\s\"?]*)", call)[1])  # type: ignore[index]
    method = "POST" if " -d " in call else "GET"
    (found,) = [name for name in OPERATIONS if re.sub(r"{\w+}", "{}", name) == f"{method} {path}"]
    return found
