"""Records of the five vendors, as they are served and with changes: both paths write the same, and nothing is lost."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from copy import deepcopy
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_core import codec
from tap_core.errors import RecordError, TapError
from tap_core.http.body import read_body
from tap_core.http.message import Response
from tap_core.reading.fetch import Slice
from tap_core.records.rows import RowReader
from tap_core.streams.embedded import EmbeddedStream, EnvelopeStream
from tests.faults.vendors import VENDORS
from tests.fuzz.emitting import emitted
from tests.fuzz.examples import corpus, examples
from tests.fuzz.oracle import Number, Pairs, one_line, parsed, refusal
from tests.fuzz.texts import Writer, anything

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from random import Random

    from tap_core.codec import Json
    from tap_core.records.field import Context
    from tap_core.streams.base import CoreStream
    from tap_core.tap import CoreTap
    from tests.fuzz.conftest import Served

CONFIGS: dict[str, dict[str, Any]] = {
    "keep": {"mask_secrets": False},
    "masked": {},
    "warn": {"unknown_fields": "warn"},
    "fail": {"unknown_fields": "fail"},
    "drop": {"pii": "drop", "pii_key": "a-key-of-these-tests"},
    "hash": {"pii": "hash", "pii_key": "a-key-of-these-tests"},
    "filtered": {"client_filter": True, "start_date": "2026-01-10", "end_date": "2026-01-25"},
    "left out": {"drop_fields": ["status", "items", "points", "country"]},
}
ENGINES_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
SENTINEL = "Fuzz-7c1e-sentinel"
TIMES = (
    *(
        "2026-01-01",
        "2026-01-01T10:00:00+02:00",
        "2026-03-29T02:30:00",
        "0001-01-01T00:00:00+14:00",
        "24:00",
        "20260101",
    ),
    *("Thu, 01 Jan 2026 00:00:00 GMT", 0, -1, 1_767_225_600, 1_767_225_600_123, 10**30, Decimal("1767225600.5"), "1e9"),
    *(
        "2026-06-30T23:59:60Z",
        "2026-02-30T00:00:00Z",
        "9999-12-31T23:59:59-14:00",
        " 2026-01-01T00:00:00Z ",
        "",
        "١٢٣٤٥٦٧٨٩",
    ),
)
values = st.one_of(
    anything,
    st.sampled_from(TIMES),
    st.just(SENTINEL),
    st.sampled_from(
        [
            Decimal("1e5000"),
            Decimal("1e-400"),
            Decimal("1e999999999"),
            "1e999999999",
            2**63,
            -(2**63) - 1,
            10**40,
            [],
            {},
            [None],
            [[]],
            "0",
            "-0.0",
        ]
    ),
)


def plain(value: Any) -> Any:
    """A value of the oracle's as plain Python."""
    match value:
        case Pairs():
            return {name: plain(item) for name, item in value}
        case list():
            return [plain(item) for item in value]
        case Number():
            with suppress(InvalidOperation):
                return Decimal(value) if re.search("[.eE]", value) else int(value)
    return value


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Each place in a value where another one can stand: its container and its name or index."""
    for place, item in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        yield value, place
        yield from places(item)


def changed(record: Any, rng: Random, spare: Sequence[Any]) -> Any:
    """A record with a few changes, each of which servers have made."""
    for value in map(deepcopy, spare):
        found = list(places(record))
        if not found:
            break
        container, place = rng.choice(found)
        match rng.randrange(6):
            case 0 if isinstance(container, dict):
                del container[place]
            case 1 if isinstance(container, dict):
                container[
                    rng.choice(
                        (f"{place}2", str(place).upper(), f"{place}.x", "new", "", "ü", "a\nb", "\0left", "\0source")
                    )
                ] = value
            case 2:
                container[place] = [container[place]]
            case 3:
                container[place] = str(container[place])
            case _:
                container[place] = value
    return record


@pytest.fixture(scope="session")
def tap_with(served: Callable[[str], Served]) -> Callable[[str, str], CoreTap]:
    """Gives a vendor's tap with one of the settings above."""
    return cache(lambda name, config: served(name).again(**CONFIGS[config]))


def rows_of(stream: CoreStream, records: Sequence[str]) -> Sequence[Json]:
    """The records as they come out of a page."""
    body = f"[{','.join(records)}]".encode()
    kind = None if stream.fast_path is None else stream.fast_path.kind
    rows, _ = read_body(Response(200, {}, body, 0.0), RowReader((), kind, {}, is_closed=False).read)
    return rows


def written(
    stream: CoreStream, rows: Sequence[Json], context: Context, *, fast: bool
) -> tuple[list[Any], list[str]] | str:
    """The records that a stream writes and refuses, or why it fails."""
    try:
        lines, refused = emitted(stream, rows, context, fast=fast)
    except TapError as error:
        return refusal(error, 4)
    assert all(map(one_line, refused))
    return [plain(parsed(line)) for line in lines], refused


def embedded(
    stream: EmbeddedStream, rows: Sequence[Json], context: Context, *, fast: bool
) -> tuple[list[Any], list[str]] | str:
    """The same for the rows inside records."""
    parent = stream.parent
    own = {**stream.record_context(Slice()), **context}
    try:
        if fast:
            return written(stream, stream.rows_in(rows, deepcopy(dict(context))), own, fast=True)
        inside: list[bytes] = []
        counting = deepcopy(dict(context))
        for row in rows:
            try:
                inside += [
                    codec.encode(each)
                    for each in stream.extract(parent.slow_path.shape(parent.slow_path.parse(row), counting))
                ]
            except RecordError:
                continue
        return written(stream, inside, own, fast=False)
    except TapError as error:
        return str(error)


def judge(tap: CoreTap, name: str, records: Sequence[str], context: Context, *, keeps: bool) -> None:
    stream: Any = tap.streams[name]
    rows = rows_of(stream, records)
    slow = written(stream, rows, context, fast=False)
    assert_same(written(stream, rows_of(stream, records), context, fast=True), slow)
    assert_same(written(stream, [bytes(row) for row in rows], context, fast=True), slow)
    if not isinstance(slow, str):
        check_lines(stream, [bytes(row) for row in rows], *slow, keeps=keeps)
    for other in tap.session.streams:
        if isinstance(other, EmbeddedStream) and not isinstance(other, EnvelopeStream) and other.parent is stream:
            assert embedded(other, rows, context, fast=True) == embedded(other, rows, context, fast=False)


def assert_same(fast: Any, slow: Any) -> None:
    """Say where they differ."""
    if fast != slow and not isinstance(fast, str) and not isinstance(slow, str):
        for one, other in zip(fast[0], slow[0], strict=True):
            a, b = one["record"], other["record"]
            assert {
                k: (a.get(k, "absent"), b.get(k, "absent"))
                for k in a.keys() | b.keys()
                if a.get(k, "absent") != b.get(k, "absent")
            } == {}
    assert fast == slow


def check_lines(
    stream: CoreStream, rows: Sequence[bytes], lines: Sequence[Any], refused: Sequence[str], *, keeps: bool
) -> None:
    """What the oracle says of the records that were written."""
    if stream.key_filter() is None or keeps:
        assert len(lines) + len(refused) == len(rows)
    valid = validator(stream)
    for line in lines:
        valid.validate(line["record"])
        for column, member in stream.schema["properties"].items():
            if member.get("format") == "date-time" and line["record"].get(column) is not None:
                assert ENGINES_TIME.fullmatch(line["record"][column])
    if keeps and not refused:
        for row, line in zip(rows, lines, strict=True):
            sent, found = plain(parsed(row, mend=True)), line["record"]
            for column in sent.keys() - (stream.root.properties or {}).keys() if isinstance(sent, dict) else ():
                assert holds(found, sent[column]), column
            assert not holds(sent, SENTINEL) or SENTINEL in json.dumps(found, default=str)


def holds(inside: Any, value: Any) -> bool:
    """Whether a value is somewhere in another one."""
    if inside == value and isinstance(inside, bool) == isinstance(value, bool):
        return True
    below = inside.values() if isinstance(inside, dict) else inside if isinstance(inside, list) else ()
    return any(holds(item, value) for item in below)


@cache
def validator(stream: CoreStream) -> Any:
    return jsonschema.Draft202012Validator(stream.schema)


@pytest.mark.parametrize("name", VENDORS)
@examples(60)
@given(
    rng=st.randoms(use_true_random=False),
    spare=st.lists(values, max_size=4),
    number=st.integers(1, 4),
    config=st.sampled_from(sorted(CONFIGS)),
    wild=st.booleans(),
)
def test_both_paths_write_the_same_and_nothing_is_lost(
    served: Callable[[str], Served],
    tap_with: Callable[[str, str], CoreTap],
    name: str,
    rng: Random,
    spare: list[Any],
    number: int,
    config: str,
    *,
    wild: bool,
) -> None:
    from_vendor = served(name)
    tap = tap_with(name, config)
    stream = rng.choice(sorted(from_vendor.rows))
    taken = [rng.choice(from_vendor.rows[stream]) for _ in range(number)]
    writer = Writer(rng, wild=wild)
    records = [
        writer.text(changed(plain(parsed(row)), rng, spare if not at else ())) for at, (row, _) in enumerate(taken)
    ]
    judge(tap, stream, records, taken[0][1], keeps=config == "keep")


@corpus("paths")
def test_kept_changes_lose_nothing(
    served: Callable[[str], Served], tap_with: Callable[[str, str], CoreTap], file: Path
) -> None:
    """Each line has a stream of the vendor, and members that a record has instead of its own."""
    for text in file.read_text().splitlines():
        stream, _, members = text.partition(" ")
        row, context = served(file.stem).rows[stream][0]
        for config in CONFIGS:
            record = f"{row.decode().rstrip()[:-1]},{members[1:]}"
            judge(tap_with(file.stem, config), stream, [record], context, keeps=config == "keep")
