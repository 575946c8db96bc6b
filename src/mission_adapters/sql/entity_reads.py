"""
Generic reads of entities of a kind in SQL, limited to what a principal may see.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from mission_adapters.board_scope import has_board, is_limited_by_grants
from mission_adapters.sql.board_visibility import board_filter_of
from mission_adapters.sql.database_session import BoundStatement, DatabaseSession, Steps
from mission_adapters.sql.kind_tables import (
    MAPPINGS,
    filters_of,
    select_count,
    select_first,
    select_numbered,
    select_page,
    select_rows,
    select_several,
)
from mission_core.accounts.model import may_read_board
from mission_core.boards.model import BoardDenied
from mission_core.lazy_attrs import frozen
from mission_core.values import UNSTORABLE, PageOfRows

if TYPE_CHECKING:
    from mission_core.accounts.model import Principal
    from mission_core.kinds import EntityT, Kind
    from mission_core.values import PageRequest


@frozen(eq=False, repr=False)
class SqlEntityReads:
    """
    Reads entities of any kind.
    """

    session: DatabaseSession

    async def get(self, principal: Principal, kind: Kind[EntityT], key: UUID | int) -> EntityT:
        """
        Return the entity with this id or number.
        """
        equal = {"id" if isinstance(key, UUID) else "number": key}
        board_filters = board_filter_of(principal)

        def steps() -> Steps[EntityT]:
            found = yield self._select(principal, kind, equal, {})
            row = MAPPINGS[kind].rows.entity_from(found[0]) if found else None
            if row is None:
                raise kind.missing
            if (
                board_filters
                and is_limited_by_grants(kind.entity)
                and not (yield self._select(principal, kind, equal, board_filters))
            ):
                raise BoardDenied
            return cast("EntityT", row)

        return await self.session.read(steps)

    async def several(self, principal: Principal, kind: Kind[EntityT], ids: Collection[UUID]) -> list[EntityT]:
        """
        Return those of the entities with these ids that the principal may see.
        """
        board_filters = board_filter_of(principal)
        given = {"organization": kind.owner(principal.organization).bytes, "ids": [each.bytes for each in ids]}
        statement = select_several(kind, tuple(board_filters))
        return await self._rows(kind, statement(self.session.dialect, **given, **board_filters))

    async def numbered(self, principal: Principal, kind: Kind[EntityT], numbers: Collection[int]) -> list[EntityT]:
        """
        Return those of the entities with these numbers that the principal may see, by number.
        """
        board_filters = board_filter_of(principal)
        given = {"organization": kind.owner(principal.organization).bytes, "numbers": list(numbers)}
        statement = select_numbered(kind, tuple(board_filters))
        return await self._rows(kind, statement(self.session.dialect, **given, **board_filters))

    async def every(self, principal: Principal, kind: Kind[EntityT], **equal: Any) -> list[EntityT]:
        """
        Return the entities whose fields have these values, oldest first.
        """
        if _cannot_match(principal, kind, equal):
            return []
        return await self._rows(kind, self._select(principal, kind, equal, board_filter_of(principal)))

    async def first(
        self, principal: Principal, kind: Kind[EntityT], equal: Mapping[str, Any], *, newest: bool
    ) -> EntityT | None:
        """
        Return the oldest entity whose fields have these values, or the *newest*.
        """
        if _cannot_match(principal, kind, equal):
            return None
        board_filters = board_filter_of(principal)
        statement = select_first(kind, newest, filters_of(equal), tuple(board_filters))
        found = await self._rows(
            kind, statement(self.session.dialect, **_parameters(principal, kind, equal, board_filters))
        )
        return found[0] if found else None

    async def page(
        self, principal: Principal, kind: Kind[EntityT], page: PageRequest, *, newest: bool = False, **equal: Any
    ) -> PageOfRows:
        """
        Return a page of the entities whose fields have these values, by number, with the total count.
        """
        if _cannot_match(principal, kind, equal):
            return PageOfRows([], 0)
        mapping, dialect, board_filters = MAPPINGS[kind], self.session.dialect, board_filter_of(principal)
        shape, given = (filters_of(equal), tuple(board_filters)), _parameters(principal, kind, equal, board_filters)
        limits: dict[str, Any] = {"limit": page.limit, "offset": page.offset}
        if page.after is not None:
            limits["after"] = page.after
        wanted = select_page(kind, newest, page.after is not None, *shape)(dialect, **given, **limits)
        counted = select_count(kind, *shape)(dialect, **given)

        def steps() -> Steps[PageOfRows]:
            rows = (yield wanted) if page.limit else []  # with 0 only the count is asked for
            ((total,),) = yield counted
            return PageOfRows([mapping.rows.entity_from(row) for row in rows], total)

        return await self.session.read(steps)

    def _select(
        self, principal: Principal, kind: Kind[Any], equal: Mapping[str, Any], board_filters: Mapping[str, Any]
    ) -> BoundStatement:
        statement = select_rows(kind, filters_of(equal), tuple(board_filters))
        return statement(self.session.dialect, **_parameters(principal, kind, equal, board_filters))

    async def _rows(self, kind: Kind[EntityT], ask: BoundStatement) -> list[EntityT]:
        def steps() -> Steps[list[Any]]:
            rows: list[Any] = yield ask
            return rows

        return [cast("EntityT", MAPPINGS[kind].rows.entity_from(row)) for row in await self.session.read(steps)]


def _cannot_match(principal: Principal, kind: Kind[Any], equal: Mapping[str, Any]) -> bool:
    """
    Whether no row can match: the board is not granted to the principal, or a text value cannot be stored.
    """
    if any(isinstance(each, str) and UNSTORABLE.search(each) for each in equal.values()):
        return True
    return has_board(kind.entity) and "board" in equal and not may_read_board(principal, equal["board"])


def _parameters(
    principal: Principal, kind: Kind[Any], equal: Mapping[str, Any], board_filters: Mapping[str, Any]
) -> dict[str, Any]:
    owner = kind.owner(principal.organization)
    return {"organization": owner.bytes, **MAPPINGS[kind].column_values(equal), **board_filters}
