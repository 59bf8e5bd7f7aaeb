"""What no program can beat: ``python -m benchmarks.limits NAME URL RECORDS [IN_FLIGHT]``.

- ``download`` (L1): the responses, read and dropped.
- ``pass`` (L2): each response decoded and its records encoded again, by the fastest JSON library there is; no checks,
  no times, no numbers kept digit by digit.

- ``load`` (L3): the records in a file, one a line, which DuckDB reads into a table with ``read_json`` and explicit
  columns; no checks, no key, no state.

One thread and libcurl's multi interface in all of them.
"""

from __future__ import annotations

import io
import sys
import tempfile
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pycurl

from benchmarks.api import PAGE

if TYPE_CHECKING:
    from collections.abc import Callable


IN_FLIGHT = 4
COLUMNS = {
    **dict.fromkeys(("id", "object", "currency", "status", "reference", "description"), "VARCHAR"),
    **dict.fromkeys(("created", "updated"), "TIMESTAMPTZ"),
    **dict.fromkeys(("amount", "fee"), "DOUBLE"),
    **dict.fromkeys(("customer", "line_items", "metadata"), "JSON"),
    "captured": "BOOLEAN",
    "attempts": "BIGINT",
}


class Rows(msgspec.Struct):
    """A response, its rows undecoded."""

    data: list[msgspec.Raw]


def download(url: str, pages: int, take: Callable[[bytes], object], in_flight: int = IN_FLIGHT) -> None:
    """Read all pages, some at a time."""
    multi, waiting = pycurl.CurlMulti(), deque(range(1, pages + 1))
    bodies: dict[pycurl.Curl, io.BytesIO] = {}

    def ask(handle: pycurl.Curl) -> None:
        if waiting:
            bodies[handle] = io.BytesIO()
            handle.setopt(pycurl.URL, f"{url}/payments?page={waiting.popleft()}&limit={PAGE}")
            handle.setopt(pycurl.WRITEDATA, bodies[handle])
            multi.add_handle(handle)

    for _ in range(in_flight):
        handle = pycurl.Curl()
        handle.setopt(pycurl.BUFFERSIZE, 256 * 1024)
        ask(handle)
    while bodies:
        multi.perform()
        _, done, failed = multi.info_read()
        assert not failed
        for handle in done:
            multi.remove_handle(handle)
            take(bodies.pop(handle).getvalue())
            ask(handle)
        if bodies and not done:
            multi.select(1.0)


def passing() -> Callable[[bytes], object]:
    """Decode, encode, write."""
    decode, encode = msgspec.json.Decoder().decode, msgspec.json.Encoder().encode_lines
    return lambda body: sys.stdout.buffer.write(encode(decode(body)["data"]))


def load(url: str, pages: int) -> None:
    """Download into a file, and that into a table."""
    import duckdb  # noqa: PLC0415  not part of what the other limits cost

    decode = msgspec.json.Decoder(Rows).decode
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "records.jsonl"
        with path.open("wb") as file:
            download(url, pages, lambda body: file.write(b"\n".join(decode(body).data) + b"\n"))
        con = duckdb.connect(str(Path(name) / "limit.duckdb"))
        con.execute("SET TimeZone = 'UTC'")
        source = f"read_json('{path}', format = 'newline_delimited', columns = {COLUMNS})"
        con.execute(f"CREATE TABLE payments AS SELECT * FROM {source}")
        con.close()


if __name__ == "__main__":
    name, url, pages = sys.argv[1], sys.argv[2], -(-int(sys.argv[3]) // PAGE)
    if name == "load":
        load(url, pages)
    else:
        download(url, pages, passing() if name == "pass" else len, *map(int, sys.argv[4:]))
