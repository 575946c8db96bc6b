"""
The environment, read once.
"""

from datetime import timedelta
from pathlib import Path

import pytest

from mission_core.reports.workload_thresholds import WorkloadThresholds
from mission_http.settings import (
    SECRETS_FILE,
    ProviderSubscription,
    SettingsError,
    read_collecting_errors,
    settings_from,
)
from mission_http.wiring import database_location


def test_nothing_set_is_enough(tmp_path: Path) -> None:
    """
    Secrets are generated, kept where nobody else may read, and found again at the next start.
    """
    first = settings_from({}, data_dir=tmp_path / "data")
    again = settings_from({}, data_dir=tmp_path / "data")

    assert first == again
    assert first.database_url == f"sqlite:///{tmp_path}/data/mission-control.db"
    assert {"API_KEY", "LOCAL_AUTH_TOKEN"} == set(first.credentials)
    assert frozenset() == first.given
    assert (frozenset({"API_KEY", "AUTH_SECRET", "LOCAL_AUTH_TOKEN"}), frozenset()) == (first.fresh, again.fresh)
    assert 0o700 == (tmp_path / "data").stat().st_mode & 0o777
    assert 0o600 == (tmp_path / "data" / ".auto-generated").stat().st_mode & 0o777


def test_what_the_environment_gives_is_not_written_down(tmp_path: Path) -> None:
    """
    A given secret stays where it is; a placeholder counts as not given.
    """
    given = {"API_KEY": "s3cret", "AUTH_SECRET": "random-secret-for-legacy-cookies"}
    settings = settings_from(given, data_dir=tmp_path)

    assert "s3cret" == settings.api_key
    assert "random-secret-for-legacy-cookies" != settings.auth_secret
    assert frozenset({"API_KEY"}) == settings.given
    assert "s3cret" not in (tmp_path / ".auto-generated").read_text()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DATABASE_URL", "mysql://localhost/x"),
        ("DATABASE_URL", "nonsense"),
        ("LOCAL_AUTH_TOKEN", "short"),
        ("MC_METRICS_TOKEN", "a-token-of-too-few-characters"),
        ("MC_RETAIN_TOKEN_USAGE_DAYS", "31"),
        ("MC_RETAIN_TOKEN_USAGE_DAYS", "a month"),
        ("MC_RETAIN_TOKEN_USAGE_DAYS", "9999999999"),
        ("MC_METRICS_TOKEN", "a token that has spaces in its middle"),
        ("MC_ENABLE_HSTS", "perhaps"),
        ("MC_DISABLE_HSTS", "perhaps"),
        ("MC_TRUSTED_PROXIES", "the proxy"),
        ("CORS_ORIGINS", "*"),
        ("LOG_LEVEL", "loud"),
        ("REQUEST_LOG_SLOW_MS", "slow"),
        ("SECURITY_HEADER_X_FRAME_OPTIONS", "DENY\r\nSet-Cookie: x=y"),
        ("MC_WORKLOAD_QUEUE_DEPTH_SHED", "many"),
        ("MC_WORKLOAD_QUEUE_DEPTH_SHED", "99.5"),
        ("MC_WORKLOAD_QUEUE_DEPTH_THROTTLE", "19"),
        ("MC_WORKLOAD_BUSY_RATIO_SHED", "0.5"),
        ("MC_WORKLOAD_ERROR_RATE_THROTTLE", "nan"),
        ("MC_WORKLOAD_RECENT_WINDOW_SECONDS", "7200"),
        ("WEBHOOK_MAX_PAYLOAD_BYTES", "0"),
        ("WEBHOOK_MAX_PAYLOAD_BYTES", "-1"),
        ("WEBHOOK_MAX_PAYLOAD_BYTES", "1e6"),
        ("WEBHOOK_MAX_PAYLOAD_BYTES", "1 MB"),
        ("WEBHOOK_MAX_PAYLOAD_BYTES", "104857601"),
        ("WEBHOOK_MAX_PAYLOAD_BYTES", "9" * 5000),
        ("MC_SOUL_TEMPLATES_DIR", "/there/is/no/such/directory"),
    ],
)
def test_a_malformed_value_stops_the_start_and_names_the_variable(variable: str, value: str, tmp_path: Path) -> None:
    """
    The message begins with the variable's name.
    """
    with pytest.raises(SettingsError) as refused:
        settings_from({variable: value}, data_dir=tmp_path)

    assert variable == refused.value.variable


def test_thresholds_of_the_workload_are_the_operators(tmp_path: Path) -> None:
    """
    Those that are not set stay as they are.
    """
    given = {
        "MC_WORKLOAD_QUEUE_DEPTH_SHED": "500", "MC_WORKLOAD_ERROR_RATE_SHED": " 1 ", "MC_WORKLOAD_BUSY_RATIO_SHED": ""
    }  # fmt: skip
    settings = settings_from(given, data_dir=tmp_path)

    assert WorkloadThresholds(queue_depth_shed=500, error_rate_shed=1) == settings.workload


@pytest.mark.parametrize(("told", "expected"), [("", 1_048_576), (" 10 ", 10), ("104857600", 104_857_600)])
def test_how_much_a_webhook_takes_is_the_operators(told: str, expected: int, tmp_path: Path) -> None:
    """
    A megabyte where nothing is said.
    """
    assert expected == settings_from({"WEBHOOK_MAX_PAYLOAD_BYTES": told}, data_dir=tmp_path).webhook_max_payload_bytes


def test_subscriptions_are_told_by_their_providers(tmp_path: Path) -> None:
    """
    A variable of a provider's own goes before the list, and may say that there is none.
    """
    given = {
        "MC_SUBSCRIBED_PROVIDERS": "Anthropic, google,, openai", "MC_ANTHROPIC_SUBSCRIPTION": "Max",
        "MC_OPENAI_SUBSCRIPTION_TYPE": "none", "OPEN_ROUTER_SUBSCRIPTION_TYPE": "pro", "MC_X_SUBSCRIPTION": "",
    }  # fmt: skip

    assert {
        "anthropic": ProviderSubscription("max", "MC_ANTHROPIC_SUBSCRIPTION"),
        "google": ProviderSubscription("subscription", "MC_SUBSCRIBED_PROVIDERS"),
        "open-router": ProviderSubscription("pro", "OPEN_ROUTER_SUBSCRIPTION_TYPE"),
    } == settings_from(given, data_dir=tmp_path).subscriptions


def test_a_directory_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    """
    A file stands where the directory should be.
    """
    (tmp_path / "data").touch()

    with pytest.raises(SettingsError, match="MISSION_CONTROL_DATA_DIR"):
        settings_from({}, data_dir=tmp_path / "data")


def test_a_damaged_file_of_secrets_stops_the_start(tmp_path: Path) -> None:
    """
    It is not overwritten: leases and keys in use may depend on it.
    """
    kept = tmp_path / SECRETS_FILE
    kept.write_bytes(b"\xff\xfe\x00")

    with pytest.raises(SettingsError, match="MISSION_CONTROL_DATA_DIR"):
        settings_from({}, data_dir=tmp_path)
    assert b"\xff\xfe\x00" == kept.read_bytes()


def test_what_is_malformed_can_be_left_out(tmp_path: Path) -> None:
    """
    Each of them is told, and the rest is read as if they were not set; nothing is made.
    """
    malformed = {"DATABASE_URL": "nonsense", "LOCAL_AUTH_TOKEN": "short", "MC_ENABLE_HSTS": "perhaps"}
    settings, told = read_collecting_errors(
        lambda env: settings_from(env, data_dir=tmp_path / "data", in_use=False), {"API_KEY": "s3cret", **malformed}
    )

    assert ("s3cret", f"sqlite:///{tmp_path}/data/mission-control.db") == (settings.api_key, settings.database_url)
    assert malformed.keys() == told.keys()
    assert [] == list(tmp_path.iterdir())


def test_what_fits_nothing_else_can_be_left_out(tmp_path: Path) -> None:
    """
    Though it is told of another variable, which is not set.
    """
    settings, told = read_collecting_errors(
        lambda env: settings_from(env, data_dir=tmp_path, in_use=False),
        {"PATH": "/bin", "MC_WORKLOAD_QUEUE_DEPTH_NORMAL": "200", "MC_WORKLOAD_RECENT_WINDOW_SECONDS": "90"},
    )

    assert WorkloadThresholds(recent_window_seconds=90) == settings.workload
    assert ["MC_WORKLOAD_QUEUE_DEPTH_NORMAL"] == list(told)
    assert told["MC_WORKLOAD_QUEUE_DEPTH_NORMAL"].startswith("MC_WORKLOAD_QUEUE_DEPTH_THROTTLE: ")


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("sqlite:////srv/mission.db", "sqlite:////srv/mission.db"),
        ("postgresql://me:sesame@here:5432/db?sslmode=require&password=sesame", "postgresql://here:5432/db"),
        ("postgresql://me:se@same@here/db", "postgresql://here/db"),
        ("postgresql://me:se?same@here/db", "postgresql://here/db"),
    ],
)
def test_a_place_is_told_without_the_password(url: str, place: str, tmp_path: Path) -> None:
    """
    Nor any part of one that breaks its URL.
    """
    assert place == database_location(settings_from({"DATABASE_URL": url}, data_dir=tmp_path))


@pytest.mark.parametrize(
    ("env", "over_https", "over_http"),
    [
        ({}, False, False),
        ({"BASE_URL": "http://here"}, False, False),
        ({"BASE_URL": "https://here"}, True, False),
        ({"BASE_URL": "https://here", "MC_DISABLE_HSTS": "1"}, False, False),
        ({"MC_ENABLE_HSTS": "1"}, True, True),
    ],
)
def test_browsers_are_kept_on_https_where_people_come_over_it(
    env: dict[str, str], over_https: bool, over_http: bool, tmp_path: Path
) -> None:
    """
    With every response if that is asked for, else over https alone; and never if that is asked for.
    """
    security = settings_from(env, data_dir=tmp_path).security

    assert (over_https, over_http) == (bool(security.hsts(secure=True)), bool(security.hsts(secure=False)))


@pytest.mark.parametrize(
    ("more", "directives"),
    [
        ({}, ""),
        ({"MC_HSTS_INCLUDE_SUBDOMAINS": "1"}, "; includeSubDomains"),
        ({"MC_HSTS_INCLUDE_SUBDOMAINS": "1", "MC_HSTS_PRELOAD": "1"}, "; includeSubDomains; preload"),
    ],
)
def test_names_below_are_kept_on_https_if_that_is_asked_for(
    more: dict[str, str], directives: str, tmp_path: Path
) -> None:
    """
    Whoever operates one name need not operate those below it, and nobody gets off the browsers' list soon.
    """
    security = settings_from({"BASE_URL": "https://here", **more}, data_dir=tmp_path).security

    assert f"max-age=63072000{directives}" == security.strict_transport_security


def test_what_nobody_may_read_in_the_log(tmp_path: Path) -> None:
    """
    Every secret, what the first admin is made with, and the passwords of the database and of Redis in both spellings.
    """
    url = "postgresql://me:open%20sesame@here/db"
    redis = {"RATE_LIMIT_BACKEND": "redis", "RQ_REDIS_URL": "redis://:abra%2Fcadabra@here"}
    scraper = "a-token-of-thirty-two-characters"
    given = {"API_KEY": "s3cret", "AUTH_PASS": "hunter2", "MC_METRICS_TOKEN": scraper, **redis}
    settings = settings_from(given, data_dir=tmp_path, database_url=url)

    assert {
        "s3cret", settings.auth_secret, settings.local_auth_token, settings.setup_code, "hunter2", "open%20sesame",
        "open sesame", "abra%2Fcadabra", "abra/cadabra", scraper,
    } == set(settings.redacted_values)  # fmt: skip
    assert settings_from({}, data_dir=tmp_path, database_url="postgresql://[::/db").redacted_values


@pytest.mark.parametrize(
    ("value", "kept"), [("", None), ("0", None), ("32", timedelta(days=32)), ("3650", timedelta(days=3650))]
)
def test_usage_is_kept_for_ever_unless_set(value: str, kept: timedelta | None, tmp_path: Path) -> None:
    settings = settings_from({"MC_RETAIN_TOKEN_USAGE_DAYS": value}, data_dir=tmp_path, in_use=False)

    assert kept == settings.usage_retention
