"""Messages of other people's taps, and of the SDK's own test suite for targets, load as well."""

from __future__ import annotations

from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.loader.harness import INTEGER, STRING, record, schema

if TYPE_CHECKING:
    from tests.loader.harness import Loader

DATA = Path(__file__).with_name("data")
_SDK = find_spec("singer_sdk")
assert _SDK
assert _SDK.origin
SDK_FILES = Path(_SDK.origin).parent / "testing" / "target_test_streams"
REFUSED = {
    "invalid_schema": "`properties`",
    "record_before_schema": "before its SCHEMA",
    "record_missing_key_property": "`id` is missing",
}
ROWS = {
    "array_data": {"test_array_data": 4},
    "camelcase": {"TestCamelcase": 2},
    "duplicate_records": {"test_duplicate_records": 2},
    "encoded_string_data": {"test_strings": 11, "test_strings_in_objects": 11, "test_strings_in_arrays": 6},
    "multiple_state_messages": {"test_multiple_state_messages_a": 6, "test_multiple_state_messages_b": 6},
    "no_primary_keys": {"test_no_pk": 3},
    "pk_updates": {"example_stream": 2},
    "schema_updates": {"test_schema_updates": 6},
    "special_chars_in_attributes": {"test:SpecialChars!in?attributes": 1},
    "user_location_upsert_data": {"test_users": 6, "test_locations": 4, "test_user_in_location": 4},
}


def test_message_files_of_the_sdk_load_into_one_warehouse(loader: Loader) -> None:
    names = sorted(path.stem for path in SDK_FILES.glob("*.singer"))
    assert set(ROWS) | set(REFUSED) <= set(names)
    for name in names:
        data = (SDK_FILES / f"{name}.singer").read_bytes()
        if name in REFUSED:
            assert REFUSED[name] in loader.fail(data, schema=name)
            continue
        loader.load(data, schema=name)
        for table, rows in ROWS.get(name, {}).items():
            assert loader.sql(f'SELECT count(*) FROM {name}."{table}"') == [(rows,)], name


def test_columns_that_come_late_in_the_sdks_files_are_there(loader: Loader) -> None:
    loader.load((SDK_FILES / "schema_updates.singer").read_bytes())
    assert {"id", "a1", "a2", "a3", "a4", "a5", "a6"} <= set(loader.types("test_schema_updates"))


EXPECTED = [
    (1, "plain", Decimal("12345.678901"), 0.1, "2024-02-29", 1767249000.123456, "123456789012345678901234567890"),
    (2, 'new\nline "quoted" \\ back', Decimal("-0.000001"), 1e100, "1970-01-01", -0.000001, "-1"),
    (2**63 - 1, "Ünïcødé 🦆", None, None, None, None, None),
]


@pytest.mark.parametrize("tap", ["meltanolabs-tap-postgres", "pipelinewise-tap-postgres"])
def test_output_of_foreign_taps_loads_exactly(loader: Loader, tap: str) -> None:
    loader.load((DATA / f"{tap}.singer").read_bytes())
    columns = """id, name, price::DECIMAL(18,6), rate, left(CAST(day AS VARCHAR), 10), epoch("at"), big::VARCHAR"""
    found = loader.sql(f'SELECT {columns} FROM "public-things" ORDER BY id')
    assert [(*row[:5], row[5] and round(row[5], 6), row[6]) for row in found] == EXPECTED
    assert loader.sql("""SELECT meta->>'$.deep.x', tags FROM "public-things" WHERE id = 1""") == [
        ("[1,2.5,null]", '["a","b c"]')
    ]


def test_bounds_of_a_number_tell_its_decimal_type(loader: Loader) -> None:
    loader.load((DATA / "pipelinewise-tap-postgres.singer").read_bytes())
    types = loader.types('"public-things"')
    assert (types["price"], types["big"], types["rate"]) == ("DECIMAL(18,6)", "DECIMAL(30,0)", "DOUBLE")


def test_two_taps_may_load_different_schemas_of_one_file(loader: Loader) -> None:
    for tap in ("meltanolabs", "pipelinewise"):
        loader.load((DATA / f"{tap}-tap-postgres.singer").read_bytes(), schema=tap)
    loader.load([schema("own", {"id": INTEGER, "name": STRING}), record("own", id=1)], schema="other")
    assert loader.sql('SELECT count(*) FROM meltanolabs."public-things", pipelinewise."public-things", other.own') == [
        (9,)
    ]
