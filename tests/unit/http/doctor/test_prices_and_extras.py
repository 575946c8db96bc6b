"""
What the doctor says about prices of models, and about optional dependencies.
"""

from datetime import timedelta

import pytest
from attrs import evolve

from mission_http.doctor.extras import ExtrasState, check_extras
from mission_http.doctor.findings import DoctorFinding, FindingLevel
from mission_http.doctor.prices import PricesState, check_prices

ALL = ExtrasState(wants_metrics=True, has_metrics=True, has_otlp=True)


def prices(age: int | None, unpriced: int = 0) -> DoctorFinding:
    (found,) = check_prices(
        PricesState(package_age=None if age is None else timedelta(days=age)), unpriced_tokens=unpriced
    )
    return found


@pytest.mark.parametrize(("days", "level"), [(0, FindingLevel.OK), (89, FindingLevel.OK), (90, FindingLevel.WARNING)])
def test_prices_of_the_package_are_stale_after_ninety_days(days: int, level: FindingLevel) -> None:
    assert level is prices(days).level
    assert f"{days} days" in prices(days).found


@pytest.mark.parametrize(("days", "level"), [(364, FindingLevel.OK), (365, FindingLevel.WARNING)])
def test_a_price_of_an_organization_is_forgotten_after_a_year(days: int, level: FindingLevel) -> None:
    found, _ = check_prices(PricesState(package_age=None), unpriced_tokens=0, override_age=timedelta(days=days))

    assert ("prices of organizations", level) == (found.looked_at, found.level)
    assert f"{days} days" in found.found


def test_a_missing_package_is_a_warning_once_tokens_have_no_price() -> None:
    unused, used = prices(None), prices(None, 1_234_567)

    assert [FindingLevel.OK, FindingLevel.WARNING] == [unused.level, used.level]
    assert "1,234,567 tokens" in used.found
    assert "mission-control-plane[prices]" in unused.found
    assert "mission-control-plane[prices]" in used.advice


def test_metrics_without_their_extra_are_a_problem() -> None:
    found = next(check_extras(evolve(ALL, has_metrics=False)))

    assert (FindingLevel.PROBLEM, "MC_METRICS_TOKEN") == (found.level, found.looked_at)
    assert "mission-control-plane[metrics]" in found.advice


def test_nothing_is_said_about_metrics_that_nobody_wants() -> None:
    found = list(check_extras(evolve(ALL, wants_metrics=False, has_metrics=False)))

    assert ["OpenTelemetry"] == [each.looked_at for each in found]


def test_the_extra_for_protobuf_is_named() -> None:
    *_, found = check_extras(evolve(ALL, has_otlp=False))

    assert FindingLevel.OK is found.level
    assert "mission-control-plane[otlp]" in found.found
