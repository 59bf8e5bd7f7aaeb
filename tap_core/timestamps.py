"""Every vendor's way to write a time becomes ``YYYY-MM-DDTHH:MM:SS.ffffffZ``, UTC, always with six decimals.

Texts in this one form sort like the moments that they represent, and no loader can drop an offset that isn't there.
More than six decimals are cut off, not rounded, so that a time never moves into the future.

A time without an offset needs a zone. Where clocks go back, an hour exists twice and the first one is meant; where
they go forward, a time inside the gap is moved forward by the gap's length, as pendulum does.

An invalid value is a `ValueError`, whose text never repeats the value: a field of times may contain personal data by
mistake.
"""

from __future__ import annotations

import functools
import re
from collections import deque
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from itertools import repeat
from operator import attrgetter, sub
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import tzinfo

__all__ = [
    "alike",
    "any_text",
    "epoch_ms_text",
    "epoch_seconds",
    "epoch_text",
    "in_bulk",
    "iso_text",
    "parse",
    "text_of",
    "zone",
]

_MS_FROM = 100_000_000_000
_DAY_S = 86_400
_MICROSECOND = 1_000_000
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_DIGITS_OF_A_DATE = 8
_MOST_DIGITS = 1000
"""Beyond these, arithmetic may fail; no time comes near them."""

_JAVASCRIPT = re.compile(
    r"(?:[A-Z][a-z]{2} )?(?P<month>[A-Z][a-z]{2}) (?P<day>\d{1,2}) (?P<year>\d{4}) (?P<time>\d\d:\d\d:\d\d)"
    r" (?:GMT|UTC)?(?P<offset>[+-]\d{4})(?: \(.*\))?"
)
_UTC_IN_WORDS = re.compile(r"\s*(?:UTC|GMT|z)$")
_OFFSET_APART = re.compile(r"\s+(?=[+-]\d\d:?\d\d$)")
_LEAP_SECOND = re.compile(r"(?<=:\d\d):60(?!\d)")


class _Days(dict[int, str]):
    """The text of each day met so far, by days since 1970."""

    def __missing__(self, day: int) -> str:
        try:
            text = date.fromordinal(day + _EPOCH_DAY).isoformat()
        except (ValueError, OverflowError):
            raise ValueError("the time is outside the years 1 to 9999") from None
        self[day] = text
        return text


_DAYS = _Days()
_MINUTES = [f"T{minute // 60:02}:{minute % 60:02}:" for minute in range(1440)]
_SECONDS = [f"{second:02}.000000Z" for second in range(60)]


def epoch_text(value: float | str) -> str:
    """Unix seconds as text; milliseconds where the value is too large for seconds (from 10^11, the year 5138, on).

    Args:
        value: A whole number, a fraction, or either of them written as text.

    Raises:
        ValueError: It is not such a number, or not in the years 1 to 9999.
    """
    if type(value) is int and -_MS_FROM < value < _MS_FROM:
        day, second = divmod(value, _DAY_S)
        return _DAYS[day] + _MINUTES[second // 60] + _SECONDS[second % 60]
    number = _number(value)
    return _from_number(number if abs(number) < _MS_FROM else number / 1000)


def epoch_seconds(value: float) -> float:
    """Unix seconds from a number that may be milliseconds, distinguished as in `epoch_text`."""
    return value if abs(value) < _MS_FROM else value / 1000


def epoch_ms_text(value: float | str) -> str:
    """Unix milliseconds as text, however small.

    Raises:
        ValueError: As in `epoch_text`.
    """
    return _from_number(_number(value) / 1000)


def iso_text(value: str, local: tzinfo | None = None) -> str:
    """ISO 8601 in any of its usual forms, with or without offset, ``T`` or fraction; a bare date is its midnight.

    Args:
        value: The text.
        local: The zone of times without an offset; None does not allow them.

    Raises:
        ValueError: It is not such a text, or it has no offset and there is no zone.
    """
    return text_of(parse(value, local))


def any_text(value: float | str, local: tzinfo | None = None) -> str:
    """A time in whichever of the known forms it comes: a number, digits, ISO 8601, HTTP or JavaScript date text.

    Digits alone are Unix time, but eight of them are a date (``20130730``) and fewer digits are ambiguous.

    Raises:
        ValueError: It is none of them.
    """
    if not isinstance(value, str):
        return epoch_text(value)
    text = value.strip()
    bare = text.lstrip("-").replace(".", "", 1)
    return epoch_text(text) if bare.isdecimal() and len(bare) > _DIGITS_OF_A_DATE else iso_text(text, local)


def parse(value: str, local: tzinfo | None = None) -> datetime:
    """The moment that a text represents, in UTC. Knows ISO 8601, HTTP and e-mail dates, and JavaScript's date text.

    Args:
        value: The text.
        local: The zone of times without an offset; None does not allow them.

    Raises:
        ValueError: It is not such a text, or it has no offset and there is no zone.
    """
    try:
        moment = datetime.fromisoformat(value)
    except (ValueError, TypeError):
        moment = _parse_odd(value)
    if moment.tzinfo is None:
        if local is None:
            raise ValueError("the time has no offset from UTC")
        moment = moment.replace(tzinfo=local)
    try:
        return moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("the time is outside the years 1 to 9999") from None


def text_of(moment: datetime) -> str:
    """An aware date-time as text.

    Raises:
        ValueError: It has no offset.
    """
    if moment.tzinfo is not UTC:
        if moment.tzinfo is None:
            raise ValueError("the time has no offset from UTC")
        moment = moment.astimezone(UTC)
    text = _write(moment)[1:-1].decode()
    return text if len(text) == _LONG else f"{text[:-1]}.000000Z"


def in_bulk(read: Callable[[Any], str]) -> Callable[[Sequence[Any]], list[str]]:
    """A reader of one time as a reader of many, which is quick where all of them have the same usual form.

    These are ISO 8601 in UTC (``2024-03-01T12:00:00Z``, also with three or six decimals) or with another offset, and
    whole Unix seconds. Whether ``read`` knows a form is tried out once; it reads everything else, one by one.

    Args:
        read: Reads one time; raises ValueError for what is none.
    """
    in_utc = alike(read)
    offsets = _reads(read, "2024-03-01T12:05:06+05:30", "2024-03-01T06:35:06.000000Z")
    seconds = _reads(read, _SAMPLE, epoch_text(_SAMPLE))

    def many(values: Sequence[Any]) -> list[str]:
        if (texts := in_utc(values)) is not None:
            return texts
        if isinstance(values[0], str):
            if offsets and (texts := _with_one_offset(values) or _with_offsets(values)):
                return texts
        elif seconds and set(map(type, values)) == {int} and -_MS_FROM < min(values) <= max(values) < _MS_FROM:
            return [_DAYS[time // _DAY_S] + _MINUTES[time % _DAY_S // 60] + _SECONDS[time % 60] for time in values]
        return [read(value) for value in values]

    return many


def alike(read: Callable[[Any], str]) -> Callable[[Sequence[Any]], list[str] | None]:
    """A reader of many times in UTC, all in the same usual form; gives None where anything else is among them.

    Args:
        read: Reads one time; raises ValueError for what is none.
    """
    forms = {len(text): form for text, form in _FORMS.items() if _reads(read, text, text[:-1] + form.ending)}

    def many(values: Sequence[Any]) -> list[str] | None:
        first = values[0]
        form = forms.get(len(first)) if isinstance(first, str) else None
        if form is None or not (text := _joined(values, form)):
            return None
        return text.replace("Z", form.ending + " ").split()

    return many


_SAMPLE: Final = 1_709_294_706


class _Form(NamedTuple):
    """A usual form of a time.

    Attributes:
        shape: A time of that form with all digits 0.
        ending: What stands in place of its ``Z``.
    """

    shape: bytes
    ending: str


_FORMS: Final = {
    "2024-03-01T12:05:06Z": _Form(b"0000-00-00T00:00:00Z", ".000000Z"),
    "2024-03-01T12:05:06.789Z": _Form(b"0000-00-00T00:00:00.000Z", "000Z"),
    "2024-03-01T12:05:06.789012Z": _Form(b"0000-00-00T00:00:00.000000Z", "Z"),
}
"""Usual forms by an example of each."""

_ALIKE: Final = bytes.maketrans(b"123456789", b"000000000")


def _reads(read: Callable[[Any], str], value: Any, text: str) -> bool:
    try:
        return read(value) == text
    except ValueError:
        return False


def _joined(values: Sequence[Any], form: _Form) -> str:
    """All values in one text, if they are valid times of a form; empty if one is not."""
    try:
        text = "".join(values)
        if text.encode().translate(_ALIKE) != form.shape * len(values) or "T24" in text:
            return ""
        deque(map(datetime.fromisoformat, values), maxlen=0)
    except (ValueError, TypeError):
        return ""
    return text


_ZONE_OF: Final = attrgetter("tzinfo")
_LONG: Final = len("2024-03-01T12:05:06.789012Z")
_OFFSETS: Final = {sign: f"0000-00-00T00:00:00{sign}00:00".encode() for sign in "+-"}
_BETWEEN: Final = b'","'
_write: Final = msgspec.json.Encoder().encode
_read_moments: Final = msgspec.json.Decoder(list[datetime]).decode


def _with_one_offset(values: Sequence[Any]) -> list[str]:
    """Texts like ``2024-03-01T12:00:00+05:30``, all with the same offset, in UTC; none if there are others."""
    offset = values[0][19:]
    try:
        shape, text = _OFFSETS[offset[:1]], '","'.join(values)
        is_usual = (text.encode() + _BETWEEN).translate(_ALIKE) == (shape + _BETWEEN) * len(values)
        if not is_usual or text.count(offset) != len(values):
            return []
        # It is quicker to shift times without an offset than to let each find out about its own.
        moments = list(map(sub, _read_moments(f'["{text.replace(offset, "")}"]'), repeat(_shift(offset))))
    except (ValueError, TypeError, LookupError, OverflowError):
        return []
    return (_write(moments)[2:-2] + _BETWEEN).replace(_BETWEEN, b".000000Z ").decode().split()


@functools.cache
def _shift(offset: str) -> timedelta:
    """How far the time of an offset such as ``+05:30`` is ahead of UTC."""
    moment = datetime.fromisoformat(f"2024-03-01T12:00:00{offset}")
    return moment.replace(tzinfo=UTC) - moment


def _with_offsets(values: Sequence[Any]) -> list[str]:
    """Texts like ``2024-03-01T12:00:00.5+05:30``, each with an offset, in UTC; none if not all are such texts."""
    try:
        if {text[10] for text in values} != {"T"}:
            return []
        moments = list(map(datetime.fromisoformat, values))
        if None in map(_ZONE_OF, moments):
            return []
        texts = _write(list(map(datetime.astimezone, moments, repeat(UTC))))[2:-2].decode().split('","')
    except (ValueError, TypeError, LookupError, OverflowError):
        return []
    return [text if len(text) == _LONG else f"{text[:-1]}.000000Z" for text in texts]


@functools.cache
def zone(name: str) -> tzinfo:
    """A time zone by its name in the tz database, such as ``Europe/Madrid``.

    Raises:
        ValueError: There is no such zone.
    """
    import pendulum  # noqa: PLC0415 - costs a tenth of a second, and most taps never see a time without an offset

    try:
        return pendulum.timezone(name)
    except (ValueError, OSError):
        raise ValueError("the time zone must be a name of the tz database, such as Europe/Madrid or UTC") from None


def _number(value: float | str) -> Decimal:
    """The exact number; for a float, the shortest one that it represents."""
    if not isinstance(value, bool):
        try:
            number = Decimal(value if isinstance(value, int) else str(value).strip())
        except InvalidOperation:
            pass
        else:
            if number.is_finite() and number.adjusted() < _MOST_DIGITS:
                return number
    raise ValueError("the time is not a number")


def _from_number(seconds: Decimal) -> str:
    if abs(seconds) > _MS_FROM * 10:
        raise ValueError("the time is outside the years 1 to 9999")
    whole, micro = divmod((seconds * _MICROSECOND).__floor__(), _MICROSECOND)
    day, second = divmod(whole, _DAY_S)
    return f"{_DAYS[day]}{_MINUTES[second // 60]}{second % 60:02}.{micro:06}Z"


def _parse_odd(value: str) -> datetime:
    if not isinstance(value, str):
        raise ValueError("the time is not a text")  # noqa: TRY004 - callers know one kind of error
    text = value.strip()
    if leap := _LEAP_SECOND.search(text):
        return _parse_odd(text[: leap.start()] + ":59" + text[leap.end() :]) + timedelta(seconds=1)
    try:
        return datetime.fromisoformat(_OFFSET_APART.sub("", _UTC_IN_WORDS.sub("Z", text)))
    except ValueError:
        if script := _JAVASCRIPT.fullmatch(text):
            text = "{day} {month} {year} {time} {offset}".format_map(script.groupdict())
    from email.utils import parsedate_to_datetime  # noqa: PLC0415  most taps never see such a date

    try:
        return parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        raise ValueError("the text is not a time in a known format") from None
