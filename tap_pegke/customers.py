"""The customers to ask about: the setting ``customers``.

No call of the API lists customers, so the user names them: phones, e-mail addresses or customer ids, in a list, or in a
CSV or JSONL file. A phone in any of its usual forms is one customer.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from tap_core.errors import ConfigError

__all__ = ["COLUMNS", "NATIONAL", "Customer", "Item", "Kind", "customer", "read_customers"]

Kind = Literal["mob", "cid", "email"]

COLUMNS: Final[Mapping[str, Kind | None]] = {
    "phone": "mob",
    "mob": "mob",
    "mobile": "mob",
    "phone_number": "mob",
    "cid": "cid",
    "customer_id": "cid",
    "email": "email",
    "customer": None,
    "identifier": None,
}
"""Columns of a file, and what they hold; None lets the value decide. The first that is not empty counts."""

NATIONAL: Final = 10
"""Digits of a phone in India, as the vendor's samples write it."""

_DECORATION = re.compile(r"[\s().\-/\u2010-\u2015]+")
_INVISIBLE = re.compile(r"[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
"""Characters that are copied along with a phone from a chat or an address book."""

_DECIMAL = re.compile(r"\d+\.0+").fullmatch
"""A whole number as spreadsheets and data frames write it in a column with gaps."""

_ROUNDED = re.compile(r"\s*\d(?:(?:[.,]\d*)?e\+|[.,]\d+e)\d+\s*(?:,|$)", re.IGNORECASE).match
"""A long number as spreadsheets show and export it: digits are lost, and it would pass for an id. It may be followed by
another column."""

_INTERNATIONAL = re.compile(r"\+[1-9]\d{6,14}").fullmatch


@dataclass(frozen=True, slots=True)
class Customer:
    """One customer to ask about.

    Args:
        kind: What identifies it, in the words of version 1.
        value: The identifier in the one form that serves as key: a phone begins with ``+`` and the country code.
        given: The identifier as it was configured.
    """

    kind: Kind
    value: str
    given: str

    @property
    def identity(self) -> str:
        """Kind and value in one text."""
        return f"{self.kind}:{self.value}"


def customer(text: str, kind: Kind | None, country_code: str) -> Customer:
    """Find out what an identifier is, and normalise it.

    Args:
        text: The identifier as configured; ``cid:…``, ``email:…`` and ``phone:…`` say what it is.
        kind: What it is, if known.
        country_code: Digits to put before a phone without a country code.

    Raises:
        ValueError: It is not what it should be; the text does not repeat it.
    """
    prefix, colon, rest = text.partition(":")
    is_told = bool(colon) and kind is None and prefix.strip().lower() in COLUMNS
    if is_told:
        kind, text = COLUMNS[prefix.strip().lower()], rest
    given = _INVISIBLE.sub("", text).strip()
    if _ROUNDED(given) and "@" not in given and not is_told:
        raise ValueError(
            "is a number that a spreadsheet has rounded, such as 9.8E+09: format the column as text and export it "
            "again (cid:… says that it is an id as it stands)"
        )
    if _DECIMAL(given):
        given = given.partition(".")[0]
    if not given:
        raise ValueError("is empty")
    if kind == "email" or (kind is None and "@" in given):
        if "@" not in given:
            raise ValueError("is not an e-mail address")
        return Customer("email", given.lower(), given)
    if kind != "cid" and (phone := _phone(given, country_code, sure=kind == "mob")):
        return Customer("mob", phone, given)
    if kind == "mob" or (kind is None and given.startswith("+")):
        raise ValueError("is not a phone number")
    return Customer("cid", given, given)


def _phone(text: str, country_code: str, *, sure: bool) -> str | None:
    digits = _DECORATION.sub("", text)
    if digits.startswith("00"):
        digits = "+" + digits[2:]
    if digits.startswith("+"):
        return digits if _INTERNATIONAL(digits) else None
    if not (digits.isascii() and digits.isdecimal()):
        return None
    national = digits[1:] if digits.startswith("0") and len(digits) == NATIONAL + 1 else digits
    if len(national) == NATIONAL:
        return f"+{country_code}{national}"
    if len(digits) == NATIONAL + len(country_code) and digits.startswith(country_code):
        return f"+{digits}"
    return f"+{country_code}{digits}" if sure and _INTERNATIONAL(f"+{country_code}{digits}") else None


def read_customers(setting: Any, country_code: str) -> list[Customer]:
    """The customers that the setting names, each once, in its order.

    Args:
        setting: A list of identifiers, or the path of a file.
        country_code: Digits to put before a phone without a country code.

    Raises:
        ConfigError: The file cannot be read, or an identifier makes no sense.
    """
    items = _named_items(setting) if setting and isinstance(setting, str) else _list_items(setting or ())
    found: dict[str, Customer] = {}
    for where, text, kind in items:
        try:
            read = customer(text, kind, country_code)
        except ValueError as error:
            raise ConfigError(f"setting 'customers': {where} {error}") from None
        found.setdefault(read.identity, read)
    return list(found.values())


Item = tuple[str, str, Kind | None]


def _named_items(text: str) -> Iterator[Item]:
    """A list as JSON text, as it comes from an environment variable, or the path of a file."""
    return _json_items(text) if text.lstrip().startswith("[") else _file_items(Path(text).expanduser())


def _json_items(text: str) -> Iterator[Item]:
    try:
        return _list_items(json.loads(text, parse_float=_number))
    except ValueError:
        raise ConfigError("setting 'customers' begins like a JSON list, but is not valid JSON") from None


def _list_items(items: Iterable[Any]) -> Iterator[Item]:
    for number, item in enumerate(items, start=1):
        yield from _item(item, f"item {number}")


def _item(item: Any, where: str) -> Iterator[Item]:
    if isinstance(item, Mapping):
        lowered = {str(name).strip().lower(): value for name, value in item.items()}
        for name, kind in COLUMNS.items():
            value = lowered.get(name)
            if value is not None and (text := _text(value, where)).strip():
                yield where, text, kind
                return
        raise ConfigError(f"setting 'customers': {where} names no customer: it has none of {', '.join(COLUMNS)}")
    yield where, _text(item, where), None


def _number(text: str) -> float | str:
    """A fraction in JSON; one with an exponent stays text, so that what is lost in it can be told."""
    return text if "e" in text.lower() else float(text)


def _text(value: Any, where: str) -> str:
    if (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, float) and value.is_integer()):
        return str(int(value))
    if isinstance(value, str):
        return value
    raise ConfigError(f"setting 'customers': {where} is neither text nor a whole number")


def _file_items(path: Path) -> Iterator[Item]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError("setting 'customers': the file is not UTF-8 text") from None
    except OSError as error:
        raise ConfigError(
            f"setting 'customers': the file cannot be read ({error.strerror}); give a list, or the path of a CSV or "
            "JSONL file"
        ) from None
    if path.suffix.lower() not in {".jsonl", ".ndjson", ".json"}:
        return _csv_items(text)
    return _json_items(text) if text.lstrip().startswith("[") else _jsonl_items(text)


def _jsonl_items(text: str) -> Iterator[Item]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                item = json.loads(line, parse_float=_number)
            except ValueError:
                raise ConfigError(f"setting 'customers': line {number} is not valid JSON") from None
            yield from _item(item, f"line {number}")


def _csv_items(text: str) -> Iterator[Item]:
    header: list[str] | None = None
    for line, row in _csv_rows(text):
        where = f"line {line}"
        if header is None:
            header = _header([cell.strip().lower() for cell in row], where)
            if header:
                continue
        # In some countries a rounded number has a comma in it, which has then become the end of a column.
        first = ",".join(row) if _ROUNDED(",".join(row)) else row[0]
        yield from _item(dict(zip(header, row, strict=False)) if header else first, where)


def _csv_rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not blank, with the number of their last line."""
    rows = csv.reader(io.StringIO(text, newline=""))
    try:
        for row in rows:
            if any(cell.strip() for cell in row):
                yield rows.line_num, row
    except csv.Error:
        raise ConfigError(f"setting 'customers': line {rows.line_num} is not valid CSV") from None


def _header(names: list[str], where: str) -> list[str]:
    """The columns that a first row names; none if it is a customer already."""
    if COLUMNS.keys() & set(names):
        return names
    if any(letter.isdecimal() or letter == "@" for letter in names[0]):
        return []
    raise ConfigError(
        f"setting 'customers': {where} names columns, but none of {', '.join(COLUMNS)}; rename the one that "
        "names customers, and separate columns with commas"
    )
