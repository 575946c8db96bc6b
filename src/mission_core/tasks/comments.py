"""
Comments on tasks.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from attrs import field

from mission_core.errors import NotFound
from mission_core.field_types import with_type_validators
from mission_core.ids import CommentId, CommentNumber, OrganizationId, TaskId
from mission_core.kinds import Kind
from mission_core.lazy_attrs import frozen
from mission_core.tasks.events import TaskCommented
from mission_core.tasks.model import Task
from mission_core.values import text, utc_moment

LONGEST_COMMENT: Final = 1_000_000


class CommentNotFound(NotFound):
    """
    The task has no such comment.
    """

    says = "Parent comment not found"


@frozen(kw_only=True, field_transformer=with_type_validators)
class Comment:
    """
    A comment on a task, or with *parent* a reply. *author* is the author's name at the time, *mentions* are the names
    mentioned, and *assigned* is the agent that the comment assigned the task to.
    """

    id: CommentId
    number: CommentNumber
    organization: OrganizationId
    task: TaskId
    author: str = field(validator=text(most=200))
    author_kind: str
    author_id: UUID | None = None
    content: str = field(validator=text(least=1, most=LONGEST_COMMENT))
    parent: CommentId | None = None
    mentions: tuple[str, ...] = ()
    assigned: str | None = None
    created_at: datetime = field(validator=utc_moment)
    version: int = 0

    def commented_event(self) -> TaskCommented:
        """
        Return the event of this comment.
        """
        return TaskCommented(
            task=self.task, comment=self.id, author=self.author, message=self.content, parent=self.parent,
            mentions=self.mentions, at=self.created_at,
        )  # fmt: skip


COMMENTS: Final = Kind(
    entity=Comment,
    name="comments",
    missing=CommentNotFound,
    indexed_by=(("task",), ("author_id",)),
    cascades_from={"task": Task},
)
