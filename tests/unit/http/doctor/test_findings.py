"""
What the doctor says, as text and as JSON.
"""

import json

import pytest

from mission_http.doctor.findings import Check, as_json, as_text, has_no_problem

PORT = Check("port")
FREE = PORT.ok("here:80", "is free")
ODD = PORT.warning("here:80", "is odd", "choose an even one", "--port")
TAKEN = PORT.problem("here:80", "is taken", "choose another", "--port")


def test_a_person_reads_what_is_wrong_and_what_to_do():
    """
    Line by line, and how much of it there is.
    """
    assert [
        "ok       port             here:80: is free",
        "warning  port             here:80: is odd",
        "                          -> choose an even one",
        "problem  port             here:80: is taken",
        "                          -> choose another",
        "",
        "1 problem, 1 warning, 1 ok",
    ] == as_text([FREE, ODD, TAKEN]).splitlines()


def test_a_program_reads_the_same():
    """
    Every field of every finding.
    """
    told = json.loads(as_json([FREE, TAKEN]))

    assert not told["ok"]
    assert {
        "check": "port",
        "level": "problem",
        "looked_at": "here:80",
        "found": "is taken",
        "advice": "choose another",
        "settings": ["--port"],
    } == told["findings"][1]
    assert (None, []) == (told["findings"][0]["advice"], told["findings"][0]["settings"])


@pytest.mark.parametrize(("findings", "is_sound"), [([], True), ([FREE, ODD], True), ([FREE, TAKEN], False)])
def test_only_a_problem_is_one(findings, is_sound):
    """
    A warning lets a program go on.
    """
    assert is_sound is has_no_problem(findings)
    assert is_sound is json.loads(as_json(findings))["ok"]
