"""
Handing out work through the embedded core, beside procrastinate, a job queue that Python teams use on PostgreSQL: what
it costs to add a job, to fetch it and to finish it.

    python -m tests.bench.job_queues [URL of a PostgreSQL server]

Needs `procrastinate` and `psycopg[binary]`, which nothing else here does.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from attrs import frozen

from mission_adapters.database import database_ports
from mission_core.accounts.model import SystemPrincipal
from mission_core.agents.organization_creation import ensure_organization
from mission_core.boards.model import GateSet
from mission_core.boards.use_cases import CreateBoard, create_board
from mission_core.tasks.leases import ClaimNext, CompleteTask, claim_next, complete_task
from mission_core.tasks.use_cases import CreateTask, create_task
from tests import postgres_server
from tests.bench.load import postgres_cpu

JOBS = 3000
AT_ONCE = 16
STEPS = ("add", "fetch", "finish")
Step = Callable[[Any], Awaitable[Any]]
"""A step of one job, which is given what the step before it returned."""


@frozen
class Cost:
    """
    CPU milliseconds for each job: this process's, and the database server's.
    """

    own: float
    server: float


async def measured(steps: tuple[Step, Step, Step]) -> dict[str, Cost]:
    """
    The cost of each step, of all jobs one after the other, so many at once.
    """
    costs: dict[str, Cost] = {}
    given: list[Any] = list(range(JOBS))
    for name, step in zip(STEPS, steps, strict=True):
        own, server = time.process_time(), postgres_cpu()
        given = await _at_once(step, iter(given))
        costs[name] = Cost((time.process_time() - own) / JOBS * 1000, (postgres_cpu() - server) / JOBS * 1000)
    return costs


async def _at_once(step: Step, given: Iterator[Any]) -> list[Any]:
    results: list[Any] = []

    async def client() -> None:
        for each in given:
            results.append(await step(each))

    await asyncio.gather(*(client() for _ in range(AT_ONCE)))
    return results


async def embedded_core(url: str) -> dict[str, Cost]:
    """
    Tasks that are created, claimed and completed by agents of an organization.
    """
    async with database_ports(url, secret="s" * 32) as ports:
        organization = await ensure_organization(ports, slug="default")
        me = SystemPrincipal(organization=organization.id, name="bench", display="Bench")
        gates = GateSet(require_approval_for_done=False)
        board = await create_board(ports, me, CreateBoard(name="Bench", gates=gates))

        async def add(n: int) -> Any:
            return await create_task(ports, me, CreateTask(board=board.id, title=f"Job {n}", description="x" * 100))

        async def fetch(_: Any) -> Any:
            return await claim_next(ports, me, ClaimNext(agent="worker", board=board.id))

        async def finish(claimed: Any) -> Any:
            return await complete_task(ports, me, CompleteTask(task=claimed.task.id, lease=claimed.lease))

        return await measured((add, fetch, finish))


async def procrastinate(url: str) -> dict[str, Cost]:
    """
    Jobs that are deferred, fetched and finished through procrastinate's job manager.
    """
    from procrastinate import App, PsycopgConnector
    from procrastinate.jobs import Job, Status

    app = App(connector=PsycopgConnector(conninfo=url, min_size=4, max_size=6))
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        manager = app.job_manager
        worker = await manager.register_worker()

        async def add(n: int) -> Any:
            job = Job(
                queue="default", lock=None, queueing_lock=None, task_name="bench", task_kwargs={"n": n, "x": "x" * 100}
            )
            return await manager.defer_job_async(job)

        async def fetch(_: Any) -> Any:
            return await manager.fetch_job(queues=None, worker_id=worker)

        async def finish(job: Any) -> Any:
            await manager.finish_job(job, status=Status.SUCCEEDED, delete_job=False)

        return await measured((add, fetch, finish))


def tell(name: str, costs: dict[str, Cost]) -> None:
    parts = [f"{step} {cost.own:.2f} +{cost.server:.2f}" for step, cost in costs.items()]
    print(f"{name:<20}{', '.join(parts)}; in sum {sum(cost.own + cost.server for cost in costs.values()):.2f}")


def compare(server: str) -> None:
    """
    Print the costs of both, each over an empty database of its own on this server.
    """
    print(f"\nHanding out {JOBS:,} jobs on PostgreSQL, {AT_ONCE} at once: CPU ms for each job, + the database's")
    for name, run in (("the embedded core", embedded_core), ("procrastinate", procrastinate)):
        with postgres_server.empty_database(server) as url:
            try:
                tell(name, asyncio.run(run(url)))
            except ModuleNotFoundError as missing:
                print(f"{name:<20}not measured: {missing}")


if __name__ == "__main__":
    with postgres_server.postgres_server() as found:
        compare(sys.argv[1] if len(sys.argv) > 1 else found)
