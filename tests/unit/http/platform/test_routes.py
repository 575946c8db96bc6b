import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from mission_http.platform.endpoints import Endpoint, EndpointGroup
from mission_http.platform.routes import RouteTree
from tests.unit.http.platform.sample_app import KIND, PLAIN, ask, health, sample_app


async def test_a_parameter_arrives_as_the_text_in_the_path(app):
    answer = await ask(app, "GET", "/api/things/a b%")

    assert answer.json["thing"] == "a b%"


async def test_a_literal_segment_wins_over_a_parameter(app):
    answer = await ask(app, "GET", "/api/things/special")

    assert {"ok": True} == answer.json


async def test_a_literal_that_leads_nowhere_is_read_as_a_parameter(app):
    answer = await ask(app, "POST", "/api/things/special/claim")

    assert {"claimed": True} == answer.json


@pytest.mark.parametrize("path", ["/api/things//claim", "/api//things", "/api/things/1/2", "/ap", ""])
async def test_a_parameter_is_never_empty_and_never_more_than_a_segment(app, path):
    answer = await ask(app, "GET", path)

    assert 404 == answer.status


async def test_unknown_paths_are_answered_by_the_dialect_at_home_there(app):
    bodies = [(await ask(app, "GET", path)).json for path in ("/api/x", "/api/v1/x", "/api/v10/x", "/api/v1/runs/x")]

    assert ["error", "detail", "error", "error"] == [next(iter(body)) for body in bodies]


async def test_paths_outside_every_prefix_are_answered_by_the_first_dialect(app):
    answer = await ask(app, "GET", "/elsewhere")

    assert (404, "detail") == (answer.status, next(iter(answer.json)))


async def test_an_endpoint_may_stand_outside_its_prefix(app):
    answers = [await ask(app, "GET", path, key="any") for path in ("/healthz", "/api/v1/runs")]

    assert [200, 200] == [answer.status for answer in answers]


async def test_a_wrong_method_names_the_right_ones(app):
    plain, kind = [await ask(app, "DELETE", f"{prefix}/things") for prefix in ("/api", "/api/v1")]

    assert (405, "GET, HEAD, OPTIONS, POST") == (plain.status, plain.headers["allow"])
    assert (405, "GET, HEAD, POST") == (kind.status, kind.headers["allow"])


@pytest.mark.parametrize("path", ["/api/things/5", "/api/v1/things/5", "/healthz", "/docs", "/openapi.json", "/"])
async def test_head_follows_get(app, path):
    """
    With its status and its headers, and without its body.
    """
    got, head = [await ask(app, method, path, x_request_id="7") for method in ("GET", "HEAD")]

    assert (got.status, sorted(got.raw_headers), b"") == (head.status, sorted(head.raw_headers), head.body)


@pytest.mark.parametrize("path", ["/api/things/5/claim", "/api/v1/things/5/claim"])
async def test_head_reaches_nothing_but_get(app, path):
    answer = await ask(app, "HEAD", path)

    assert (405, b"") == (answer.status, answer.body)


async def test_a_head_request_does_not_wait_for_a_stream(app):
    answer = await ask(app, "HEAD", "/api/stream")

    assert (200, b"") == (answer.status, answer.body)


async def test_a_dialect_may_not_know_options(app):
    answer = await ask(app, "OPTIONS", "/api/v1/things/5")

    assert (405, "GET, HEAD, PUT") == (answer.status, answer.headers["allow"])


async def test_options_lists_the_methods_where_the_dialect_says_so(app):
    answer = await ask(app, "OPTIONS", "/api/things/5")

    assert (204, "GET, HEAD, OPTIONS, PUT") == (answer.status, answer.headers["allow"])


@pytest.mark.parametrize("prefix", ["/api", "/api/v1"])
async def test_a_trailing_slash_is_redirected(app, prefix):
    """
    With the method and the query as they are, whoever asks.
    """
    answer = await ask(app, "POST", f"{prefix}/things/a b%/claim/?a=1&b=%2F", key=None)

    assert (308, f"{prefix}/things/a%20b%25/claim?a=1&b=%2F") == (answer.status, answer.headers["location"])


async def test_a_trailing_slash_on_nothing_is_nothing(app):
    answer = await ask(app, "GET", "/api/v1/nothing/")

    assert 404 == answer.status


def test_an_endpoint_cannot_be_declared_twice():
    twice = evolve(PLAIN, endpoints=[Endpoint("GET", "/v1/things/{id}", health)])

    with pytest.raises(ValueError, match="declared twice"):
        RouteTree.of((KIND, twice))


def endpoints_of_parts(imports):
    imports.append("parts")
    return [
        Endpoint("GET", "/parts", health), Endpoint("PUT", "/parts/{id}", health),
        Endpoint("GET", "/parts/{id}/size", health),
    ]  # fmt: skip


def endpoints_of_sizes(imports):
    imports.append("sizes")
    return [Endpoint("PUT", "/parts/{id}/size", health), Endpoint("GET", "/sizes", health)]


def tree_of_groups(imports):
    groups = [
        EndpointGroup(f"{__name__}:endpoints_of_parts", ("/parts",), (imports,)),
        EndpointGroup(f"{__name__}:endpoints_of_sizes", ("/parts/{id}/size", "/sizes"), (imports,)),
    ]
    return RouteTree.of([evolve(PLAIN, endpoints=groups)])


@pytest.mark.parametrize(
    ("path", "needed", "methods"),
    [
        ("/api/parts", ["parts"], {"GET"}),
        ("/api/parts/5", ["parts"], {"PUT"}),
        ("/api/parts/5/size", ["parts", "sizes"], {"GET", "PUT"}),
        ("/api/sizes", ["sizes"], {"GET"}),
    ],
)
def test_a_group_is_imported_once_when_a_path_first_leads_to_it(path, needed, methods):
    imports = []
    tree = tree_of_groups(imports)
    before = list(imports)
    found = [tree.find(path) for _ in range(2)]

    assert ([], needed) == (before, imports)
    assert [methods, methods] == [set(each.routes) for each in found]


def test_a_path_that_was_passed_over_at_first_is_found_later():
    """
    The group of the sizes is imported for one of its paths, and the group of the parts still waits at the other.
    """
    tree = tree_of_groups([])
    tree.find("/api/sizes")

    assert {"GET", "PUT"} == set(tree.find("/api/parts/5/size").routes)
    assert {"PUT"} == set(tree.find("/api/parts/5").routes)


def test_an_unknown_path_imports_nothing():
    imports = []
    tree = tree_of_groups(imports)

    assert (None, []) == (tree.find("/api/things/5"), imports)


segments = st.text(st.characters(codec="utf-8", exclude_characters="?")) | st.sampled_from(["", "api", "v1", "things"])
paths = st.lists(segments).map(lambda found: "/" + "/".join(found))
methods = st.sampled_from(["GET", "HEAD", "POST", "PUT", "OPTIONS", "TRACE", "get", ""])
SAMPLE = sample_app()


@given(methods, paths, st.sampled_from(["", "/api", "/api/v1", "/api/v1/things"]))
async def test_no_path_is_the_servers_fault(method, path, prefix):
    """
    Whatever is asked for, and how, the answer is a success or a refusal.
    """
    answer = await ask(SAMPLE, method, prefix + path, key="other")

    assert answer.status < 500
