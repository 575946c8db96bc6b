"""
How many statements a request costs on SQLite, and how many round trips to PostgreSQL. The counts are exact.
"""

from pathlib import Path

from tests.statement_counts import counted_app, kept_counts, statements_of_requests


async def test_each_operation_costs_the_statements_of_the_baseline(database_url: str, tmp_path: Path) -> None:
    async with counted_app(database_url, tmp_path) as counted:
        found = await statements_of_requests(counted)

    counts = {operation: len(texts) for operation, texts in found.items()}
    kept = kept_counts(database_url)
    dearer = {
        operation: [" ".join(text.split())[:90] for text in found[operation]]
        for operation in counts
        if counts[operation] > kept.get(operation, 0)
    }
    assert not dearer, dearer
    # A cheaper operation is kept as well: `python -m tests.statement_counts [DATABASE_URL] --keep`.
    assert kept == counts


async def test_many_numbered_notifications_cost_the_statements_of_one(database_url: str, tmp_path: Path) -> None:
    async with counted_app(database_url, tmp_path) as counted:
        change = "PUT", "/api/notifications"
        for ids in ([10**6], list(range(10**6, 10**6 + 100))):
            answer, texts = await counted.call(*change, {"ids": ids})
            assert (0, 1) == (answer["markedAsRead"], sum("FROM notifications" in text for text in texts)), texts


async def test_the_pending_notifications_of_many_cost_the_statements_of_one(database_url: str, tmp_path: Path) -> None:
    path, costs = "/api/notifications/deliver", []
    async with counted_app(database_url, tmp_path) as counted:
        for number in range(4):
            await counted.call("POST", "/api/chat/messages", {"content": "Hello", "to": f"agent {number}"})
            await counted.call("GET", f"/api/notifications?recipient=agent+{number}")  # which makes them
            pending, dry_run = await counted.call("POST", path, {"dry_run": True})
            status, counts = await counted.call("GET", path)
            assert number + 1 == pending["total_processed"] == len(status["agents_with_pending"])
            costs.append([sum("FROM agents" in text for text in texts) for texts in (dry_run, counts)])

    assert [[1, 1]] * 4 == costs


async def test_tasks_that_concern_nobody_cost_no_reads_of_them(database_url: str, tmp_path: Path) -> None:
    async with counted_app(database_url, tmp_path) as counted:
        _, texts = await counted.call("GET", "/api/notifications?recipient=ada")

        comment = {"content": "It goes on."}
        await counted.call("POST", f"/api/tasks/{counted.tasks[0].number}/comments", comment)
        _, of_comment = await counted.call("GET", "/api/notifications?recipient=ada")

    assert not [text for text in texts if "FROM tasks" in text]
    assert not [text for text in of_comment if "FROM members" in text]  # the description mentions nobody
