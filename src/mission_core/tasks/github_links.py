"""
GitHub links of a task: its issue, branch and pull request.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from attrs import field
from attrs.validators import optional

from mission_core.field_types import with_type_validators
from mission_core.lazy_attrs import frozen
from mission_core.values import text, utc_moment, whole_number


@frozen(kw_only=True, field_transformer=with_type_validators)
class GitHubLinks:
    """
    The GitHub issue, branch and pull request of a task, as far as they are known.
    """

    repo: str | None = field(default=None, validator=optional(text(least=1, most=200)))
    issue: int | None = field(default=None, validator=optional(whole_number(1)))
    branch: str | None = field(default=None, validator=optional(text(least=1, most=255)))
    pull_request: int | None = field(default=None, validator=optional(whole_number(1)))
    pull_request_state: str | None = field(default=None, validator=optional(text(most=50)))
    synced_at: datetime | None = field(default=None, validator=optional(utc_moment))


NO_GITHUB_LINKS: Final = GitHubLinks()
