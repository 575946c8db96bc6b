"""
Variables that look like one that is read.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from mission_http.doctor.variable_names import KNOWN_VARIABLES, misspelled_variables
from mission_http.settings import settings_from

ORDINARY = """
PATH HOME USER SHELL LANG LC_ALL TERM PWD OLDPWD TZ EDITOR HOSTNAME LOGNAME MAIL DISPLAY TMPDIR XDG_RUNTIME_DIR
VIRTUAL_ENV PYTHONPATH PYTHONUNBUFFERED PS1 SSH_AUTH_SOCK GPG_AGENT_INFO DBUS_SESSION_BUS_ADDRESS
HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy ALL_PROXY
OPENAI_API_KEY ANTHROPIC_API_KEY GITHUB_TOKEN AWS_SECRET_ACCESS_KEY GOOGLE_API_KEY GOOGLE_APPLICATION_CREDENTIALS
GOOGLE_CLOUD_PROJECT GITHUB_CLIENT_ID GITHUB_CLIENT_SECRET CLERK_PUBLISHABLE_KEY CLERK_WEBHOOK_SECRET
DATABASE_HOST DATABASE_NAME REDIS_URL POSTGRES_PASSWORD PGPASSWORD SECRET_KEY APP_KEY API_KEYS API_URL APP_URL
ALLOWED_HOSTS CORS_ORIGIN_WHITELIST LOGLEVEL LOG_FILE AUTH_TOKEN AUTH_URL KUBERNETES_SERVICE_HOST
MC_HOST MC_XDG_OPEN MC_SID MC_ANTHROPIC_SUBSCRIPTION OPENAI_SUBSCRIPTION_TYPE MC_CONTROL_FILE RATE_LIMIT_X
"""


class Asked(Mapping[str, str]):
    """
    An environment that remembers what it was asked for.
    """

    def __init__(self, **said: str) -> None:
        self.said = said
        self.names = set(said)

    def __getitem__(self, name: str) -> str:
        self.names.add(name)
        return self.said[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.said)

    def __len__(self) -> int:
        return len(self.said)


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"AUTH_MODE": "oidc", "OIDC_ISSUER": "https://here", "OIDC_AUDIENCE": "us"},
        {"AUTH_MODE": "clerk", "CLERK_SECRET_KEY": "sk_live_x", "OIDC_LEEWAY": "1"},
        {"GOOGLE_CLIENT_ID": "us"},
        {"RATE_LIMIT_BACKEND": "redis", "RQ_REDIS_URL": "redis://here"},
    ],
)
def test_whatever_is_read_is_known(said: dict[str, str], tmp_path: Path) -> None:
    """
    A variable that is new is no misspelling of another.
    """
    asked = Asked(**said)
    settings_from(asked, data_dir=tmp_path, in_use=False)

    assert set() == asked.names - KNOWN_VARIABLES


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("MC_ALOWED_HOSTS", "MC_ALLOWED_HOSTS"),
        ("MC_ALLOWED_HOST", "MC_ALLOWED_HOSTS"),
        ("mc_allowed_hosts", "MC_ALLOWED_HOSTS"),
        ("MC_TRUSTED_PROXY", "MC_TRUSTED_PROXIES"),
        ("MC_COOKIES_SECURE", "MC_COOKIE_SECURE"),
        ("MC_AUTH_SECRET", "AUTH_SECRET"),
        ("SECURITY_HEADER_X_FRAME_OPTION", "SECURITY_HEADER_X_FRAME_OPTIONS"),
        ("MISSION_CONTROL_DATADIR", "MISSION_CONTROL_DATA_DIR"),
        ("LOCAL_AUTH_TOKENS", "LOCAL_AUTH_TOKEN"),
        ("DATABSE_URL", "DATABASE_URL"),
        ("RATELIMIT_LOGIN", "RATE_LIMIT_LOGIN"),
    ],
)
def test_a_name_that_is_near_is_told(name: str, meant: str) -> None:
    """
    With the one that is read; not if it says nothing.
    """
    assert [(name, meant)] == list(misspelled_variables({name: "x"}))
    assert [] == list(misspelled_variables({name: " "}))


def test_other_programs_variables_are_left_alone() -> None:
    """
    And those that are read.
    """
    assert [] == list(misspelled_variables(dict.fromkeys((*ORDINARY.split(), *KNOWN_VARIABLES), "x")))
