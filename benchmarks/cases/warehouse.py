"""A list of records is read and loaded into a DuckDB file."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measure import Program, api
from benchmarks.plan import PEER_ROUNDS, Job, Plan, per_record
from benchmarks.programs import Programs, count
from benchmarks.results import Case

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def measure(plan: Plan) -> dict[str, Case]:
    """CPU of tap and loader together."""
    with tempfile.TemporaryDirectory() as name, api(plan.records) as url:
        folder = Path(name)
        programs = Programs(folder, url)

        def ours(records: int, kind: str, *, in_files: bool = False, fresh: bool = True) -> Sequence[Program]:
            files = {"batch_config": {"storage": {"root": str(folder / "files")}}} if in_files else {}
            tap = programs.tap(records, append=kind == "append", **files)
            return [tap, programs.loader(folder / f"{kind}-{records}.duckdb", fresh=fresh)]

        def loaded(kind: str, *, in_files: bool = False) -> Job:
            return Job(
                lambda records: ours(records, kind, in_files=in_files),
                plan.records,
                plan.rounds,
                lambda records: count(folder / f"{kind}-{records}.duckdb", "payments"),
            )

        jobs = {
            "limit L3: download, read_json": Job(
                lambda records: [programs.limit("load", records)], plan.records, plan.rounds
            ),
            "this project, append": loaded("append"),
            "this project, upsert": loaded("upsert"),
            "this project, append, BATCH": loaded("append", in_files=True),
            "this project, upsert, BATCH": loaded("upsert", in_files=True),
            "this project, upsert of the same rows": Job(
                lambda records: ours(records, "upsert", fresh=False), plan.records, plan.rounds
            ),
            **(peers(programs, folder, plan) if plan.peers else {}),
        }
        groups = {"": per_record(jobs)}
    return {"warehouse": Case("Into a DuckDB file", "CPU µs a record", groups)}


def peers(programs: Programs, folder: Path, plan: Plan) -> Mapping[str, Job]:
    """What other projects' programs cost."""

    def dlt(form: str, disposition: str, records: int) -> Job:
        return Job(
            lambda records: [programs.dlt(records, "run", form, disposition)],
            records,
            PEER_ROUNDS,
            lambda _: count(folder / "dlt/dlt.duckdb", "bench.payments"),
        )

    stock = folder / "stock.duckdb"
    return {
        "dlt, decoded pages, append": dlt("parquet", "append", plan.records // 4),
        "dlt, decoded pages, merge": dlt("parquet", "merge", plan.records // 4),
        "dlt, Arrow tables, append": dlt("arrow", "append", plan.records // 2),
        "dlt, Arrow tables, merge": dlt("arrow", "merge", plan.records // 2),
        "singer-sdk and target-duckdb": Job(
            lambda records: [programs.singer_tap(records), programs.target_duckdb(stock)],
            plan.records // 10,
            PEER_ROUNDS,
            lambda _: count(stock, "payments"),
        ),
        "PyAirbyte, append": Job(
            lambda records: [programs.pyairbyte(records)],
            plan.records // 5,
            1,
            lambda _: count(folder / "pyairbyte/pyairbyte.duckdb", "bench.payments"),
        ),
    }
