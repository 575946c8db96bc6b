"""
The import of entities in batches of a hundred. It can be repeated: entities that are there already stay as they are.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Final
from uuid import UUID

from attrs import evolve, field

from mission_adapters.data_import.import_report import ImportReport
from mission_adapters.data_import.row_repairs import ROW_ERRORS, InvalidRow, Row, make_entity, reason_text
from mission_core.accounts.import_events import RowsImported
from mission_core.accounts.model import SystemPrincipal
from mission_core.errors import Conflict, NotFound, StaleWrite
from mission_core.ids import OrganizationId
from mission_core.lazy_attrs import define
from mission_core.ports import Ports, UnitOfWork

BATCH: Final = 100
MakeEntity = Callable[[Row], Any]
RepositoryOf = Callable[[UnitOfWork], Any]
FinishEntity = Callable[[Any], Awaitable[tuple[Any, str | None]]]


@define
class EntityImporter:
    """
    Imports entities into one organization.

    *imported_ids* has the ids of all entities that were imported now or before. Rows that refer to other rows check it.
    """

    ports: Ports
    organization: OrganizationId
    source: str
    report: ImportReport
    imported_ids: set[UUID] = field(factory=set)

    @property
    def principal(self) -> SystemPrincipal:
        """
        The principal that performs the import.
        """
        return SystemPrincipal(organization=self.organization, name="import", display="Import")

    async def import_rows(
        self,
        table: str,
        into: RepositoryOf,
        rows: Iterable[tuple[object, Row, MakeEntity]],
        *,
        numbered: str | None = None,
        highest: int = 0,
        finish: FinishEntity | None = None,
    ) -> None:
        """
        Import the entities of these rows. A row that cannot be stored is skipped and reported.

        Args:
            into: The function that gives the repository of a unit.
            rows: Each row with its id in the other system, and the function that makes its entity.
            numbered: The kind of number that the entities have. An entity whose number is taken gets a new one.
            highest: The highest number there. New numbers are greater.
            finish: Completes an entity that is new here, for example with a number. It returns the entity and a text
                for the report, or None.
        """
        if numbered is not None:
            await self.ports.numbers.advance_to((self.organization, numbered, highest))
        waiting = iter(rows)
        while batch := list(islice(waiting, BATCH)):
            made = [each for row in batch if (each := self._make_entity(table, *row)) is not None]
            try:
                await self._store(table, into, made, numbered, finish)
            except Conflict:  # repeat them one by one to find the one that conflicts
                for each in made:
                    try:
                        await self._store(table, into, [each], numbered, finish)
                    except StaleWrite:
                        self.report.skip(table, each[0], "another organization here has its id")
                    except Conflict as refusal:
                        self.report.skip(table, each[0], str(refusal) or "another row here has the same unique values")

    def with_next_number(self, kind: str) -> FinishEntity:
        """
        A `finish` function that gives new entities the next numbers of a kind.
        """

        async def finish(entity: Any) -> tuple[Any, None]:
            (number,) = await self.ports.numbers.next((self.organization, kind))
            return evolve(entity, number=number), None

        return finish

    def require_imported(self, what: str, id: UUID) -> None:
        """
        Require that the referenced row was imported.

        Raises:
            InvalidRow: If it was not.
        """
        if id not in self.imported_ids:
            raise InvalidRow(f"its {what} was not imported")

    def _make_entity(self, table: str, id: object, row: Row, make: MakeEntity) -> tuple[object, Any] | None:
        whole, kept = self.report, ImportReport()
        told: list[str] = []

        def tried(row: Row) -> Any:
            nonlocal kept
            self.report = ImportReport()
            entity = make(row)
            kept = self.report  # only the reports of the last successful attempt count
            return entity

        try:
            entity = make_entity(row, tried, told.append, at=self.ports.clock.now())
        except ROW_ERRORS as reason:
            whole.skip(table, id, reason_text(reason))
            return None
        finally:
            self.report = whole
        whole.add_changes(kept)
        for why in told:
            whole.change(table, id, why)
        return None if entity is None else (id, entity)

    async def _store(
        self,
        table: str,
        into: RepositoryOf,
        made: list[tuple[object, Any]],
        numbered: str | None,
        finish: FinishEntity | None,
    ) -> None:
        changed: list[tuple[object, str]] = []
        async with self.ports.unit(self.principal) as unit:
            fresh = [each for each in made if await find_entity(into(unit), each[1].id) is None]
            for id, entity in fresh:
                if numbered is not None and await find_entity(into(unit), entity.number) is not None:
                    (number,) = await self.ports.numbers.next((self.organization, numbered))
                    entity = evolve(entity, number=number)
                    changed.append((id, f"another {numbered} has its number; it has a new one"))
                if finish is not None:
                    entity, otherwise = await finish(entity)
                    if otherwise is not None:
                        changed.append((id, otherwise))
                into(unit).add(entity)
            taken = len(fresh)
            if taken:
                unit.record(
                    RowsImported(
                        organization=self.organization, source=self.source, table=table, count=taken,
                        at=self.ports.clock.now(),
                    )
                )  # fmt: skip
                await unit.commit()
        self.imported_ids.update(entity.id for _, entity in made)
        self.report.taken[table] += taken
        self.report.there[table] += len(made) - taken
        for id, why in changed:
            self.report.change(table, id, why)


def rows_with_factory(rows: Iterable[Any], make: Callable[[Any], Any]) -> Iterator[tuple[object, Row, MakeEntity]]:
    """
    The rows with the function that makes their entities, as `EntityImporter.import_rows` expects them.
    """
    for row in rows:
        yield row["id"], row, make


async def find_entity(repository: Any, key: UUID | int) -> Any:
    """
    The entity with this id or number in a repository, or None.
    """
    try:
        return await repository.get(key)
    except NotFound:
        return None
