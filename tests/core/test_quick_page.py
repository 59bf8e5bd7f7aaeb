"""A response whose every value is decoded needs no other check; what comes of it is the same as with all checks."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.vendor import Payments, TapPayments
from tap_core.codec import DEEPEST
from tap_core.errors import TapError
from tap_core.http.body import read_body
from tap_core.http.message import Response
from tap_core.output.messages import MessageWriter

if TYPE_CHECKING:
    from collections.abc import Callable

RECORD: dict[str, Any] = {
    "id": "pay_1",
    "created": "2024-03-01T12:00:00.123Z",
    "updated": "2024-03-01T12:00:01Z",
    "amount": 12.5,
    "fee": None,
    "description": "Straße “7”",
    "customer": {"id": "c", "name": "Zoë"},
    "line_items": [{"sku": "s", "quantity": 2, "unit_price": 0.1}, None],
}


def page(*records: Any, **more: Any) -> bytes:
    return json.dumps({"count": len(records), **more, "data": list(records)}, ensure_ascii=False).encode()


def outcome(body: bytes, *, quickly: bool) -> tuple[bytes | str, bool]:
    """What is written, or why it fails; and whether the quick way was taken."""
    reading, writing = os.pipe()
    tap = TapPayments(config={"api_url": "https://payments.example.com"}, message_writer=MessageWriter(writing))
    stream = tap.session.stream(Payments)
    emitter = stream.emitter()
    try:
        found = stream.quick_page(body) if quickly else None
        quick: Callable[[bytes], Any] = (lambda _: found) if quickly else (lambda _: None)
        rows = read_body(Response(200, {"Content-Type": "application/json"}, body, 0.0), stream.page, quick).rows
        keys = list(stream.row_keys(rows))
        emitter.rows(rows, {}, "2024-03-02T00:00:00.000000Z")
        tap.session.writer.flush()
        os.close(writing)
        with os.fdopen(reading, "rb") as output:
            return output.read() + repr(keys).encode(), found is not None
    except (TapError, RecursionError) as error:
        os.close(writing)
        os.close(reading)
        if isinstance(error, RecursionError) or "too deeply" in str(error):
            return TOO_DEEP, quickly
        return f"{type(error).__name__}: {error}", False


TOO_DEEP = "the stream fails, because a record is nested too deeply"
GOOD = page(RECORD, RECORD | {"id": "pay_2"})
DEEP = b"[" * (DEEPEST + 1) + b"]" * (DEEPEST + 1)


@pytest.mark.parametrize(
    ("body", "taken"),
    [
        pytest.param(GOOD, True, id="as-declared"),
        pytest.param(json.dumps(json.loads(GOOD), indent=2).encode(), True, id="with-line-breaks"),
        pytest.param(GOOD.replace(b'"amount": 12.5', b'"amount" :\n 12.50'), True, id="digits-and-space"),
        pytest.param(GOOD.replace(b"12.5", b"1e400"), True, id="number-beyond-a-double"),
        pytest.param(GOOD.replace(b"12.5", b"NaN"), False, id="H14-nan"),
        pytest.param(b"\xef\xbb\xbf" + GOOD, False, id="H14-byte-order-mark"),
        pytest.param(GOOD.replace(b"Stra\xc3\x9fe", b"Stra\xdfe"), False, id="H14-not-utf-8"),
        pytest.param(GOOD.replace(b"Stra", b"\\ud83d"), False, id="lone-surrogate"),
        pytest.param(GOOD.replace(b'"fee": null', b'"fee": null, "fee": 7'), True, id="member-twice"),
        pytest.param(GOOD.replace(b'"fee"', b'"fees"'), False, id="C5-unknown-field"),
        pytest.param(GOOD.replace(b"12.5", DEEP), True, id="C5-deep-value"),
        pytest.param(GOOD.replace(b"Zo", b"Z\no"), False, id="line-break-in-a-text"),
        pytest.param(GOOD[:-3], False, id="H11-cut"),
        pytest.param(b"<html>", False, id="H10-html"),
        pytest.param(page(), True, id="P1-empty"),
    ],
)
def test_a_page_gives_the_same_with_and_without_the_quick_way(body: bytes, *, taken: bool) -> None:
    slowly, quickly = outcome(body, quickly=False), outcome(body, quickly=True)
    assert quickly == (slowly[0], taken)


@given(
    fee=st.one_of(st.none(), st.decimals(allow_nan=False, allow_infinity=False).map(str), st.sampled_from("-01")),
    text=st.one_of(st.none(), st.text()),
    time=st.one_of(st.none(), st.datetimes().map(lambda moment: moment.isoformat() + "Z"), st.text(max_size=5)),
    items=st.lists(st.one_of(st.none(), st.fixed_dictionaries({"unit_price": st.integers()})), max_size=3),
    junk=st.binary(max_size=2),
)
def test_any_page_gives_the_same(fee: str | None, text: str | None, time: str | None, items: Any, junk: bytes) -> None:
    record = RECORD | {"description": text, "updated": time, "line_items": items, "fee": 4242}
    body = page(record, RECORD).replace(b"4242", (fee or "null").encode()) + junk
    assert outcome(body, quickly=True)[0] == outcome(body, quickly=False)[0]
