"""A list of records is read and written to standard output, which nobody keeps."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measure import api
from benchmarks.plan import PEER_ROUNDS, Job, Plan, per_record
from benchmarks.programs import Programs
from benchmarks.results import Case

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.measure import Program


def measure(plan: Plan) -> dict[str, Case]:
    """CPU of a tap's record against the limits and against what others make."""
    with tempfile.TemporaryDirectory() as name, api(plan.records) as url:
        programs = Programs(Path(name), url)

        def tap(in_flight: int, records: int) -> list[Program]:
            return [programs.tap(records, concurrency=in_flight)]

        jobs = {
            "limit L2: download, decode, encode": Job(
                lambda records: [programs.limit("pass", records)], plan.records, plan.rounds
            ),
            "limit L1: download": Job(lambda records: [programs.limit("download", records)], plan.records, plan.rounds),
            **{
                f"this project, {many} in flight": Job(partial(tap, many), plan.records, plan.rounds)
                for many in (1, 16)
            },
            **(peers(programs, plan) if plan.peers else {}),
        }
        groups = {"": per_record(jobs)}
    return {"extraction": Case("Extraction, output discarded", "CPU µs a record", groups)}


def peers(programs: Programs, plan: Plan) -> Mapping[str, Job]:
    """What other projects' programs cost."""
    return {
        "singer-sdk": Job(lambda records: [programs.singer_tap(records)], plan.records // 10, PEER_ROUNDS),
        "singer-sdk, msgspec": Job(
            lambda records: [programs.singer_tap(records, "msgspec")], plan.records // 10, PEER_ROUNDS
        ),
        "dlt, decoded pages": Job(
            lambda records: [programs.dlt(records, "extract", "jsonl")], plan.records // 4, PEER_ROUNDS
        ),
        "dlt, Arrow tables": Job(
            lambda records: [programs.dlt(records, "extract", "arrow")], plan.records // 2, PEER_ROUNDS
        ),
        "airbyte-cdk, Python": Job(
            lambda records: [programs.airbyte(records, "airbyte")], plan.records // 5, PEER_ROUNDS
        ),
        "airbyte-cdk, low-code": Job(
            lambda records: [programs.airbyte(records, "airbyte_low_code")], plan.records // 5, PEER_ROUNDS
        ),
    }
