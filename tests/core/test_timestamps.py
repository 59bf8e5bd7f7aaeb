"""Every vendor's time formats, checked against datetime and pendulum."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING, Any

import pendulum
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_core.records.dialect import canonical_time
from tap_core.timestamps import any_text, epoch_ms_text, epoch_text, in_bulk, iso_text, parse, text_of, zone

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FORM = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
MADRID = zone("Europe/Madrid")
KOLKATA = zone("Asia/Kolkata")

moments = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30))  # noqa: DTZ001 - zones are added by the tests
offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
zones = st.sampled_from(["Europe/Madrid", "America/New_York", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe"])


def expected(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime(f"{moment.astimezone(UTC).year:04}-%m-%dT%H:%M:%S.%fZ")


@given(st.integers(-62_135_596_800, 99_999_999_999))
def test_s8_whole_seconds_equal_datetime(seconds: int) -> None:
    assert epoch_text(seconds) == epoch_text(str(seconds)) == expected(EPOCH + timedelta(seconds=seconds))


@given(st.integers(100_000_000_000, 253_402_300_799_999))
def test_s8_large_numbers_are_milliseconds(milliseconds: int) -> None:
    assert epoch_text(milliseconds) == expected(EPOCH + timedelta(milliseconds=milliseconds))


@given(st.integers(-10_000_000_000, 253_402_300_799_999))
def test_s8_milliseconds_may_be_small_when_it_is_said(milliseconds: int) -> None:
    assert epoch_ms_text(milliseconds) == expected(EPOCH + timedelta(milliseconds=milliseconds))


@given(st.decimals(-10_000_000_000, 10_000_000_000, places=9))
def test_s8_fractions_in_text_are_exact_and_cut_at_microseconds(seconds: Decimal) -> None:
    micro = int((seconds * 1_000_000).to_integral_value(ROUND_FLOOR))
    assert epoch_text(str(seconds)) == expected(EPOCH + timedelta(microseconds=micro))


@given(st.integers(0, 2_000_000_000_000_000))
def test_s8_a_float_is_the_shortest_number_it_stands_for(micro: int) -> None:
    assert epoch_text(micro / 1_000_000) == expected(EPOCH + timedelta(microseconds=micro))


@given(moments, offsets)
def test_s8_iso_text_with_an_offset_equals_datetime(naive: datetime, offset: timezone) -> None:
    moment = naive.replace(tzinfo=offset)
    assert iso_text(moment.isoformat()) == iso_text(moment.isoformat(sep=" ")) == text_of(moment) == expected(moment)


@given(moments.filter(lambda moment: moment.year > 1900), zones)
def test_s8_iso_text_without_an_offset_equals_pendulum(naive: datetime, name: str) -> None:
    there = pendulum.datetime(
        naive.year, naive.month, naive.day, naive.hour, naive.minute, naive.second, naive.microsecond, tz=name, fold=0
    )
    assert iso_text(naive.isoformat(), zone(name)) == expected(there)


@given(st.lists(moments.map(lambda naive: naive.replace(tzinfo=UTC)), min_size=2))
def test_texts_sort_like_the_moments(times: list[datetime]) -> None:
    assert [text_of(moment) for moment in sorted(times)] == sorted(text_of(moment) for moment in times)


@given(st.one_of(st.text(), st.integers(), st.floats(), st.none(), st.booleans(), st.lists(st.integers())))
def test_anything_else_is_a_value_error_that_does_not_repeat_it(value: Any) -> None:
    try:
        outcome = any_text(value, UTC)
    except ValueError as error:
        outcome = str(error)
    assert FORM.fullmatch(outcome) or outcome in {
        "the text is not a time in a known format",
        "the time is not a text",
        "the time is not a number",
        "the time is outside the years 1 to 9999",
    }


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param("2024-03-31T02:30:00", "2024-03-31T01:30:00.000000Z", id="S8-gap-moves-forward"),
        pytest.param("2024-10-27T02:30:00", "2024-10-27T00:30:00.000000Z", id="S8-fold-is-the-first"),
        pytest.param("2013-07-30 20:44:28", "2013-07-30T18:44:28.000000Z", id="S8-naive"),
        pytest.param("2013-07-30", "2013-07-29T22:00:00.000000Z", id="S8-date"),
        pytest.param("20130730", "2013-07-29T22:00:00.000000Z", id="S8-date-in-digits"),
        pytest.param("2013-07-30T20:44:28z", "2013-07-30T20:44:28.000000Z", id="S8-small-z"),
        pytest.param(" 2013-07-30T20:44:28.5Z ", "2013-07-30T20:44:28.500000Z", id="S8-blanks-around"),
        pytest.param("2013-07-30T20:44:28.1234569Z", "2013-07-30T20:44:28.123456Z", id="S8-seven-decimals"),
        pytest.param("2013-07-30T204428.1Z", "2013-07-30T20:44:28.100000Z", id="S8-basic-form"),
        pytest.param("2013-W31-2T20:44:28Z", "2013-07-30T20:44:28.000000Z", id="S8-week-date"),
        pytest.param("2013-07-30T20:44:28+0530", "2013-07-30T15:14:28.000000Z", id="S8-offset-without-colon"),
        pytest.param("2013-07-30 20:44:28 -0700", "2013-07-31T03:44:28.000000Z", id="S8-offset-apart"),
        pytest.param("2013-07-30 20:44:28 UTC", "2013-07-30T20:44:28.000000Z", id="S8-utc-in-words"),
        pytest.param("2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000000Z", id="S8-leap-second"),
        pytest.param("Tue, 30 Jul 2013 20:44:28 GMT", "2013-07-30T20:44:28.000000Z", id="S8-http-date"),
        pytest.param("Mon Jan 11 2016 17:29:12 GMT+0530 (IST)", "2016-01-11T11:59:12.000000Z", id="S8-javascript"),
        pytest.param("1375217068", "2013-07-30T20:44:28.000000Z", id="S8-seconds-as-text"),
        pytest.param("1375217068.25", "2013-07-30T20:44:28.250000Z", id="S8-fraction-as-text"),
        pytest.param("1375217068123", "2013-07-30T20:44:28.123000Z", id="S8-milliseconds-as-text"),
        pytest.param(1375217068, "2013-07-30T20:44:28.000000Z", id="S8-seconds"),
        pytest.param(-1, "1969-12-31T23:59:59.000000Z", id="S8-before-1970"),
    ],
)
def test_the_formats_that_vendors_use(value: int | str, text: str) -> None:
    assert any_text(value, MADRID) == text


def test_a_text_without_offset_needs_a_zone() -> None:
    with pytest.raises(ValueError, match="no offset"):
        iso_text("2013-07-30T20:44:28")
    assert parse("2013-07-30T20:44:28", KOLKATA) == datetime(2013, 7, 30, 15, 14, 28, tzinfo=UTC)


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../../etc/passwd", "europe"])
def test_an_unknown_zone_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="tz database"):
        zone(name)


READERS: dict[str, Callable[[Any], str]] = {
    "iso": iso_text,
    "any": lambda value: any_text(value, MADRID),
    "seconds": epoch_text,
    "milliseconds": epoch_ms_text,
    "canonical": canonical_time,
}
usual = st.one_of(
    st.sampled_from(["seconds", "milliseconds", "microseconds"]).flatmap(
        lambda precision: st.lists(
            moments.map(lambda moment: moment.isoformat(timespec=precision) + "Z"), min_size=1, max_size=4
        )
    ),
    st.lists(st.integers(-(10**12), 10**12), min_size=1, max_size=4),
    st.lists(st.builds(lambda moment, offset: moment.replace(tzinfo=offset).isoformat(), moments, offsets), min_size=1),
)
places = st.tuples(st.integers(0, 30), st.sampled_from("0123456789-:.,TZWt +\u0660"))


def outcome(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except ValueError:
        return ValueError


@pytest.mark.parametrize("read", READERS.values(), ids=READERS.keys())
@given(values=usual, slips=st.lists(places, max_size=2), odd=st.none() | st.sampled_from(["", 5, 1.5, "2024-W09-5"]))
def test_many_times_at_once_are_read_as_one_by_one(
    read: Callable[[Any], str], values: list[Any], slips: Sequence[tuple[int, str]], odd: Any
) -> None:
    for place, sign in slips:
        if isinstance(values[-1], str):
            values[-1] = values[-1][:place] + sign + values[-1][place + 1 :]
    values += [] if odd is None else [odd]
    assert outcome(lambda: in_bulk(read)(values)) == outcome(lambda: [read(value) for value in values])


@pytest.mark.parametrize("text", ["2024-W09-5T12:05:06.789Z", "2024-03-01T12:05:06,789Z", "2024-03-01T24:00:00.000Z"])
def test_a_rare_form_of_the_usual_length_is_read_on_its_own(text: str) -> None:
    assert outcome(lambda: in_bulk(iso_text)([text])) == outcome(lambda: [iso_text(text)])


@pytest.mark.parametrize(
    "endings",
    [
        ("+05:30", "+05:30"),
        ("+05:30", "+02:00"),
        ("-05:00", "-04:00"),
        ("+01:00", "-01:00"),
        ("+00:00", "-00:00"),
        ("+02:00", "Z"),
        ("+02:00", ".500+02:00"),
    ],
    ids="/".join,
)
def test_s8_times_of_one_column_may_have_offsets_of_their_own(endings: tuple[str, ...]) -> None:
    texts = [f"2024-03-{day:02}T01:05:06{ending}" for day, ending in enumerate(endings * 20, start=1) if day < 32]
    assert in_bulk(iso_text)(texts) == [iso_text(text) for text in texts]
