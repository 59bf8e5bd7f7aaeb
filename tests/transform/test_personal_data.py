"""Customers across the vendors where personal data is hashed or dropped."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

import duckdb
import pytest

from tests.transform.conftest import table

if TYPE_CHECKING:
    from pathlib import Path

    from tests.transform.conftest import Dbt

MATCHING = ("--select", "+customer_matching", "--exclude-resource-type", "test", "unit_test")

pytestmark = pytest.mark.xdist_group("transform")


def hashed(text: str) -> str:
    return hmac.new(b"k", text.encode(), hashlib.sha256).hexdigest()


def warehouse(path: Path, *, keep: bool) -> Path:
    """What is left of one person at three vendors, as the taps hash or drop it."""
    number, mail, cid = (
        f"'{hashed(text)}'" if keep else "NULL::VARCHAR" for text in ("+16144561447", "ana@example.com", "7")
    )
    with duckdb.connect(str(path)) as con:
        con.execute(f"""
            CREATE SCHEMA pegke; CREATE SCHEMA peek; CREATE SCHEMA peerassist;
            CREATE TABLE pegke.customers AS
                SELECT '{hashed("+16144561447")}' AS _phone, {cid} AS cid, NULL::VARCHAR AS email;
            CREATE TABLE peek.bookings AS
                SELECT 'default' AS _connection, 'u' AS uuid,
                    json_object('emailAddress', {mail}, 'phoneNumber', NULL) AS contact;
            CREATE TABLE peerassist.customers AS
                SELECT 1 AS id, {mail} AS "contactEmail", {number} AS "contactPhone";
        """)
    return path


def test_hashes_under_one_key_match_across_vendors(dbt: Dbt, tmp_path: Path) -> None:
    path = warehouse(tmp_path / "warehouse.duckdb", keep=True)
    dbt.build(path, *MATCHING)
    (customer,) = table(path, "marts.customers")
    assert (customer["vendors"], customer["matched_by"], customer["confidence"]) == (3, "email and phone", "high")
    assert customer["email"] == hashed("ana@example.com")
    notes = {row["vendor"]: row["note"] for row in table(path, "marts.customer_matching")}
    assert "pii_key" in notes["peek"]


def test_where_personal_data_is_dropped_it_is_said_that_nobody_can_be_matched(dbt: Dbt, tmp_path: Path) -> None:
    path = warehouse(tmp_path / "warehouse.duckdb", keep=False)
    dbt.build(path, *MATCHING)
    assert table(path, "marts.customers") == []
    rows = {row["vendor"]: row for row in table(path, "marts.customer_matching")}
    for vendor in ("pegke", "peek", "peerassist"):
        assert rows[vendor]["records"] == 1
        assert rows[vendor]["can_match"] is False
        assert "pii: drop" in rows[vendor]["note"]
