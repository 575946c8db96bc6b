"""
Rate limits, as the environment sets them.
"""

import pytest
from attrs import evolve

from mission_http.platform.rate_limits import DEFAULT_QUOTAS, RATE_LIMIT_CLASSES
from mission_http.rate_limit_settings import CLASS_BY_VARIABLE, RateLimitSettings, RedisSettings
from mission_http.settings import SettingsError, read_collecting_errors

STRICT = {name for name, each in RATE_LIMIT_CLASSES.items() if not each.bypassable}


def test_nothing_set_means_the_documented_limits_counted_here():
    """
    Those that others are told of.
    """
    limiting = RateLimitSettings.of({"RATE_LIMIT_BACKEND": "", "RATE_LIMIT_GENERAL": " ", "MC_DISABLE_RATE_LIMIT": "0"})

    assert RateLimitSettings() == limiting
    assert (100, 60) == (limiting.quotas["general"].amount, limiting.quotas["general"].seconds)
    assert (20, 60) == (limiting.quotas["agent-auth"].amount, limiting.quotas["agent-auth"].seconds)


@pytest.mark.parametrize("variable", CLASS_BY_VARIABLE)
def test_every_class_has_a_variable(variable):
    """
    Which changes this class alone, or takes its limit away. A window that slides still does.
    """
    name = CLASS_BY_VARIABLE[variable]
    changed = RateLimitSettings.of({variable: " 7/30 "}).quotas
    without = RateLimitSettings.of({variable: "0"}).quotas

    assert {**DEFAULT_QUOTAS, name: evolve(DEFAULT_QUOTAS[name], amount=7, seconds=30)} == changed
    assert DEFAULT_QUOTAS.keys() - {name} == without.keys()


def test_variables_are_spelled_as_their_classes_are():
    """
    In capitals, with underscores.
    """
    assert {
        "RATE_LIMIT_GENERAL", "RATE_LIMIT_LOGIN", "RATE_LIMIT_AGENT_AUTH", "RATE_LIMIT_WEBHOOK_INGEST",
        "RATE_LIMIT_SELF_REGISTER", "RATE_LIMIT_PASSWORD_CHANGE", "RATE_LIMIT_OPENCLAW_MAINTENANCE",
    } <= CLASS_BY_VARIABLE.keys()  # fmt: skip
    assert {"RATE_LIMIT_BACKEND", "RATE_LIMIT_REDIS_URL"}.isdisjoint(CLASS_BY_VARIABLE)


@pytest.mark.parametrize("value", ["many", "10", "0/60", "10/0", "-1/60", "10/60/1", "1e3/60", "٣/60", "10 / 60", "/"])
def test_a_malformed_limit_is_named(value):
    """
    Nothing is guessed; what it should be is told.
    """
    with pytest.raises(SettingsError, match="such as 100/60") as refused:
        RateLimitSettings.of({"RATE_LIMIT_AGENT_TASK": value})

    assert "RATE_LIMIT_AGENT_TASK" == refused.value.variable


def test_disabling_leaves_what_guards_credentials():
    """
    Whatever is set for them; what is not set keeps its default.
    """
    limiting = RateLimitSettings.of(
        {"MC_DISABLE_RATE_LIMIT": "1", "RATE_LIMIT_MUTATION": "9/9", "RATE_LIMIT_LOGIN": "9/9"}
    )

    assert limiting.disabled
    assert STRICT == limiting.quotas.keys()
    assert {"login", "identity", "password-change"} <= STRICT
    assert 9 == limiting.quotas["login"].amount


def test_a_variable_that_names_no_class_is_remembered_and_ignored():
    """
    For the doctor.
    """
    limiting = RateLimitSettings.of(
        {"RATE_LIMIT_AGENT-AUTH": "1/1", "RATE_LIMIT_LOGINS": "nonsense", "RATE_LIMIT_": "0"}
    )

    assert DEFAULT_QUOTAS == limiting.quotas
    assert ("RATE_LIMIT_", "RATE_LIMIT_AGENT-AUTH", "RATE_LIMIT_LOGINS") == limiting.unknown


@pytest.mark.parametrize(
    ("environment", "redis"),
    [
        ({"RATE_LIMIT_REDIS_URL": "redis://here"}, None),
        ({"RATE_LIMIT_BACKEND": "memory", "RQ_REDIS_URL": "nonsense"}, None),
        (
            {
                "RATE_LIMIT_BACKEND": "redis",
                "RATE_LIMIT_REDIS_URL": "redis://here:6379/2",
                "RQ_REDIS_URL": "redis://no",
            },
            RedisSettings("redis://here:6379/2", "RATE_LIMIT_REDIS_URL"),
        ),
        (
            {"RATE_LIMIT_BACKEND": " Redis", "RATE_LIMIT_REDIS_URL": " ", "RQ_REDIS_URL": "rediss://me:sesame@here"},
            RedisSettings("rediss://me:sesame@here", "RQ_REDIS_URL"),
        ),
        (
            {"RATE_LIMIT_BACKEND": "redis", "RATE_LIMIT_REDIS_URL": "unix:///run/redis.sock?db=1"},
            RedisSettings("unix:///run/redis.sock?db=1", "RATE_LIMIT_REDIS_URL"),
        ),
    ],
)
def test_redis_counts_where_it_is_named(environment, redis):
    """
    By its own variable before that of the queue.
    """
    assert redis == RateLimitSettings.of(environment).redis


@pytest.mark.parametrize(
    ("environment", "variable"),
    [
        ({"RATE_LIMIT_BACKEND": "memcached"}, "RATE_LIMIT_BACKEND"),
        ({"RATE_LIMIT_BACKEND": "redis"}, "RATE_LIMIT_REDIS_URL"),
        ({"RATE_LIMIT_BACKEND": "redis", "RATE_LIMIT_REDIS_URL": " ", "RQ_REDIS_URL": ""}, "RATE_LIMIT_REDIS_URL"),
        ({"RATE_LIMIT_BACKEND": "redis", "RATE_LIMIT_REDIS_URL": "sesame"}, "RATE_LIMIT_REDIS_URL"),
        ({"RATE_LIMIT_BACKEND": "redis", "RATE_LIMIT_REDIS_URL": "http://:sesame@here"}, "RATE_LIMIT_REDIS_URL"),
        ({"RATE_LIMIT_BACKEND": "redis", "RATE_LIMIT_REDIS_URL": "redis://:sesame@"}, "RATE_LIMIT_REDIS_URL"),
        ({"RATE_LIMIT_BACKEND": "redis", "RQ_REDIS_URL": "redis://:sesame@here:port"}, "RQ_REDIS_URL"),
        ({"RATE_LIMIT_BACKEND": "redis", "RQ_REDIS_URL": "redis://:sesame@here:0"}, "RQ_REDIS_URL"),
        ({"RATE_LIMIT_BACKEND": "redis", "RQ_REDIS_URL": "redis://:sesame@here/first"}, "RQ_REDIS_URL"),
        ({"RATE_LIMIT_BACKEND": "redis", "RQ_REDIS_URL": "redis://[sesame"}, "RQ_REDIS_URL"),
        ({"RATE_LIMIT_BACKEND": "redis", "RQ_REDIS_URL": "unix://"}, "RQ_REDIS_URL"),
        ({"MC_DISABLE_RATE_LIMIT": "perhaps"}, "MC_DISABLE_RATE_LIMIT"),
    ],
)
def test_what_cannot_be_meant_stops_the_start(environment, variable):
    """
    It is told by its variable, and no part of a URL is repeated.
    """
    with pytest.raises(SettingsError) as refused:
        RateLimitSettings.of(environment)

    assert variable == refused.value.variable
    assert "sesame" not in str(refused.value)


def test_the_doctor_finds_what_to_correct():
    """
    Also where a variable lacks another.
    """
    _, malformed = read_collecting_errors(
        RateLimitSettings.of, {"RATE_LIMIT_BACKEND": "redis", "RATE_LIMIT_GENERAL": "x"}
    )

    assert {"RATE_LIMIT_GENERAL", "RATE_LIMIT_BACKEND"} == malformed.keys()


def test_no_password_is_shown():
    """
    Wherever settings are printed.
    """
    assert "sesame" not in repr(RedisSettings("redis://:sesame@here", "RQ_REDIS_URL"))
