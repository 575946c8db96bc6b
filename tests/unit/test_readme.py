"""
The README keeps its word.
"""

import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def test_the_embedding_example_runs_as_it_stands() -> None:
    """
    Whoever pastes it sees a task handed out and handed in, on the memory store.
    """
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    done = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True, timeout=60)

    assert ("Say hello review\n", "") == (done.stdout, done.stderr)
