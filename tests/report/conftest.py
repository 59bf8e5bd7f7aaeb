"""Warehouses with marts as their contracts say, filled by hand: no dbt is needed to make a page."""

from __future__ import annotations

import csv
import shutil
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
import yaml
from click.testing import CliRunner

from tests.tree import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

pytest.importorskip("vl_convert", reason="the extra `report` is not installed")

TODAY = date(2026, 2, 1)
NOW = datetime(2026, 2, 1, 2, tzinfo=UTC).replace(tzinfo=None)
EMPTY = {"text": "''", "boolean": "false", "date": "DATE '2026-01-31'", "timestamp": "TIMESTAMP '2026-01-31 12:00:00'"}


def contracts() -> dict[str, list[dict[str, Any]]]:
    """The columns of each mart."""
    files = sorted((ROOT / "transform/models/marts").glob("*.yml"))
    models = [model for file in files for model in yaml.safe_load(file.read_text(encoding="utf-8"))["models"]]
    return {model["name"]: model["columns"] for model in models}


CONTRACTS = contracts()


@dataclass
class Warehouse:
    """A DuckDB file with marts."""

    path: Path

    def add(self, mart: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add rows of the same columns; others are null, or nothing where null is not allowed."""
        required = {
            column["name"]: EMPTY.get(column["data_type"], "0")
            for column in CONTRACTS[mart]
            if {"type": "not_null"} in column.get("constraints", [])
        }
        given = list(rows)
        missing = {name: value for name, value in required.items() if name not in given[0]}
        one = ", ".join([*("?" for _ in given[0]), *missing.values()])
        many = ", ".join(f"({one})" for _ in given)
        with duckdb.connect(str(self.path)) as con:
            con.execute(
                f"INSERT INTO marts.{mart} ({', '.join([*given[0], *missing])}) VALUES {many}",
                [value for row in given for value in row.values()],
            )

    def run(self, *statements: str) -> None:
        with duckdb.connect(str(self.path)) as con:
            for statement in statements:
                con.execute(statement)

    def build(self, *options: str) -> tuple[str, str]:
        """Make the page; returns it, and what the command says."""
        from merchant_report.cli import cli  # noqa: PLC0415 - after the check for its libraries

        out = self.path.with_name("report.html")
        given = ["build", f"--warehouse={self.path}", f"--out={out}", f"--as-of={TODAY}", *options]
        done = CliRunner().invoke(cli, given, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return out.read_text(encoding="utf-8"), done.output


@pytest.fixture(scope="session")
def without_rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Marts without rows."""
    made = Warehouse(tmp_path_factory.mktemp("marts") / "warehouse.duckdb")
    tables = [
        f"CREATE TABLE marts.{mart} ({', '.join(_column(column) for column in columns)})"
        for mart, columns in CONTRACTS.items()
    ]
    with (ROOT / "transform/seeds/currencies.csv").open(encoding="utf-8") as file:
        digits = ", ".join(f"('{row['currency']}', {row['minor_digits']})" for row in csv.DictReader(file))
    made.run(
        "CREATE SCHEMA marts",
        "CREATE SCHEMA seeds",
        f"CREATE TABLE seeds.currencies AS FROM (VALUES {digits}) AS digits(currency, minor_digits)",
        *tables,
    )
    return made.path


@pytest.fixture
def warehouse(without_rows: Path, tmp_path: Path) -> Warehouse:
    """Marts without rows, to add some to."""
    return Warehouse(Path(shutil.copy(without_rows, tmp_path)))


@pytest.fixture(scope="session")
def with_rows(without_rows: Path, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """Marts with a bit of everything."""
    made = Warehouse(Path(shutil.copy(without_rows, tmp_path_factory.mktemp("filled"))))
    fill(made)
    return made


@pytest.fixture
def filled(with_rows: Warehouse, tmp_path: Path) -> Warehouse:
    """The same, to change."""
    return Warehouse(Path(shutil.copy(with_rows.path, tmp_path)))


@pytest.fixture(scope="session")
def whole(with_rows: Warehouse) -> str:
    """The page of everything."""
    return with_rows.build()[0]


def _column(column: Mapping[str, Any]) -> str:
    needed = " NOT NULL" if {"type": "not_null"} in column.get("constraints", []) else ""
    return f'"{column["name"]}" {column["data_type"]}{needed}'


def day(ago: int) -> date:
    """A day before `TODAY`."""
    return TODAY - timedelta(days=ago)


def fill(warehouse: Warehouse, name: str = "Harbour tour", size: int = 1) -> None:
    """A bit of everything.

    Args:
        warehouse: An empty one.
        name: What products, vendors' means of payment and customers are called.
        size: What every amount is multiplied by.
    """
    streams = [("peek", "bookings"), ("peek", "products"), ("peakium", "invoices"), ("pegke", "customers")]
    warehouse.add(
        "pipeline_streams",
        [
            {"account": vendor, "stream": stream, "last_inserted": 5, "hours_since_last": 2, "last_loaded_at": NOW}
            | {"last_requests": 1000, "last_retries": 1, "last_waited_seconds": 45}
            for vendor, stream in streams
        ],
    )
    warehouse.add(
        "pipeline_loads",
        [
            {"load_id": f"{vendor}{ago}", "pipeline": vendor, "account": vendor, "stream": stream, "inserted": 5}
            | {"started_at": NOW - timedelta(days=ago), "load_date": day(ago)}
            for vendor, stream in streams
            for ago in range(3)
        ],
    )
    money = [
        {"date_day": day(ago), "currency": currency, "payment_method": name, "payments": ago % 4 + 1}
        | {
            "gross": size * (100 + ago),
            "refunds": size * (ago % 3),
            "net": size * (100 + ago - ago % 3),
            "vendor": "peek",
        }
        for currency in ("EUR", "KWD", "JPY", "unknown")
        for ago in range(1, 30)
    ]
    warehouse.add("revenue_by_day", money)
    kept = ("date_day", "currency", "payment_method", "payments", "gross", "net", "vendor")
    warehouse.add(
        "revenue_converted",
        [{**{key: row[key] for key in kept}, "reporting_currency": "EUR", "rate": 1} for row in money],
    )
    warehouse.add(
        "mrr_by_month",
        [
            {
                "date_month": date(2025, number, 1),
                "currency": "EUR",
                "new_mrr": size * 5,
                "closing_mrr": size * 5 * number,
            }
            | {"paying_customers": number}
            for number in range(1, 13)
        ],
    )
    warehouse.add(
        "subscription_cohorts",
        [
            {"cohort_month": date(2025, 6, 1), "currency": "EUR", "month_number": number, "customers": 9}
            | {"retained_customers": 9 - number}
            for number in range(5)
        ],
    )
    warehouse.add(
        "failed_payments",
        [{"invoice_id": f"in_{ago}", "failed_date": day(ago), "outcome": "open"} for ago in (2, 20)],
    )
    warehouse.add(
        "bookings",
        [
            {
                "booking_uuid": str(ago),
                "product_name": name,
                "confirmed_date": day(ago),
                "seats": 2,
                "is_confirmed": True,
            }
            | {"lead_days": ago, "is_cancelled": ago % 5 == 0, "cancelled_at": NOW - timedelta(days=ago)}
            for ago in range(1, 40)
        ],
    )
    warehouse.add(
        "departures",
        [
            {"availability_id": str(ago), "product_name": name, "departure_date": day(-ago), "capacity": 10}
            | {"vacancies": ago % 10, "seats_sold": 10 - ago % 10}
            for ago in range(20)
        ],
    )
    warehouse.add(
        "departure_revenue",
        [{"availability_id": "1", "product_name": name, "departure_date": day(3), "currency": "EUR", "net": size * 7}],
    )
    warehouse.add(
        "booking_pace",
        [
            {"availability_id": "1", "days_before": ago, "capacity": 10, "seats_sold": 10 - ago, "seats_taken": 1}
            | {"observed_date": day(ago), "product_name": name}
            for ago in range(9)
        ],
    )
    warehouse.add(
        "loyalty_by_day",
        [
            {"date_day": day(ago), "visits": 3, "earned": size * 10, "burnt": size * 4, "balance": size * 1000 - ago}
            for ago in range(1, 60)
        ],
    )
    warehouse.add("loyalty_members", [{"member_id": f"m{n}", "visits": n, "is_at_risk": n > 2} for n in (1, 2, 3)])
    warehouse.add(
        "loyalty_cohorts",
        [
            {"cohort_month": date(2025, 10, 1), "month_number": number, "date_month": date(2025, 10 + number, 1)}
            | {"members": 8, "active_members": 8 - number}
            for number in range(3)
        ],
    )
    warehouse.add(
        "work_orders",
        [
            {"work_order_id": ago, "customer_id": ago % 2, "customer_name": f"{name} {ago % 2}", "is_open": True}
            | {"type": name, "created_date": day(ago), "age_bucket": "0-7" if ago < 8 else "8-30", "amount": size * ago}
            for ago in range(1, 30)
        ],
    )
    warehouse.add(
        "customers",
        [
            {
                "customer_key": str(ago),
                "email": f"person{ago}@example.com",
                "phone": f"+1555000{ago}",
                "vendors": 1 + ago % 2,
            }
            | {"matched_by": "email", "confidence": "medium", "first_seen_at": NOW - timedelta(days=ago)}
            for ago in range(1, 20)
        ],
    )
    warehouse.add(
        "customer_matching",
        [
            {"vendor": vendor, "records": 12, "customers": 10, "matched_customers": 4, "can_match": True}
            for vendor in ("peek", "pegke")
        ],
    )


class Page(HTMLParser):
    """What tests want to know of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.within: list[tuple[str, ...]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        self.within.append(tuple(self.open))
        if tag not in {"meta", "link", "br"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        self.within.append(tuple(self.open))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open and data.strip():
            self.words.append(" ".join(data.replace("\N{NO-BREAK SPACE}", " ").split()))

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self) -> str:
        return "\n".join(self.words)
