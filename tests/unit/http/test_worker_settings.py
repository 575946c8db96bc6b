"""
What several workers need.
"""

import pytest
from attrs import evolve

from mission_http.settings import SettingsError, settings_from
from mission_http.worker_settings import check_workers, worker_count

POSTGRES = "postgresql://me@db.example.com/mission"
REDIS = {"RATE_LIMIT_BACKEND": "redis", "RATE_LIMIT_REDIS_URL": "redis://localhost"}


@pytest.mark.parametrize(("text", "count"), [("", 1), (" ", 1), ("1", 1), (" 8 ", 8), ("256", 256)])
def test_the_number_of_workers_is_read(text: str, count: int) -> None:
    assert count == worker_count({"MC_WORKERS": text})


@pytest.mark.parametrize("text", ["0", "-1", "257", "two", "1.5", "²"])
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"^MC_WORKERS: expected a number of worker processes"):
        worker_count({"MC_WORKERS": text})


@pytest.mark.parametrize(
    ("environment", "url", "refused"),
    [
        ({}, "sqlite:///a", "PostgreSQL"),
        (REDIS, "sqlite:///a", "PostgreSQL"),
        (REDIS, "sqlite+aiosqlite:///a", "PostgreSQL"),
        ({}, POSTGRES, "RATE_LIMIT_BACKEND=redis"),
        ({"RATE_LIMIT_BACKEND": "memory"}, POSTGRES, "RATE_LIMIT_BACKEND=redis"),
        (REDIS, POSTGRES, None),
        ({"MC_DISABLE_RATE_LIMIT": "1"}, POSTGRES, None),
    ],
)
def test_several_workers_need_postgresql_and_limits_that_they_share(
    environment: dict[str, str], url: str, refused: str | None
) -> None:
    """
    One worker needs neither.
    """
    settings = settings_from(environment, database_url=url, in_use=False)
    check_workers(settings)
    several = evolve(settings, workers=2)
    if refused is None:
        check_workers(several)
    else:
        with pytest.raises(SettingsError, match=refused):
            check_workers(several)
