"""A dlt pipeline: ``python -m benchmarks.peers.dlt URL FOLDER STEP FORM DISPOSITION``.

STEP is ``extract``, or ``run``, which loads into DuckDB. As dlt's page on performance advises: pages are yielded, not
rows; orjson decodes them; nested data stays in one JSON column instead of tables of its own. FORM ``jsonl`` or
``parquet`` yields decoded pages and names the format of files; ``arrow`` yields tables of many pages.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dlt
import orjson
from dlt.sources.helpers import requests

if TYPE_CHECKING:
    from collections.abc import Iterator

Page = list[dict[str, Any]]
TIMES = ("created", "updated")
NESTED = ("customer", "line_items", "metadata")
COLUMNS: dict[str, Any] = {
    **{name: {"data_type": "timestamp"} for name in TIMES},
    **{name: {"data_type": "json"} for name in NESTED},
}
ROWS = 20_000


def pages(url: str) -> Iterator[Page]:
    """The pages, decoded."""
    session = requests.Client().session
    number, more = 1, True
    while more:
        response = session.get(f"{url}/payments", params={"page": number, "limit": 100})
        found = orjson.loads(response.content)
        yield found["data"]
        number, more = number + 1, found["has_more"]


def tables(url: str) -> Iterator[Any]:
    """Many pages at a time as an Arrow table, whose nested data is JSON text."""
    import pyarrow as pa  # noqa: PLC0415

    rows: Page = []
    for page in pages(url):
        for row in page:
            for name in NESTED:
                row[name] = orjson.dumps(row[name]).decode()
        rows += page
        if len(rows) >= ROWS:
            yield timed(pa.Table.from_pylist(rows))
            rows = []
    if rows:
        yield timed(pa.Table.from_pylist(rows))


def timed(table: Any) -> Any:
    """A table whose times are such."""
    import pyarrow as pa  # noqa: PLC0415

    for name in TIMES:
        at = table.schema.get_field_index(name)
        table = table.set_column(at, name, table[name].cast(pa.timestamp("us", "UTC")))
    return table


def main(url: str, folder: Path, step: str, form: str, disposition: Any) -> None:
    """Run the pipeline."""
    os.chdir(folder)
    resource = dlt.resource(
        tables(url) if form == "arrow" else pages(url),
        name="payments",
        primary_key="id",
        columns={} if form == "arrow" else COLUMNS,
        max_table_nesting=0,
        write_disposition=disposition,
    )
    destination = dlt.destinations.duckdb(str(folder / "dlt.duckdb"))
    pipeline = dlt.pipeline("bench", pipelines_dir=str(folder), destination=destination, dataset_name="bench")
    file_format: Any = "parquet" if form == "arrow" else form
    if step == "extract":
        pipeline.extract(resource)
    else:
        pipeline.run(resource, loader_file_format=file_format)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
