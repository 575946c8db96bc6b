"""
What is said of the data directory and the secrets in it.
"""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from mission_http.doctor.data_directory import DataDirectoryState, check_data_directory, check_secrets
from mission_http.doctor.findings import FindingLevel
from mission_http.settings import SECRETS_FILE, settings_from

OK, WARNING, PROBLEM = FindingLevel


def said(path: Path):
    """
    The finding about the directory, and the one about the secrets if there can be any.
    """
    directory = DataDirectoryState.inspect(path)
    return *check_data_directory(directory), *check_secrets(directory)


def test_a_first_start_will_make_what_is_missing(tmp_path):
    """
    However deep, and nobody made it by looking.
    """
    directory, secrets = said(tmp_path / "deep" / "below")

    assert (OK, OK) == (directory.level, secrets.level)
    assert [] == list(tmp_path.iterdir())


def test_what_a_start_made_is_sound(tmp_path):
    """
    The directory and the secrets are for this user alone.
    """
    settings_from({}, data_dir=tmp_path / "data")

    assert [OK, OK] == [each.level for each in said(tmp_path / "data")]


@pytest.mark.parametrize("below", ["", "data", "deep/data"])
def test_a_file_in_the_way_is_told(below, tmp_path):
    """
    In the directory's place, or in that of one above it.
    """
    (tmp_path / "file").touch()
    (directory,) = said(tmp_path / "file" / below)

    assert PROBLEM is directory.level
    assert "MISSION_CONTROL_DATA_DIR (or --data-dir)" in directory.advice
    assert ("is not a directory" == directory.found) is (not below)
    assert directory.found.endswith(f"{tmp_path / 'file'} is not a directory") is bool(below)


def test_a_link_to_nowhere_is_told(tmp_path):
    """
    Nothing can be made in its place.
    """
    (tmp_path / "data").symlink_to(tmp_path / "nowhere")

    assert PROBLEM is said(tmp_path / "data")[0].level


@pytest.mark.parametrize(
    ("below", "found"),
    [("", "this user may not write to it"), ("data", "does not exist and cannot be created: this user may not write")],
)
def test_a_directory_of_somebody_else_is_told(below, found):
    """
    Asked as somebody who is not root, for whom nothing is forbidden.
    """
    with TemporaryDirectory() as folder:  # not pytest's own, which others may not enter
        Path(folder).chmod(0o555)
        told = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, f"{folder}/{below}"], capture_output=True, text=True, timeout=60
        )

    assert told.stdout.startswith(f"problem {found}"), told.stdout + told.stderr


AS_NOBODY = """
import os, sys
from pathlib import Path
from mission_http.doctor.data_directory import DataDirectoryState, check_data_directory
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
for found in check_data_directory(DataDirectoryState.inspect(Path(sys.argv[1]))):
    print(found.level.value, found.found)
"""


@pytest.mark.parametrize("mode", [0o750, 0o705, 0o777])
def test_a_directory_that_others_may_enter_is_told(mode, tmp_path):
    """
    With the command that shuts it.
    """
    path = tmp_path / "my data"
    path.mkdir()
    path.chmod(mode)
    directory, _ = said(path)

    assert (WARNING, f"chmod 700 '{path}'") == (directory.level, directory.advice)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_secrets_that_others_may_read_are_a_problem(mode, tmp_path):
    """
    Whoever reads them is the operator.
    """
    settings_from({}, data_dir=tmp_path)
    (tmp_path / SECRETS_FILE).chmod(mode)
    _, secrets = said(tmp_path)

    assert PROBLEM is secrets.level
    assert f"chmod 600 {tmp_path / SECRETS_FILE}" in secrets.advice


def test_secrets_that_cannot_be_read_are_a_problem(tmp_path):
    """
    Nobody may read a directory as a file, not even root.
    """
    (tmp_path / SECRETS_FILE).mkdir(parents=True)
    _, secrets = said(tmp_path)

    assert (PROBLEM, "cannot be read (Is a directory)") == (secrets.level, secrets.found)


def test_a_damaged_file_of_secrets_is_a_problem(tmp_path):
    """
    A start would refuse it.
    """
    (tmp_path / SECRETS_FILE).write_bytes(b"\xff\xfe\x00")
    _, secrets = said(tmp_path)

    assert (PROBLEM, "cannot be read (it is damaged)") == (secrets.level, secrets.found)


def test_what_is_seen_can_be_shown(tmp_path):
    """
    The secrets themselves are no part of it.
    """
    settings = settings_from({}, data_dir=tmp_path)
    seen = DataDirectoryState.inspect(tmp_path)

    assert settings.api_key == (seen.secrets or {})["API_KEY"]
    assert settings.api_key not in repr(seen)
