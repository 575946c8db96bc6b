"""
Values and steps that tests of several areas of the Boards API share.
"""

from msgspec import UNSET

from mission_http.platform.json_schemas import declared_fields

NEW = {"name": "Launch", "slug": "launch", "description": "  Ship the thing  "}
"""The body of a new board."""
OTHER = "0195a000-0000-7000-8000-000000000001"
NOWHERE = "0195a000-0000-7000-8000-000000000000"
"""Two ids of nothing."""


def names_of(cls: type) -> set[str]:
    """
    The fields that are always sent.
    """
    return {field.name for field in declared_fields(cls) if field.default is not UNSET}


async def patched(boards, task, body):
    """
    The task after a PATCH.
    """
    return await boards.got("PATCH", f"{boards.tasks}/{task['id']}", body)
