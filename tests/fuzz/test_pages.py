"""Bytes that an API may answer: rows as they stand in them, or a refusal in one line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_core.errors import TapError
from tap_core.http.body import read_body
from tap_core.http.message import Response
from tap_core.reading.pages import Page
from tap_core.records.rows import RowReader
from tests.faults.vendors import VENDORS
from tests.fuzz.emitting import emitted
from tests.fuzz.examples import corpus, examples
from tests.fuzz.oracle import NotJson, parsed, refusal, rows_of, text_of
from tests.fuzz.texts import ODDITIES, Writer, anything, damaged
from tests.tree import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from random import Random

    from tap_core.http.client import ApiClient
    from tests.fuzz.conftest import Served

PATHS: tuple[tuple[str, ...], ...] = ((), ("data",), ("answer", "content"))
CHARSETS = (None, "utf-8", "iso-8859-1", "windows-1252", "utf-16", "no-such-charset", "rot13", "idna", "undefined")


class Row(msgspec.Struct, forbid_unknown_fields=True):
    """A row that is decoded while its page is taken apart."""

    id: str | int | None = None
    name: str | None = None


def response(body: bytes, charset: str | None = None, status: int = 200, **headers: str) -> Response:
    kind = "application/json" if charset is None else f"application/json; charset={charset}"
    return Response(status, {"Content-Type": kind, **headers}, body, 0.0)


def judge(body: bytes, charset: str | None, path: Sequence[str]) -> None:
    """The rows are those that the standard library finds; where it finds none, the page is refused."""
    try:
        wanted = rows_of(parsed(text_of(body, charset), mend=True), path)
    except NotJson:
        wanted = None
    for kind in (None, Row):
        reader = RowReader(path, kind, {"total": int}, is_closed=kind is not None)
        try:
            rows, _ = read_body(response(body, charset), reader.read, reader.quick)
        except TapError as error:
            refusal(error, 4)
            assert wanted is None or path, "a list that can be read was refused"  # envelopes have members of their own
            continue
        assert wanted is not None, "what is not JSON was read"
        assert [parsed(bytes(row), mend=True) for row in rows] == wanted


def page(records: list[Any], path: Sequence[str], rng: Random) -> bytes:
    writer = Writer(rng, wild=rng.random() < 0.5)
    found: Any = records
    for name in reversed(path):
        found = {"before": rng.choice((None, 1, "x")), name: found, "total": len(records)}
    return writer.text(found).encode()


@corpus("pages")
def test_each_kept_page_is_read_as_it_stands_or_refused(file: Path) -> None:
    """The name of a file ends in its charset."""
    for path in PATHS:
        judge(file.read_bytes(), file.suffix[1:], path)


@examples(300)
@given(
    records=st.lists(anything | st.fixed_dictionaries({}, optional={"id": anything, "name": st.text()}), max_size=4),
    path=st.sampled_from(PATHS),
    charset=st.sampled_from(CHARSETS),
    rng=st.randoms(use_true_random=False),
)
def test_a_page_is_read_as_it_stands_or_refused(
    records: list[Any], path: tuple[str, ...], charset: str | None, rng: Random
) -> None:
    body = page(records, path, rng)
    if charset in {"iso-8859-1", "windows-1252", "utf-16"} and rng.random() < 0.5:
        body = body.decode().encode(charset, errors="replace")
    judge(damaged(body, rng), charset, path)


FIXTURES = {
    name: [file.read_bytes() for file in sorted((ROOT / "contracts" / name / "fixtures").rglob("*.json"))]
    for name in VENDORS
}
STATUSES = (
    200,
    200,
    200,
    201,
    204,
    206,
    299,
    300,
    304,
    400,
    401,
    403,
    404,
    405,
    408,
    409,
    429,
    500,
    501,
    503,
    599,
    999,
)
HEADERS = (
    "Retry-After",
    "RateLimit-Remaining",
    "RateLimit-Reset",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
    "Date",
)
VALUES = (
    *ODDITIES,
    "-1",
    "0",
    "60",
    "1e9",
    "9" * 5000,
    "²",
    "٣",
    "Thu, 01 Jan 1970 00:00:00 GMT",
    "2999-01-01",
    "a, b",
)


@pytest.mark.parametrize("name", VENDORS)
@examples(150)
@given(rng=st.randoms(use_true_random=False), generated=anything)
def test_no_answer_breaks_a_vendor(served: Callable[[str], Served], name: str, generated: Any, rng: Random) -> None:
    """Whatever the status, the headers and the body: a page whose rows are written or refused, or an error."""
    from_vendor = served(name)
    stream: Any = from_vendor.tap.streams[rng.choice(sorted(from_vendor.rows))]
    client = rng.choice(list(from_vendor.tap.session.clients.values()))
    body = rng.choice([*FIXTURES[name], Writer(rng, wild=True).text(generated).encode()])
    headers = {each: rng.choice(VALUES) for each in HEADERS if rng.random() < 0.3}
    answer = response(damaged(body, rng), rng.choice(CHARSETS), rng.choice(STATUSES), **headers)
    judge_answer(from_vendor, stream, client, answer)


def judge_answer(from_vendor: Served, stream: Any, client: ApiClient, answer: Response) -> None:
    """Its rows are written, or there is an error that the run knows how to take."""
    try:
        client.learn_budget(answer)
        client.check(answer, "a call")
        found = read_body(answer, stream.page)
        assert isinstance(found, Page)
        emitted(stream, found.rows, from_vendor.rows[stream.name][0][1], fast=True)
    except TapError as error:
        refusal(error, 2, 3, 4)


@corpus("answers")
@pytest.mark.parametrize("name", VENDORS)
def test_no_kept_answer_breaks_a_vendor(served: Callable[[str], Served], name: str, file: Path) -> None:
    """Each line has a status, headers and a body."""
    from_vendor = served(name)
    for text in file.read_text().splitlines():
        status, _, rest = text.partition(" ")
        headers, end = json.JSONDecoder().raw_decode(rest)
        answer = response(rest[end + 1 :].encode(), None, int(status), **headers)
        for stream in from_vendor.rows:
            for client in from_vendor.tap.session.clients.values():
                judge_answer(from_vendor, from_vendor.tap.streams[stream], client, answer)
