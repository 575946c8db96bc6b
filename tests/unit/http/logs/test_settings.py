"""
What is logged, as the environment tells.
"""

import pytest

from mission_http.environment import SettingsError
from mission_http.logs.settings import LogSettings


def test_nothing_set_means_a_text_with_a_line_for_each_request():
    """
    Blank values count as not set.
    """
    blank = dict.fromkeys(
        ("LOG_LEVEL", "LOG_FORMAT", "LOG_USE_UTC", "REQUEST_LOG_SLOW_MS", "REQUEST_LOG_INCLUDE_HEALTH"), " "
    )

    assert (
        LogSettings(level=20, as_json=False, utc=False, slow_ms=1000, health=False)
        == LogSettings.of({})
        == LogSettings.of(blank)
    )


@pytest.mark.parametrize(
    ("value", "level"),
    [("debug", 10), ("INFO", 20), (" Warn ", 30), ("warning", 30), ("error", 40), ("critical", 50), ("fatal", 50),
     ("trace", 5), ("25", 25), ("0", 1), ("99", 99)],
)  # fmt: skip
def test_a_level_is_a_name_or_a_number(value, level):
    """
    A number lies between the names.
    """
    assert level == LogSettings.of({"LOG_LEVEL": value}).level


def test_everything_can_be_chosen():
    env = {
        "LOG_FORMAT": "JSON", "LOG_USE_UTC": "true", "REQUEST_LOG_SLOW_MS": "0", "REQUEST_LOG_INCLUDE_HEALTH": "1",
    }  # fmt: skip

    assert LogSettings(as_json=True, utc=True, slow_ms=0, health=True) == LogSettings.of(env)


@pytest.mark.parametrize(
    ("variable", "value"),
    [("LOG_LEVEL", "loud"), ("LOG_LEVEL", "-1"), ("LOG_LEVEL", "²"), ("LOG_FORMAT", "xml"), ("LOG_USE_UTC", "perhaps"),
     ("REQUEST_LOG_SLOW_MS", "-1"), ("REQUEST_LOG_SLOW_MS", "1.5"), ("REQUEST_LOG_SLOW_MS", "slow"),
     ("REQUEST_LOG_INCLUDE_HEALTH", "perhaps")],
)  # fmt: skip
def test_a_malformed_value_is_told_by_its_variable(variable, value):
    with pytest.raises(SettingsError, match=rf"^{variable}: expected .* got "):
        LogSettings.of({variable: value})
