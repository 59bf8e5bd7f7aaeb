"""Rows that are decoded as they are taken out of a response, and what may be asked of them before they are written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from tap_core import codec
from tap_core.reading.pages import Page, only
from tap_core.reading.unsized import UnsizedPager
from tap_core.records.dialect import Dialect
from tap_core.records.fast_path import FastPath
from tap_core.records.fields import AsText, Latest
from tap_core.records.policy import Policy
from tap_core.records.rows import RowReader, TypedRows
from tap_core.records.schema import record_node, with_extra
from tap_core.timestamps import iso_text
from tests.core.example import schema

if TYPE_CHECKING:
    from collections.abc import Sequence

TIME = {"type": ["string", "null"], "format": "date-time"}
SCHEMA = schema(
    name={"type": ["string", "null"]},
    note={"type": ["string", "null"]},
    part={"type": ["object", "null"], "additionalProperties": True, "properties": {"at": TIME}},
    latest=TIME,
)
FIELDS = (AsText(("id",)), Latest("latest", of=("part.at",)))


def path(needed: Sequence[str] | None = None, *, unknown: str = "") -> FastPath:
    known = SCHEMA | {"properties": {name: kind for name, kind in SCHEMA["properties"].items() if name != unknown}}
    root = record_node(with_extra(known), FIELDS, keys=("id",), selected=lambda _crumb: True, policy=Policy())
    dialect = Dialect(time=iso_text)
    return FastPath(root=root, keys=("id",), fields=FIELDS, dialect=dialect, policy=Policy(), needed=needed)


def rows_of(fast_path: FastPath, *rows: str) -> Sequence[msgspec.Raw]:
    reader = RowReader((), fast_path.kind, {}, is_closed=False)
    return reader.rows(msgspec.Raw(f"[{','.join(rows)}]".encode()))


def texts(rows: Sequence[msgspec.Raw]) -> list[bytes]:
    return list(map(bytes, rows))


ONE, TWO, ODD = '{"id": 1, "name":"a"}', '{"id":"2","part":{"at":"2024-01-01T00:00:00Z"}}', '{"id":"3","what":[1.10]}'


def test_rows_are_decoded_and_still_have_their_text() -> None:
    found = rows_of(path(), ONE, TWO)
    assert isinstance(found, TypedRows)
    assert texts(found) == [ONE.encode(), TWO.encode()]
    assert not isinstance(rows_of(path(), ONE, ODD), TypedRows)
    assert texts(rows_of(path(), ONE, ODD)) == [ONE.encode(), ODD.encode()]
    with pytest.raises(msgspec.DecodeError):
        RowReader((), path().kind, {}, is_closed=False).rows(b"{}")


@pytest.mark.parametrize("rows", [(ONE, TWO), (ONE, TWO, ODD)], ids=["decoded", "undecoded"])
def test_some_of_the_rows_give_what_they_give_among_all(rows: Sequence[str]) -> None:
    fast_path = path()
    wanted = [number == 1 for number in range(len(rows))]
    chosen = only(rows_of(fast_path, *rows), wanted)
    assert isinstance(chosen, TypedRows) == (ODD not in rows)
    assert texts(chosen) == [TWO.encode()]
    (line,) = fast_path.lines(fast_path.read(chosen, {}))
    assert codec.decode(line)["latest"] == "2024-01-01T00:00:00.000000Z"
    assert texts(only(chosen, [True])) == [TWO.encode()], "whose rows have been taken"


def test_rows_that_were_decoded_for_one_stream_are_read_anew_for_another() -> None:
    one, another = path(), path(unknown="note")
    (line,) = another.lines(another.read(rows_of(one, TWO), {}))
    assert codec.decode(line)["latest"] == "2024-01-01T00:00:00.000000Z"


def test_identities_are_what_the_keys_will_be() -> None:
    fast_path = path()
    for rows in (rows_of(fast_path, ONE, TWO), [msgspec.Raw(row.encode()) for row in (ONE, TWO)]):
        assert fast_path.identities(rows) == ["1", "2"]
    assert fast_path.identities(rows_of(fast_path, ONE, '{"name":"keyless"}')) is None


def test_a_column_is_told_as_it_was_sent() -> None:
    fast_path = path(needed=("name",))
    found = rows_of(fast_path, ONE, TWO)
    assert fast_path.sent(found, "id") == [1, "2"]
    assert fast_path.sent(found, "part.at") == [None, "2024-01-01T00:00:00Z"]
    assert fast_path.sent(found, "what") == [None, None], "no row that has it is decoded"
    assert fast_path.sent(found, "note") is None, "nobody looks at it, so it is not decoded"
    assert fast_path.sent([msgspec.Raw(ONE.encode())], "id") is None
    fast_path.read(found, {})
    assert fast_path.sent(found, "id") is None, "the rows have been taken"


def test_a_repeated_page_is_recognised_by_its_text() -> None:
    """Whether its rows are decoded or not."""
    for rows in ((ONE, TWO), (ONE, ODD)):
        pager = UnsizedPager(first=1)
        pages = [pager.take(number, Page(rows_of(path(), *rows))).rows for number in (1, 2, 3)]
        assert [len(each) for each in pages] == [2, 0, 0]
        assert pager.done


@pytest.mark.parametrize("before", [0, 1, 65_533, 65_534, 65_535, 131_070])
def test_h14_long_bodies_are_checked_across_the_pieces(before: int) -> None:
    good = b"x" * before + "€".encode() + b"y" * 70_000
    codec.check_text(good)
    for bad in (good.replace("€".encode(), b"\xe2\x82"), good + b"\xe2", b"\xff" + good):
        with pytest.raises(UnicodeDecodeError):
            codec.check_text(bad)
