"""
Taking entities in, a hundred at a time, so that it can be done again: what is there already stays as it is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Final
from uuid import UUID

from attrs import define, evolve, field

from mission_adapters.importing.repairs import WRONG, Row, Unfit, made_of, said
from mission_adapters.importing.report import Report
from mission_core.accounts.importing import RowsImported
from mission_core.accounts.model import System
from mission_core.errors import Conflict, NotFound, StaleWrite
from mission_core.ids import OrganizationId
from mission_core.ports import Ports, UnitOfWork

BATCH: Final = 100
Make = Callable[[Row], Any]
Into = Callable[[UnitOfWork], Any]
Finish = Callable[[Any], Awaitable[tuple[Any, str | None]]]


@define
class Taker:
    """
    Takes entities into one organization.

    *here* has the ids of all that was taken or there already, so that what hangs on something else can look for it.
    """

    ports: Ports
    organization: OrganizationId
    source: str
    report: Report
    here: set[UUID] = field(factory=set)

    @property
    def principal(self) -> System:
        """
        Who takes them in.
        """
        return System(organization=self.organization, name="import", display="Import")

    async def take(
        self, table: str, into: Into, rows: Iterable[tuple[object, Row, Make]], *, numbered: str | None = None,
        highest: int = 0,
        finish: Finish | None = None,
    ) -> None:
        """
        Take in what each row makes. A row that cannot be kept is left out and reported.

        Args:
            into: The repository of a unit.
            rows: Each row with its id in its own system, and what makes its entity.
            numbered: The kind of number the entities have. One whose number is taken gets a new one.
            highest: The highest number there; new ones are given out beyond it.
            finish: What else an entity needs once it is known to be new, such as numbers it never had; and what the
                report is to say of that, if anything.
        """
        if numbered is not None:
            await self.ports.numbers.reach((self.organization, numbered, highest))
        waiting = iter(rows)
        while batch := list(islice(waiting, BATCH)):
            made = [each for row in batch if (each := self._made(table, *row)) is not None]
            try:
                await self._keep(table, into, made, numbered, finish)
            except Conflict:  # one of them; which one shows when they come alone
                for each in made:
                    try:
                        await self._keep(table, into, [each], numbered, finish)
                    except StaleWrite:
                        self.report.skip(table, each[0], "its id is there already, in another organization")
                    except Conflict as refusal:
                        self.report.skip(table, each[0], str(refusal) or "it would be there twice")

    def drawn(self, kind: str) -> Finish:
        """
        What gives entities the numbers of a kind that they never had.
        """

        async def finish(entity: Any) -> tuple[Any, None]:
            (number,) = await self.ports.numbers.draw((self.organization, kind))
            return evolve(entity, number=number), None

        return finish

    def must_be_here(self, what: str, id: UUID) -> None:
        """
        Raises:
            Unfit: If it was not taken.
        """
        if id not in self.here:
            raise Unfit(f"its {what} is not here")

    def _made(self, table: str, id: object, row: Row, make: Make) -> tuple[object, Any] | None:
        whole, kept = self.report, Report()
        told: list[str] = []

        def tried(row: Row) -> Any:
            nonlocal kept
            self.report = Report()
            entity = make(row)
            kept = self.report  # what is told of a try that fails, or is not the last one, is told to nobody
            return entity

        try:
            entity = made_of(row, tried, told.append, at=self.ports.clock.now())
        except WRONG as reason:
            whole.skip(table, id, said(reason))
            return None
        finally:
            self.report = whole
        whole.changed_by(kept)
        for why in told:
            whole.change(table, id, why)
        return None if entity is None else (id, entity)

    async def _keep(
        self,
        table: str,
        into: Into,
        made: list[tuple[object, Any]],
        numbered: str | None,
        finish: Finish | None,
    ) -> None:
        changed: list[tuple[object, str]] = []
        async with self.ports.unit(self.principal) as unit:
            fresh = [each for each in made if await found(into(unit), each[1].id) is None]
            for id, entity in fresh:
                if numbered is not None and await found(into(unit), entity.number) is not None:
                    (number,) = await self.ports.numbers.draw((self.organization, numbered))
                    entity = evolve(entity, number=number)
                    changed.append((id, f"its number belongs to another {numbered}; it has a new one"))
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
        self.here.update(entity.id for _, entity in made)
        self.report.taken[table] += taken
        self.report.there[table] += len(made) - taken
        for id, why in changed:
            self.report.change(table, id, why)


def in_turn(rows: Iterable[Any], make: Callable[[Any], Any]) -> Iterator[tuple[object, Row, Make]]:
    """
    Rows with what makes their entities, as `Taker.take` wants them.
    """
    for row in rows:
        yield row["id"], row, make


async def found(repository: Any, key: UUID | int) -> Any:
    """
    What a repository has of this id or number, if it has it.
    """
    try:
        return await repository.get(key)
    except NotFound:
        return None
