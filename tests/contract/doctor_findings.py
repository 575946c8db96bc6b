"""
The findings of the doctor, asked without a process.
"""

import asyncio
from pathlib import Path
from typing import Any

from mission_http.doctor.findings import DoctorFinding, FindingLevel
from mission_http.doctor.inspection import check_installation, inspect_installation

Findings = dict[tuple[str, str], DoctorFinding]


def doctor(data_dir: Path | None, **asked: Any) -> Findings:
    """
    What is found, by check and what was looked at.
    """
    environment = {name: value for name, value in asked.items() if name.isupper()}
    flags = {"host": "127.0.0.1", "port": 0} | {name: value for name, value in asked.items() if name.islower()}
    picture = asyncio.run(inspect_installation(environment, data_dir=data_dir, **flags))
    return {(each.check, each.looked_at): each for each in check_installation(picture)}


def worst(findings: Findings, check: str | None = None) -> DoctorFinding:
    """
    The first of the worst findings, of one check or all.
    """
    levels = [FindingLevel.PROBLEM, FindingLevel.WARNING, FindingLevel.OK]
    found = (each for each in findings.values() if check in (None, each.check))
    return min(found, key=lambda each: levels.index(each.level))
