import json
import re
from typing import Generic, TypeVar

import pytest
from attrs import evolve, frozen

from mission_http.platform.endpoints import Endpoint
from mission_http.platform.json_schemas import SchemaComponents
from mission_http.platform.openapi import document_of
from mission_http.platform.openapi_endpoints import own_document
from tests.unit.http.platform.sample_app import KIND, PLAIN, Part, ThingBody, ThingNotFound, ask

T = TypeVar("T")
DOCUMENT = document_of((KIND, PLAIN))
ADD = DOCUMENT["paths"]["/api/v1/things"]["post"]
OPERATIONS = [operation for methods in DOCUMENT["paths"].values() for operation in methods.values()]


@frozen
class Listing(Generic[T]):
    items: list[T]
    total: int


def test_the_document_shows_every_listed_endpoint():
    expected = {
        (dialect.path_of(one), one.method.lower())
        for dialect in (KIND, PLAIN)
        for one in dialect.endpoints
        if one.listed
    }

    assert expected == {(path, method) for path, methods in DOCUMENT["paths"].items() for method in methods}


def test_a_part_shows_one_dialect():
    part = document_of((KIND, PLAIN), only=PLAIN)

    assert "Plain" == part["info"]["title"]
    assert {"Plain"} == {name[:5] for name in part["components"]["schemas"]}
    assert "/healthz" not in part["paths"]


def test_every_reference_leads_somewhere():
    names = re.findall(r'"#/components/schemas/(\w+)"', json.dumps(DOCUMENT))

    assert set(names) <= set(DOCUMENT["components"]["schemas"])


def test_operation_ids_are_unique_and_made_from_function_path_and_method():
    ids = [operation["operationId"] for operation in OPERATIONS]

    assert len(ids) == len(set(ids))
    assert "change_api_v1_things__thing__put" in ids


def test_an_operation_is_described_by_its_handler():
    operation = DOCUMENT["paths"]["/api/things/{thing}"]["get"]

    assert ("Read a thing.", "It is read as last committed.") == (operation["summary"], operation["description"])


def test_parameters_are_those_of_path_query_and_headers():
    shown = [
        (one["name"], one["in"], one["required"])
        for path, method in (("/api/things/{thing}", "put"), ("/api/things", "get"))
        for one in DOCUMENT["paths"][path][method]["parameters"]
    ]

    assert [
        ("thing", "path", True), ("If-Match", "header", False),
        ("limit", "query", False), ("done", "query", False), ("tag", "query", False),
    ] == shown  # fmt: skip


def test_refusals_are_shown_by_their_statuses():
    assert ["200", "401", "403", "413", "415", "422"] == list(ADD["responses"])
    assert {"$ref": "#/components/schemas/KindErrorPayload"} == ADD["responses"]["422"]["content"]["application/json"][
        "schema"
    ]


def test_every_operation_may_be_asked_by_a_wrong_name():
    """
    That is told in plain text, beside what the operation itself refuses with that status.
    """
    refusals = [operation["responses"]["403"]["content"] for operation in OPERATIONS]

    assert {"text/plain"} == {next(iter(content.keys() - {"application/json"})) for content in refusals}
    assert {"text/plain", "application/json"} == set(ADD["responses"]["403"]["content"])


def test_what_any_change_may_be_refused_with_is_shown_at_each():
    """
    Also where anybody may ask.
    """
    taking = Endpoint("GET", "/taken", own_document, changes=True)
    edged = evolve(PLAIN, refuses_changes=(ThingNotFound,), endpoints=[*PLAIN.endpoints, taking])
    paths = document_of([edged])["paths"]

    assert [True, True, True, False] == [
        "404" in paths[path][method]["responses"]
        for path, method in (
            ("/api/sealed", "post"), ("/api/things", "post"), ("/api/taken", "get"), ("/api/things", "get"),
        )
    ]  # fmt: skip


def test_other_good_answers_are_shown_beside_the_first():
    told = evolve(PLAIN, endpoints=[Endpoint("POST", "/parts", own_document, gives=Part, status=201, also={200: Part})])
    responses = document_of([told])["paths"]["/api/parts"]["post"]["responses"]

    assert ["201", "200", "403"] == list(responses)
    assert responses["201"]["content"] == responses["200"]["content"]


def test_a_path_parameter_may_be_told_by_the_segment_before_it():
    endpoints = [Endpoint("GET", f"/{name}/{{id}}", own_document) for name in ("parts", "things")]
    paperwork = evolve(
        PLAIN.openapi_metadata, path_schemas={"parts/id": {"type": "integer"}, "id": {"type": "boolean"}}
    )
    paths = document_of([evolve(PLAIN, endpoints=endpoints, openapi_metadata=paperwork)])["paths"]

    assert ["integer", "boolean"] == [methods["get"]["parameters"][0]["schema"]["type"] for methods in paths.values()]


def test_extras_and_security_are_shown():
    assert ("add", [{"key": []}], ["things"]) == (ADD["x-intent"], ADD["security"], ADD["tags"])


def test_a_body_that_may_be_missing_is_shown_as_such():
    shown = [DOCUMENT["paths"][path]["post"]["requestBody"]["required"] for path in ("/api/touched", "/api/sealed")]

    assert [False, True] == shown


def test_constraints_are_in_the_schema():
    thing = DOCUMENT["components"]["schemas"]["KindThingBody"]
    properties = thing["properties"]

    assert ["title"] == thing["required"]
    assert {"type": "string", "minLength": 1, "maxLength": 20} == properties["title"]
    assert {"anyOf": [{"type": "string"}, {"type": "null"}]} == properties["note"]
    assert {"type": "integer", "minimum": 1, "maximum": 9, "default": 1} == properties["count"]
    assert {"type": "string", "enum": ["red", "blue"], "default": "red"} == properties["color"]
    assert {"type": "array", "items": {"type": "string", "minLength": 1}, "maxItems": 3} == properties["tags"]
    assert {"anyOf": [{"type": "string", "pattern": "^(?:[a-z-]+)$"}, {"type": "null"}]} == properties["slug"]
    assert {"type": "array", "items": {"$ref": "#/components/schemas/KindPart"}} == properties["parts"]
    assert {"type": "object", "additionalProperties": {}} == properties["meta"]
    assert "from" in properties
    assert False is DOCUMENT["components"]["schemas"]["KindSealedBody"]["additionalProperties"]


def test_a_payload_field_that_can_be_left_out_is_not_required():
    assert ["id", "title"] == DOCUMENT["components"]["schemas"]["KindThingPayload"]["required"]


def test_a_generic_class_is_written_for_its_argument():
    schemas = SchemaComponents(lambda kind: "Things" if getattr(kind, "__args__", ()) else kind.__name__)
    schemas.of(Listing[Part])

    assert {"$ref": "#/components/schemas/Part"} == schemas.components["Things"]["properties"]["items"]["items"]


def test_two_classes_cannot_share_a_component():
    schemas = SchemaComponents(lambda kind: "Same")
    schemas.of(Part)

    with pytest.raises(ValueError, match="would both be"):
        schemas.of(ThingBody)


def test_two_dialects_cannot_share_a_component_that_differs():
    same = [
        evolve(one, openapi_metadata=evolve(one.openapi_metadata, schema_name=lambda kind: "Same"))
        for one in (KIND, PLAIN)
    ]

    with pytest.raises(ValueError, match="Same"):
        document_of(same)


async def test_the_document_and_its_part_are_served(app):
    whole, part = [await ask(app, "GET", path, key=None) for path in ("/openapi.json", "/api/docs")]

    assert (200, 401) == (whole.status, (await ask(app, "GET", "/api/things", key=None)).status)
    assert set(part.json["paths"]) < set(whole.json["paths"])
    assert "/docs" not in whole.json["paths"]


async def test_the_front_leads_to_the_page(app):
    """
    Whoever opens the address of the server in a browser finds something.
    """
    answer = await ask(app, "GET", "/", key=None)

    assert (307, "/docs") == (answer.status, answer.headers["location"])


def test_every_operation_tells_who_may_call_it_and_with_what():
    access = DOCUMENT["paths"]["/api/things/{thing}"]["get"]["x-access"]

    assert {"role", "who", "credentials"} == set(access)
    assert ["header x-api-key"] == access["credentials"]


def test_an_error_tells_when_it_is_made():
    """
    In the words of the refusals behind it.
    """
    missing = DOCUMENT["paths"]["/api/things/{thing}"]["get"]["responses"]["404"]["description"]

    assert missing.startswith("Not Found. ")


def test_the_whole_document_is_described_by_its_parts():
    parts = [
        evolve(one, openapi_metadata=evolve(one.openapi_metadata, description=f"{one.name}.")) for one in (KIND, PLAIN)
    ]
    whole, part = document_of(parts)["info"], document_of(parts, parts[1])["info"]

    assert ["`/api/v1`: Kind.", "`/api`: Plain."] == whole["description"].split("\n\n")
    assert "Plain." == part["description"]


def test_a_field_has_the_description_of_its_component_or_else_of_its_name():
    """
    On the wire's name for it. A query parameter may have one of its own.
    """
    words = {"done": "All.", "KindThingBody.done": "Body.", "?limit": "Most.", "from": "Sender."}
    words["things/thing"] = "Path."
    described = evolve(KIND, openapi_metadata=evolve(KIND.openapi_metadata, field_descriptions=words))
    document = document_of([described])
    body = document["components"]["schemas"]["KindThingBody"]["properties"]
    paths = document["paths"]
    listed = {each["name"]: each for each in paths["/api/v1/things"]["get"]["parameters"]}
    (thing,) = paths["/api/v1/things/{thing}"]["get"]["parameters"]

    assert ["Body.", "Sender."] == [body[name]["description"] for name in ("done", "from")]
    assert ["Most.", "All."] == [listed[name]["description"] for name in ("limit", "done")]
    assert "Path." == thing["description"]
    assert "description" not in listed["done"]["schema"].keys() | body["title"].keys() | listed["tag"].keys()


def test_an_operation_shows_the_example_of_its_request_and_response():
    examples = {"POST /things": {"request": {"title": "one"}, "response": {"id": 1}}}
    shown = evolve(KIND, openapi_metadata=evolve(KIND.openapi_metadata, examples=examples))
    add = document_of([shown])["paths"]["/api/v1/things"]["post"]

    assert {"title": "one"} == add["requestBody"]["content"]["application/json"]["example"]
    assert {"id": 1} == add["responses"]["200"]["content"]["application/json"]["example"]
    assert "example" not in ADD["requestBody"]["content"]["application/json"]
