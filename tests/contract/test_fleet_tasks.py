"""
Tasks of the Fleet API.
"""

from tests.contract.fleet_driver import Fleet, refusal, wrong_fields


async def test_a_made_task_reads_back_as_it_was_answered(fleet: Fleet) -> None:
    made = await fleet.task(assigned_to=" bob ", tags=["a"], metadata={"k": [1]}, due_date=5)
    answer = await fleet.call("GET", f"/tasks/{made['id']}")

    assert {"task": made} == answer.json
    assert f'"{made["version"]}"' == answer.headers["etag"]
