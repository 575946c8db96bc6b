"""
A worker process that reports its usage in one of four ways, and survives a server that goes away.

`python -m tests.contract.usage_worker TERMS`, in JSON, with the `way` and what it needs.
What was acknowledged is printed, one line of JSON for each report. Every third report is sent twice, as after a
timeout.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from pathlib import Path
from time import time_ns
from typing import Any, Protocol

from tests.contract.worker_process.worker import Caller

REPORTS, REPORTS_OF_RUN = 12, 3
MODEL = "nickel"


class Reporter(Protocol):
    """
    One way to claim tasks, to report usage for a task or for none, and to finish tasks.
    """

    async def claim(self) -> Any: ...

    async def report(self, task: Any, id: str, input: int, output: int) -> None: ...

    async def finish(self, task: Any) -> None: ...


async def work(name: str, reporter: Reporter) -> None:
    """
    Report three times for each task, and once for no task when none has room in a budget. After so many reports work
    ends when no task has room. So the last worker leaves no room behind.
    """
    dice, told = random.Random(name), 0
    while (task := await reporter.claim()) is not None or told < REPORTS:
        for _ in range(1 if task is None else REPORTS_OF_RUN):
            tokens = dice.randint(50_000, 300_000), dice.randint(0, 20_000)
            for _ in range(2 if told % 3 == 0 else 1):
                await reporter.report(task, f"{name}:{told}", *tokens)
            print(json.dumps({"name": name, "for_task": task is not None, "tokens": tokens}), flush=True)
            told += 1
        if task is not None:
            await reporter.finish(task)


class TokenReporter:
    """
    An agent of the Fleet API, under implicit leases, that posts its usage.
    """

    def __init__(self, base: str, token: str, name: str, agent: int) -> None:
        self.caller, self.name, self.agent = Caller(base, "fleet", token), name, agent

    def ask(self, path: str, body: dict[str, Any] | None = None, method: str = "POST") -> dict[str, Any]:
        status, answer = self.caller.send(method, path, body)
        if status not in (200, 201):
            raise SystemExit(f"{self.name}: {method} {path} answered {status}: {answer}")
        return answer

    async def claim(self) -> int | None:
        task = self.ask("/api/tasks/queue", method="GET")["task"]
        return None if task is None else int(task["id"])

    async def finish(self, task: int) -> None:
        self.ask(f"/api/tasks/{task}", {"status": "done"}, "PUT")

    async def report(self, task: int | None, id: str, input: int, output: int) -> None:
        self.ask("/api/tokens", self.record(task, id, input, output) | {"sessionId": f"{self.name}:1"})

    def record(self, task: int | None, id: str, input: int, output: int) -> dict[str, Any]:
        told = {"model": MODEL, "inputTokens": input, "outputTokens": output, "reportId": id}
        return told | ({} if task is None else {"taskId": task})


class HeartbeatReporter(TokenReporter):
    """
    An agent whose heartbeats carry its usage.
    """

    async def report(self, task: int | None, id: str, input: int, output: int) -> None:
        path = f"/api/agents/{self.agent}/heartbeat"
        answer = self.ask(path, {"token_usage": self.record(task, id, input, output)})
        if not answer["token_recorded"]:
            raise SystemExit(f"{self.name}: {answer}")


class TelemetryReporter(TokenReporter):
    """
    A program that exports spans, log events or counters that grow, by the number in its name. Each claim begins a
    session, because counters of another resource begin at 0.
    """

    def __init__(self, base: str, token: str, name: str, agent: int) -> None:
        super().__init__(base, token, name, agent)
        self.began, self.total = time_ns(), (0, 0)
        self.last: tuple[str, str, dict[str, Any]] = ("", "", {})

    async def claim(self) -> int | None:
        self.began, self.total = time_ns(), (0, 0)
        return await super().claim()

    async def report(self, task: int | None, id: str, input: int, output: int) -> None:
        if self.last[0] != id:  # what is exported again is the same
            self.last = (id, *self.export(task, int(id.partition(":")[2]), input, output))
        answer = self.ask(*self.last[1:])
        if answer:
            raise SystemExit(f"{self.name}: {answer}")

    def export(self, task: int | None, number: int, input: int, output: int) -> tuple[str, dict[str, Any]]:
        from tests.unit.otlp_requests import counter, event, logs, metrics, point, span, traces

        at = time_ns()
        own: dict[str, Any] = {"session.id": f"{self.name}:{self.began}", "model": MODEL}
        resource = {} if task is None else {"mission__task": str(task)}
        signal = int(self.name.rpartition("-")[2]) % 3
        if signal == 0:
            counts = {"gen_ai.usage.input_tokens": input, "gen_ai.usage.output_tokens": output}
            sent = span(own | counts | {"gen_ai.request.model": MODEL}, id=number + 1, at=at)
            return "/v1/traces", traces(sent, **resource)
        if signal == 1:
            told = own | {"input_tokens": input, "output_tokens": output}
            return "/v1/logs", logs(event("claude_code.api_request", told, at=at), **resource)
        self.total = (self.total[0] + input, self.total[1] + output)
        points = (
            point(own | {"type": kind}, value, since=self.began, at=at)
            for kind, value in zip(("input", "output"), self.total, strict=True)
        )
        return "/v1/metrics", metrics(counter("claude_code.token.usage", *points), **resource)


async def work_embedded(names: list[str], database_url: str, secret: str, prices: str) -> None:
    """
    Work as a program that embeds the core, with several agents, over the database of the server.
    """
    from mission_adapters import database_ports
    from mission_adapters.price_files import read_price_file
    from mission_core import AgentPrincipal, CreateAgent, SystemPrincipal, create_agent, ensure_organization

    async with database_ports(database_url, secret=secret, prices=read_price_file(Path(prices))) as ports:
        me = SystemPrincipal(organization=(await ensure_organization(ports)).id)
        agents = [(await create_agent(ports, me, CreateAgent(name=name))).agent for name in names]
        principals = [AgentPrincipal(organization=me.organization, agent=each.id, name=each.name) for each in agents]
        await asyncio.gather(*(work(each.name, EmbeddedReporter(ports, each)) for each in principals))


class EmbeddedReporter:
    """
    An agent of a program that embeds the core, under explicit leases.
    """

    def __init__(self, ports: Any, principal: Any) -> None:
        from mission_core import tasks, usage  # the other workers start without them

        self.ports, self.principal, self.tasks, self.usage = ports, principal, tasks, usage

    async def claim(self) -> Any:
        return await self.tasks.claim_next(self.ports, self.principal, self.tasks.ClaimNext())

    async def report(self, claimed: Any, id: str, input: int, output: int) -> None:
        task = None if claimed is None else claimed.task.id
        told = self.usage.UsageReport(model=MODEL, input_tokens=input, output_tokens=output, report_id=id, task=task)
        await self.usage.record_usage(self.ports, self.principal, self.usage.RecordUsage(report=told))

    async def finish(self, claimed: Any) -> None:
        done = self.tasks.CompleteTask(task=claimed.task.id, lease=claimed.lease)
        await self.tasks.complete_task(self.ports, self.principal, done)


WAYS = {"tokens": TokenReporter, "heartbeat": HeartbeatReporter, "otlp": TelemetryReporter}


def main(way: str, **terms: Any) -> None:
    if way == "embedded":
        asyncio.run(work_embedded(**terms))
    else:
        asyncio.run(work(terms["name"], WAYS[way](**terms)))


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
