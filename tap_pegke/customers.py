"""Whom to ask about: the setting ``customers``.

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

__all__ = ["Customer", "read_customers"]

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
"""Columns of a file, and what they hold; None leaves it to the value. The first that is not empty counts."""

NATIONAL: Final = 10
"""Digits of a phone in India, as the vendor's samples write it."""

_DECORATION = re.compile(r"[\s().\-/\u2010-\u2015]+")
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
    """Tell what an identifier is, and bring it into its one form.

    Args:
        text: The identifier as configured; ``cid:…``, ``email:…`` and ``phone:…`` say what it is.
        kind: What it is, if known.
        country_code: Digits that a phone without country code begins with.

    Raises:
        ValueError: It is not what it should be; the text does not repeat it.
    """
    prefix, colon, rest = text.partition(":")
    if colon and kind is None and prefix.strip().lower() in COLUMNS:
        kind, text = COLUMNS[prefix.strip().lower()], rest
    given = text.strip()
    if not given:
        raise ValueError("is empty")
    if kind == "email" or (kind is None and "@" in given):
        if "@" not in given:
            raise ValueError("is no e-mail address")
        return Customer("email", given.lower(), given)
    if kind != "cid" and (phone := _phone(given, country_code, sure=kind == "mob")):
        return Customer("mob", phone, given)
    if kind == "mob":
        raise ValueError("is no phone number")
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
        country_code: Digits that a phone without country code begins with.

    Raises:
        ConfigError: The file cannot be read, or an identifier makes no sense.
    """
    items = _named_items(setting) if isinstance(setting, str) else _list_items(setting or ())
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
    if not text.lstrip().startswith("["):
        return _file_items(Path(text).expanduser())
    try:
        return _list_items(json.loads(text))
    except ValueError:
        raise ConfigError("setting 'customers' begins like a JSON list, but is not valid JSON") from None


def _list_items(items: Iterable[Any]) -> Iterator[Item]:
    for number, item in enumerate(items, start=1):
        yield from _item(item, f"item {number}")


def _item(item: Any, where: str) -> Iterator[Item]:
    if isinstance(item, Mapping):
        lowered = {str(name).strip().lower(): value for name, value in item.items()}
        for name, kind in COLUMNS.items():
            if lowered.get(name) not in {None, ""}:
                yield where, _text(lowered[name], where), kind
                return
        raise ConfigError(f"setting 'customers': {where} has none of the members {', '.join(COLUMNS)}")
    yield where, _text(item, where), None


def _text(value: Any, where: str) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, str):
        return value
    raise ConfigError(f"setting 'customers': {where} is neither text nor a whole number")


def _file_items(path: Path) -> Iterator[Item]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError("setting 'customers': the file is not text in UTF-8") from None
    except OSError as error:
        raise ConfigError(
            f"setting 'customers': the file cannot be read ({error.strerror}); give a list, or the path of a CSV or "
            "JSONL file"
        ) from None
    return _jsonl_items(text) if path.suffix.lower() in {".jsonl", ".ndjson", ".json"} else _csv_items(text)


def _jsonl_items(text: str) -> Iterator[Item]:
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                item = json.loads(line)
            except ValueError:
                raise ConfigError(f"setting 'customers': line {number} is not valid JSON") from None
            yield from _item(item, f"line {number}")


def _csv_items(text: str) -> Iterator[Item]:
    rows = csv.reader(io.StringIO(text, newline=""))
    header: list[str] | None = None
    for row in rows:
        if not any(cell.strip() for cell in row):
            continue
        where = f"line {rows.line_num}"
        names = [cell.strip().lower() for cell in row]
        if header is None:
            header = names if COLUMNS.keys() & set(names) else []
            if header:
                continue
        yield from _item(dict(zip(header, row, strict=False)) if header else row[0], where)
