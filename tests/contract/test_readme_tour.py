"""
The README's short tour, taken as it stands.
"""

import json
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"
HERE = "127.0.0.1:8000"


with_curl = pytest.mark.skipif(
    not (shutil.which("curl") and shutil.which("bash")), reason="the tour is taken with curl and bash"
)


@with_curl
def test_the_tour_can_be_pasted_line_by_line(tmp_path: Path) -> None:
    """
    Every call of both dialects is answered with what it asks for, on a server that was told nothing but its port.
    """
    answers = pasted("## A short tour", tmp_path)

    assert '"status":"done"' in answers[3]
    assert '"status":"done"' in answers[-1]


@with_curl
def test_signing_in_can_be_pasted_line_by_line(tmp_path: Path) -> None:
    """
    On the machine of the server it takes no code, and the cookie tells who calls.
    """
    answers = pasted("### Signing in", tmp_path)

    assert ["ada"] * 3 == [json.loads(each)["user"]["username"] for each in answers]


def pasted(heading: str, directory: Path) -> list[str]:
    """
    What a new server answers to the calls below a heading, in turn.
    """
    section = README.read_text().partition(f"\n{heading}\n")[2].partition("\n#")[0]
    script = "".join(re.findall(r"```sh\n(.*?)```", section, re.DOTALL))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    tools = Path(sys.executable).parent
    script = script.replace(HERE, f"127.0.0.1:{port}").replace(".venv/bin/", f"{tools}/")
    script = script.replace("curl -s ", "curl -s -w '\\n' --fail-with-body ")
    serve = [sys.executable, "-m", "mission_http.main", "serve", "--port", str(port)]
    with subprocess.Popen(serve, cwd=directory, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert "listens on" in server.stdout.readline()
        taken = subprocess.run(
            ["bash", "-eu", "-o", "pipefail", "-c", script], cwd=directory, capture_output=True, text=True, timeout=60
        )
        server.terminate()

    assert (0, "") == (taken.returncode, taken.stderr), taken.stdout
    return taken.stdout.splitlines()
