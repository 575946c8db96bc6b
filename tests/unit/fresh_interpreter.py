"""
The modules that a fresh interpreter loads.
"""

import subprocess
import sys
from pathlib import Path

SRC = Path(__file__).parents[2] / "src"
CORE = SRC / "mission_core"
LOAD = """
import sys
before = set(sys.modules)
from importlib import import_module
sys.path.insert(0, sys.argv[1])
for name in sys.argv[2:]:
    import_module(name)
print(*sorted(set(sys.modules) - before))
"""


def loaded_by(*modules: str, src: Path = SRC) -> set[str]:
    """
    The modules that a fresh interpreter has loaded after it imported these.
    """
    command = [sys.executable, "-I", "-c", LOAD, str(src), *modules]
    return set(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split())
