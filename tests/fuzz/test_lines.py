"""What a tap may send to the loader: in the warehouse as it was sent, rejected, or refused in one line."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.examples import corpus, examples
from tests.fuzz.loading import line, place
from tests.fuzz.oracle import NotJson, Number, Pairs, parsed
from tests.fuzz.texts import ODDITIES, Writer, anything, damaged

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

KINDS: dict[str, dict[str, Any]] = {
    "integer": {"type": ["integer", "null"]},
    "number": {"type": ["number", "null"]},
    "boolean": {"type": ["boolean", "null"]},
    "string": {"type": ["string", "null"]},
    "date": {"type": ["string", "null"], "format": "date"},
    "moment": {"type": ["string", "null"], "format": "date-time"},
    "decimal": {"type": ["string", "null"], "format": "x-singer.decimal"},
    "object": {"type": ["object", "null"]},
    "any": {},
}
_MOST_DIGITS = 1000
_SMALLEST = len("-999999999999999999")  # in which decimals can be held
_STRICT_TIME = re.compile(
    r"(?!0000)\d{4}-\d\d-\d\dT([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)", re.ASCII
)
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_PLAIN_NUMBER = re.compile(r"-?\d{1,28}(\.\d{1,10})?", re.ASCII)


def number_in(value: Any) -> Decimal | None:
    if not isinstance(value, Number):
        return None
    mantissa, _, exponent = value.lower().partition("e")
    is_small = exponent.startswith("-")  # such a number is rounded to 0, and one as large is refused
    if len(mantissa) > _MOST_DIGITS or len(exponent) > (_SMALLEST if is_small else 4):
        return None
    return Decimal(value)


def is_right(kind: str, value: Any, found: str | None) -> bool:
    """Whether a text from the warehouse is what a value stands for; None is for a value that was rejected."""
    match kind:
        case "integer" | "number":
            return _is_right_number(kind, value, found)
        case "boolean" | "string" | "date":
            is_its_own = {"boolean": lambda _: isinstance(value, bool), "string": _is_text, "date": _is_date}[kind](
                value
            )
            return found == (None if not is_its_own else json.dumps(value) if kind == "boolean" else value)
        case "moment":
            return _is_right_moment(value, found)
        case "decimal":
            return _is_right_decimal(value, found)
    return found is not None and _unsigned(parsed(found)) == _unsigned(value)


def _unsigned(value: Any) -> Any:
    """A value in which the whole number -0, of which most readers of JSON make 0, is 0."""
    match value:
        case Number() if value == "-0":
            return Number("0")
        case Pairs():
            return Pairs((name, _unsigned(item)) for name, item in value)
        case list():
            return list(map(_unsigned, value))
    return value


def _is_right_number(kind: str, value: Any, found: str | None) -> bool:
    number = number_in(value)
    if number is None or (kind == "integer" and number != number.to_integral_value()):
        return found is None
    if found is None:
        return abs(number.adjusted()) >= _MOST_DIGITS
    exact = kind == "integer" or value.lstrip("-").isdigit()
    return Decimal(found) == number or (not exact and float(found) == float(number))


def _is_right_moment(value: Any, found: str | None) -> bool:
    if not _is_text(value):
        return found is None
    if found is None:
        return not _STRICT_TIME.fullmatch(value) or not _in_calendar(value)
    return not _in_calendar(value) or _instant(value) == _instant(found)


def _is_right_decimal(value: Any, found: str | None) -> bool:
    if not isinstance(value, str) or not _NUMBER.fullmatch(value):
        return found is None
    if found is None:
        return not _PLAIN_NUMBER.fullmatch(value)
    return Decimal(found) == Decimal(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and not isinstance(value, Number)


def _is_date(value: Any) -> bool:
    try:
        return _is_text(value) and date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False


def _in_calendar(value: str) -> bool:
    try:
        datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError):
        return False
    return True


def _instant(value: str) -> datetime:
    moment = datetime.fromisoformat(value.upper() if value[:1].isdigit() else value)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def judge_values(values: list[tuple[str, bytes]]) -> None:
    """Each value alone in a row: what the oracle reads is there, and what it does not allow was rejected."""
    data = [
        line(
            type="SCHEMA",
            stream=kind,
            key_properties=["id"],
            schema={"properties": {"id": {"type": "integer"}, "v": KINDS[kind]}},
        )
        for kind in KINDS
    ]
    wanted: dict[tuple[str, int], Any] = {}
    unreadable = set()
    for number, (kind, text) in enumerate(values):
        try:
            wanted[kind, number] = parsed(text)
        except NotJson:
            try:
                parsed(text, mend=True)
            except NotJson:
                continue  # no line at all; `judge_line` has those
            unreadable.add((kind, number))
        data.append(b'{"type":"RECORD","stream":"%b","record":{"id":%d,"v":%b}}\n' % (kind.encode(), number, text))
    with place() as warehouse:
        assert warehouse.load([b"".join(data)], on_bad_record="reject") == 0, warehouse.said
        found = {(kind, number): text for kind in KINDS for number, text in warehouse.rows(kind, "id, v::VARCHAR")}
        rejected = {
            (kind, json.loads(readable(record))["id"])
            for kind in KINDS
            for (record,) in warehouse.rows(f"{kind}__rejected", "record")
        }
    assert found.keys() | rejected == wanted.keys() | unreadable
    assert not found.keys() & rejected
    assert unreadable <= rejected
    for (kind, number), value in wanted.items():
        if value is None:
            assert found[kind, number] is None
        else:
            assert is_right(kind, value, found.get((kind, number))), (
                kind,
                values[number][1],
                found.get((kind, number)),
            )


def readable(record: str) -> str:
    """The beginning of a rejected record, which holds its number."""
    return record.partition(',"v"')[0] + "}"


TIMES = (
    *("2026-01-01", "2026-02-30", "0001-01-01", "9999-12-31", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.123456Z"),
    *("2026-01-01T00:00:00.1234567Z", "2026-01-01 10:00:00", "2026-01-01t10:00:00z", "2026-01-01T10:00:00+05:30"),
    *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999999-14:00", "2026-06-30T23:59:60Z", "2026-01-01T24:00:00Z"),
    *(
        "20260101T000000Z",
        "2026-W01-1",
        "2026-01-01T10:00",
        "infinity",
        "epoch",
        "now",
        "10:00",
        "2026-01-01T10:00:00+24:00",
    ),
    *("1e5", "0.1", "-0", "00012", "1" * 40, "0." + "1" * 40, "NaN", "Infinity", " 1", "1_000", "\u0661", "+1"),
)
texts = st.one_of(
    st.sampled_from([text.encode() for text in ODDITIES]),
    st.sampled_from([json.dumps(text).encode() for text in TIMES]),
    st.datetimes(timezones=st.timezones() | st.none()).map(lambda moment: json.dumps(moment.isoformat()).encode()),
    st.decimals(allow_nan=False, allow_infinity=False).map(lambda number: f'"{number:f}"'.encode()[:200]),
)


@examples(15, share=20)
@given(
    kinds=st.lists(st.sampled_from(sorted(KINDS)), min_size=40, max_size=40),
    given_texts=st.lists(texts, min_size=20, max_size=20),
    others=st.lists(anything, min_size=20, max_size=20),
    rng=st.randoms(use_true_random=False),
)
def test_a_value_is_loaded_as_it_was_sent_or_rejected(
    kinds: list[str], given_texts: list[bytes], others: list[Any], rng: Random
) -> None:
    writer = Writer(rng, wild=True)
    written = [writer.text(value).replace("\n", " ").replace("\r", " ").encode() for value in others]
    judge_values(list(zip(kinds, given_texts + written, strict=True)))


GOOD = line(
    type="SCHEMA",
    stream="good",
    key_properties=["id"],
    schema={"properties": {"id": {"type": "integer"}, "name": {"type": ["string", "null"]}}},
)
MESSAGES = (
    GOOD,
    line(type="RECORD", stream="good", record={"id": 1_000, "name": "odd"}),
    line(
        type="RECORD",
        stream="good",
        record={"id": 1_000, "name": "odd"},
        version=7,
        time_extracted="2026-01-01T00:00:00Z",
    ),
    line(type="RECORD", stream="other", record={"id": 1}),
    line(type="STATE", value={"bookmarks": {"good": {"replication_key": "id", "replication_key_value": 3}}}),
    line(type="ACTIVATE_VERSION", stream="good", version=7),
    line(
        type="BATCH",
        stream="good",
        encoding={"format": "jsonl", "compression": "gzip"},
        manifest=["file:///nowhere/at-all"],
    ),
    line(
        type="SCHEMA",
        stream="more",
        key_properties=[],
        schema={"type": "object", "properties": {"a": {"type": "string"}}},
    ),
)


def judge_line(odd: bytes, policy: str) -> None:
    """One odd line among good ones: what was confirmed is there, and nothing else that was sent is changed."""
    odd = odd.replace(b"\n", b" ").replace(b"\r", b" ")
    record = [line(type="RECORD", stream="good", record={"id": number, "name": f"row {number}"}) for number in range(4)]
    state = [line(type="STATE", value={"n": number}) for number in range(4)]
    before = [GOOD, record[0], state[0], record[1]]
    after = [record[2], state[2], record[3], state[3]]
    with place() as warehouse:
        code = warehouse.load([*before, odd + b"\n", *after], on_bad_record=policy, flush_interval_s=0)
        rows = dict(warehouse.rows("good", "id, name"))
        states = warehouse.states
    try:
        message = parsed(odd)
    except NotJson:
        message = None
        try:
            parsed(odd, mend=True)
        except NotJson:
            assert code == 5 or not odd.strip(), "what is not JSON was taken"
    if message is not None and not (isinstance(message, Pairs) and _is_text(dict(message).get("type"))):
        assert code == 5, "what is no message was taken"
    own = {number: name for number, name in rows.items() if number in range(4)}
    shown = [json.loads(each) for each in states if each.startswith(b'{"n"')]
    if code == 0 and isinstance(message, Pairs) and message.last("type") == "SCHEMA":
        assert len(rows) == 4  # its columns may have other types now
    elif code == 0:
        deletes = isinstance(message, Pairs) and ("type", "ACTIVATE_VERSION") in message
        assert deletes or own == {number: f"row {number}" for number in range(4)} or message_changes(message, own)
        assert {"n": 3} in shown
    else:
        assert own == {0: "row 0"}
        assert {"n": 0} in shown
        assert {"n": 2} not in shown
    if odd + b"\n" == MESSAGES[1]:
        assert rows[1_000] == "odd"


def message_changes(message: Any, own: dict[int, str]) -> bool:
    """Whether the odd line is a record with the key of a good one, which then counts."""
    return isinstance(message, Pairs) and any(
        name == "record"
        and isinstance(record, Pairs)
        and any(str(value) in {str(number) for number in own} for _, value in record)
        for name, record in message
    )


@examples(60, share=5)
@given(
    message=st.sampled_from(MESSAGES),
    rng=st.randoms(use_true_random=False),
    policy=st.sampled_from(["stop", "reject"]),
)
def test_an_odd_line_harms_no_other(message: bytes, rng: Random, policy: str) -> None:
    judge_line(damaged(message[:-1], rng), policy)


@corpus("lines")
def test_a_kept_line_harms_no_other(file: Path) -> None:
    for odd in file.read_bytes().splitlines():
        for policy in ("stop", "reject"):
            judge_line(odd, policy)


@corpus("values")
def test_kept_values_are_loaded_as_they_were_sent_or_rejected(file: Path) -> None:
    """Each file has the JSON of one value in a line, and its name is the kind of column."""
    judge_values([(file.stem, text) for text in file.read_bytes().splitlines()])
