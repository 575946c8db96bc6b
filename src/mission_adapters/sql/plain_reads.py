"""
Generic reads of entities of a kind in SQL, limited to what a principal may see.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from attrs import frozen

from mission_adapters.belonging import has_board, is_confined
from mission_adapters.sql.grants import border_of
from mission_adapters.sql.plain import SHELVES, count_where, first_where, page_where, rows_where, shape_of
from mission_adapters.sql.session import Ask, Session, Steps
from mission_core.accounts.model import sees
from mission_core.boards.model import BoardDenied
from mission_core.values import UNSTORABLE, Listed

if TYPE_CHECKING:
    from mission_core.accounts.model import Principal
    from mission_core.kinds import Kind, P
    from mission_core.values import Page


@frozen
class SqlRowReads:
    """
    Reads entities of any kind.
    """

    session: Session

    async def get(self, principal: Principal, kind: Kind[P], key: UUID | int) -> P:
        """
        Return the entity with this id or number.
        """
        equal = {"id" if isinstance(key, UUID) else "number": key}
        board_filters = border_of(principal)

        def steps() -> Steps[P]:
            found = yield self._wanted(principal, kind, equal, {})
            row = SHELVES[kind].entity_from(found[0]) if found else None
            if row is None:
                raise kind.missing
            if (
                board_filters
                and is_confined(kind.entity)
                and not (yield self._wanted(principal, kind, equal, board_filters))
            ):
                raise BoardDenied
            return cast("P", row)

        return await self.session.read(steps)

    async def every(self, principal: Principal, kind: Kind[P], **equal: Any) -> list[P]:
        """
        Return the entities whose fields have these values, oldest first.
        """
        if _beyond(principal, kind, equal):
            return []
        return await self._rows(kind, self._wanted(principal, kind, equal, border_of(principal)))

    async def first(self, principal: Principal, kind: Kind[P], equal: Mapping[str, Any], *, newest: bool) -> P | None:
        """
        Return the oldest entity whose fields have these values, or the *newest*.
        """
        if _beyond(principal, kind, equal):
            return None
        board_filters = border_of(principal)
        statement = first_where(kind, newest, shape_of(equal), tuple(board_filters))
        found = await self._rows(kind, statement(self.session.dialect, **_given(principal, kind, equal, board_filters)))
        return found[0] if found else None

    async def page(
        self, principal: Principal, kind: Kind[P], page: Page, *, newest: bool = False, **equal: Any
    ) -> Listed:
        """
        Return a page of the entities whose fields have these values, by number, with the total count.
        """
        if _beyond(principal, kind, equal):
            return Listed([], 0)
        mapping, dialect, board_filters = SHELVES[kind], self.session.dialect, border_of(principal)
        shape, given = (shape_of(equal), tuple(board_filters)), _given(principal, kind, equal, board_filters)
        limits: dict[str, Any] = {"limit": page.limit, "offset": page.offset}
        if page.after is not None:
            limits["after"] = page.after
        wanted = page_where(kind, newest, page.after is not None, *shape)(dialect, **given, **limits)
        counted = count_where(kind, *shape)(dialect, **given)

        def steps() -> Steps[Listed]:
            rows = yield wanted
            ((total,),) = yield counted
            return Listed([mapping.entity_from(row) for row in rows], total)

        return await self.session.read(steps)

    def _wanted(
        self, principal: Principal, kind: Kind[Any], equal: Mapping[str, Any], board_filters: Mapping[str, Any]
    ) -> Ask:
        statement = rows_where(kind, shape_of(equal), tuple(board_filters))
        return statement(self.session.dialect, **_given(principal, kind, equal, board_filters))

    async def _rows(self, kind: Kind[P], ask: Ask) -> list[P]:
        def steps() -> Steps[list[Any]]:
            rows: list[Any] = yield ask
            return rows

        return [cast("P", SHELVES[kind].entity_from(row)) for row in await self.session.read(steps)]


def _beyond(principal: Principal, kind: Kind[Any], equal: Mapping[str, Any]) -> bool:
    """
    Whether no row can match: the board is not granted to the principal, or a text value cannot be stored.
    """
    if any(isinstance(each, str) and UNSTORABLE.search(each) for each in equal.values()):
        return True
    return has_board(kind.entity) and "board" in equal and not sees(principal, equal["board"])


def _given(
    principal: Principal, kind: Kind[Any], equal: Mapping[str, Any], board_filters: Mapping[str, Any]
) -> dict[str, Any]:
    owner = kind.owner(principal.organization)
    return {"organization": owner.bytes, **SHELVES[kind].given(equal), **board_filters}
