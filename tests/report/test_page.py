"""The page: what it consists of, and that it looks right whatever the marts hold."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from merchant_report.marts import ReportError, open_marts
from merchant_report.page import make_report
from tests.report.conftest import NOW, Page, day, fill
from tests.tree import ROOT

if TYPE_CHECKING:
    from tests.report.conftest import Warehouse

CSS = (ROOT / "merchant_report/templates/report.css").read_text(encoding="utf-8")
NOTHING_DRAWN = re.compile(r"NaN|undefined|Infinity")
SCRIPT = "<script>alert('x')</script>\"'}];//</style>"


def test_everything_on_the_page_is_marked_up_for_those_who_do_not_see_it(whole: str) -> None:
    page = Page(whole)

    assert page.all("html")[0]["lang"] == "en"
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later <= earlier + 1 for earlier, later in pairwise(levels))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in page.tags:
        assert attributes.get("aria-labelledby", ids[0]) in ids
        if attributes.get("href", "").startswith("#"):
            assert attributes["href"][1:] in ids
    drawn = page.all("svg")
    assert len(drawn) == len(page.all("figure")) > 15
    assert all(svg["role"] == "img" and svg["aria-label"].endswith(".") for svg in drawn)
    tables = [within for (tag, _), within in zip(page.tags, page.within, strict=True) if tag == "table"]
    assert sum("figure" in within and "details" in within for within in tables) == len(drawn)
    assert len(page.all("caption")) == len(tables)
    assert all(heading["scope"] in {"col", "row"} for heading in page.all("th"))
    assert all("tabindex" in box for box in page.all("div") if box.get("class") == "scroll")


def test_every_chart_is_what_vega_lite_allows(with_rows: Warehouse) -> None:
    with open_marts(with_rows.path, as_of=NOW) as marts:
        report = make_report(marts, {}, NOW)
    charts = [figure.chart for section in report.sections for figure in section.figures]
    assert len(charts) > 15
    for chart in charts:
        chart.to_dict()  # validates


def test_the_page_asks_nobody_for_anything(whole: str) -> None:
    page = Page(whole)

    assert not page.all("script") + page.all("iframe") + page.all("img") + page.all("object")
    assert {link["href"] for link in page.all("link")} == {"data:,"}
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert not re.search(r"@import|@font-face", whole)
    assert set(re.findall(r"url\(([^)]*)", whole)) <= {f"#{attributes.get('id')}" for _, attributes in page.tags}
    assert set(re.findall(r"https?://[^\"' ]+", whole)) <= {"http://www.w3.org/2000/svg"}


def test_a_warehouse_without_rows_makes_a_page_that_says_so(warehouse: Warehouse) -> None:
    text, said = warehouse.build()

    assert said == "There is nothing to report yet.\n"
    page = Page(text)
    assert not page.all("figure")
    assert "Revenue: nothing has been loaded" in page.text
    assert "No load is known." in page.text


def test_a_mart_that_is_missing_is_named_and_the_rest_is_shown(filled: Warehouse) -> None:
    filled.run("DROP TABLE marts.bookings", "DROP TABLE marts.mrr_by_month", "DROP SCHEMA seeds CASCADE")
    page = Page(filled.build()[0])

    assert "not on this page: bookings, mrr_by_month. dbt build makes all marts." in page.text
    assert "Bookings" in page.words  # the departures are still there
    assert "Revenue" in page.words


@pytest.mark.parametrize(
    "mart", ["revenue_by_day", "loyalty_by_day", "work_orders", "bookings", "departures", "customers"]
)
def test_one_vendor_alone_makes_a_page(filled: Warehouse, mart: str) -> None:
    others = {"revenue_by_day", "mrr_by_month", "bookings", "departures", "booking_pace", "loyalty_by_day"}
    others |= {"loyalty_members", "loyalty_cohorts", "work_orders", "customers", "customer_matching"}
    others |= {"subscription_cohorts", "failed_payments", "departure_revenue", "revenue_converted"}
    filled.run(*(f"DELETE FROM marts.{other}" for other in others - {mart}))
    page = Page(filled.build()[0])

    sections = [attributes["aria-labelledby"] for attributes in page.all("section")]
    assert len(sections) == 3, sections
    assert (sections[0], sections[-1]) == ("pipelines", "quiet")


ODD: list[tuple[str, str, list[dict[str, Any]]]] = [
    ("one", "revenue_by_day", [{"date_day": day(1), "currency": "EUR", "payments": 1, "net": 5}]),
    ("zero", "revenue_by_day", [{"date_day": day(1), "currency": "EUR", "payments": 1}]),
    ("negative", "revenue_by_day", [{"date_day": day(ago), "currency": "EUR", "net": -5 * ago} for ago in range(1, 9)]),
    ("huge", "revenue_by_day", [{"date_day": day(1), "currency": "EUR", "payments": 1, "net": 10**30}]),
    (
        "dwarfed",
        "revenue_by_day",
        [{"date_day": day(ago), "currency": "EUR", "net": 10**15 if ago == 3 else 9} for ago in range(1, 9)],
    ),
    ("one month", "mrr_by_month", [{"date_month": day(31), "currency": "KWD", "closing_mrr": "0.001"}]),
    ("one cohort", "subscription_cohorts", [{"cohort_month": day(31), "currency": "EUR", "customers": 1}]),
    ("one day", "loyalty_by_day", [{"date_day": day(1), "balance": -3, "expired": 3}]),
    ("no capacity", "departures", [{"departure_date": day(-1), "product_name": None, "capacity": 0}]),
    ("overbooked", "departures", [{"departure_date": day(-1), "capacity": 2, "seats_sold": 3, "vacancies": -1}]),
    ("one reading", "booking_pace", [{"days_before": 3, "capacity": 5, "seats_sold": 1}]),
    ("no amount", "work_orders", [{"work_order_id": 1, "is_open": True, "created_date": None, "age_bucket": "90+"}]),
    ("owed back", "work_orders", [{"work_order_id": 1, "is_open": True, "customer_id": 7, "amount": -50}]),
    ("one customer", "customers", [{"customer_key": "a", "vendors": 1, "first_seen_at": None}]),
]


@pytest.mark.parametrize(("mart", "rows"), [pytest.param(*odd, id=name) for name, *odd in ODD])
def test_odd_figures_are_drawn_and_said(warehouse: Warehouse, mart: str, rows: list[dict[str, Any]]) -> None:
    warehouse.add(mart, rows)
    text, _ = warehouse.build()

    assert not NOTHING_DRAWN.search(text.split("</style>")[1])


def test_a_few_huge_amounts_are_cut_off_and_told(warehouse: Warehouse) -> None:
    name, mart, rows = ODD[4]
    assert name == "dwarfed"
    warehouse.add(mart, rows)
    page = Page(warehouse.build()[0])

    assert "One day of 56 goes beyond the scale: notched, the largest at EUR 1.00 quadrillion." in page.text
    assert "1,000,000,000,000,000.00" in page.text


def test_every_amount_has_the_decimals_of_its_currency(warehouse: Warehouse) -> None:
    warehouse.add(
        "revenue_by_day",
        [
            {"date_day": day(1), "currency": currency, "payments": 1, "net": "1234.5"}
            for currency in ("EUR", "JPY", "KWD", "unknown")
        ],
    )
    page = Page(warehouse.build()[0])

    for shown in ("EUR 1,234.50,", "JPY 1,235,", "KWD 1,234.500,", "1,234.50 in an unknown currency,"):
        assert shown in page.text


@pytest.mark.parametrize("name", ["other", "all others", "all\N{NO-BREAK SPACE}others"])
def test_a_way_to_pay_is_not_taken_for_the_rest_whatever_it_is_called(warehouse: Warehouse, name: str) -> None:
    ways = {"card": 50, name: 40, "paypal": 30, "sepa": 20, "cash": 10, "klarna": 5, "ideal": 3, "giro": 0}
    warehouse.add(
        "revenue_by_day",
        [{"date_day": day(4), "payment_method": way, "payments": many, "vendor": "peek"} for way, many in ways.items()],
    )
    page = Page(warehouse.build()[0])

    shown = " ".join(name.split())
    columns = ["card", shown, "paypal", "sepa", "cash", "all others"]
    start = page.words.index("Week from")
    assert page.words[start + 1 : start + 14] == [*columns, "25 January 2026", "50", "40", "30", "20", "10", "8"]
    (told,) = [svg["aria-label"] for svg in page.all("svg") if svg["aria-label"].startswith("Stacked bars for each w")]
    assert " ".join(told.split()) == (
        f"Stacked bars for each week; card 50, {shown} 40, paypal 30, sepa 20, cash 10 and all others 8."
    )
    assert sum(word in columns for word in page.words) == 2 * len(columns)  # the legend and the table


def test_no_type_of_orders_is_left_out(warehouse: Warehouse) -> None:
    kinds = {"repair": 5, "tune_up": 4, "visit": 3, "survey": 2, "training": 1, "audit": 1, "recall": 1}
    types = [kind for kind, many in kinds.items() for _ in range(many)]
    orders = [{"work_order_id": place, "created_date": day(4), "type": kind} for place, kind in enumerate(types)]
    warehouse.add("work_orders", orders)
    page = Page(warehouse.build()[0])
    start = page.words.index("Week from")
    shown = ["Repair", "Tune up", "Visit", "Survey", "Audit", "all others"]
    assert page.words[start + 1 : start + 14] == [*shown, "25 January 2026", "5", "4", "3", "2", "1", "2"]
    (told,) = [svg["aria-label"] for svg in page.all("svg") if svg["aria-label"].startswith("Stacked bars for each w")]
    assert "and 2 all others in all" in " ".join(told.split())


def test_text_from_the_data_stays_text(warehouse: Warehouse) -> None:
    fill(warehouse, SCRIPT)
    warehouse.add("pipeline_streams", [{"account": SCRIPT, "stream": SCRIPT, "is_late": True, "last_rejected": 1}])
    text, _ = warehouse.build("--names")
    page = Page(text)

    assert not page.all("script")
    assert len(page.all("style")) == 1
    assert "<script>alert" in page.text  # as text


def test_nobody_can_be_recognised(warehouse: Warehouse) -> None:
    fill(warehouse, "Ms Example")
    text = Page(warehouse.build()[0]).text

    assert "@" not in text
    assert "+1555" not in text
    assert "Ms Example 1" not in text  # a customer; products are called so too
    assert "Customer 1" in text
    assert "No names, addresses or telephone numbers" in text
    assert "Ms Example 1" in Page(warehouse.build("--names")[0]).text


def test_names_and_meanings_come_from_the_declared_metrics(filled: Warehouse) -> None:
    manifest = filled.path.with_name("semantic.json")
    manifest.write_text('{"metrics": [{"name": "net", "label": "Takings", "description": "What is left."}]}')
    page = Page(filled.build(f"--metrics={manifest}")[0])

    assert "Takings" in page.words
    assert "What is left." in page.words


def test_the_metrics_of_figures_are_declared() -> None:
    declared = set(
        re.findall(r"- \{name: (\w+), label:", (ROOT / "transform/models/semantic/semantic_models.yml").read_text())
    )
    sections = sorted((ROOT / "merchant_report/sections").glob("*.py"))
    used = {name for file in sections for name in re.findall(r'metric="(\w+)"', file.read_text(encoding="utf-8"))}
    assert len(used) > 5
    assert used <= declared


def test_an_old_build_of_the_marts_is_told(whole: str) -> None:
    assert "The marts were built" in Page(whole).text


ZONES = [
    pytest.param("America/Los_Angeles", "2026-02-04T00:00:00", "3 February 2026", 2, "2026-02-03T08:00:00", id="west"),
    pytest.param("Asia/Tokyo", "2026-02-03T16:00:00", "4 February 2026", 3, "2026-02-03T15:00:00", id="east"),
    pytest.param("Pacific/Apia", "2026-02-03", "3 February 2026", 2, "2026-02-02T11:00:00", id="far east"),
    pytest.param("UTC", "2026-02-03T23:59:59", "3 February 2026", 2, "2026-02-03T00:00:00", id="neither"),
    pytest.param(None, "2026-02-04T00:00:00", "4 February 2026", 3, "2026-02-04T00:00:00", id="told by no mart"),
]
"""The zone, the moment of the report, the day there, the last one that was over, and the moment at which it was."""


@pytest.mark.parametrize(("zone", "as_of", "today", "last", "over"), ZONES)
def test_the_past_week_is_over_where_the_days_of_the_marts_are(
    warehouse: Warehouse, zone: str | None, as_of: str, today: str, last: int, over: str
) -> None:
    if zone:
        warehouse.add("build_settings", [{"time_zone": zone}])
    else:
        warehouse.run("DROP TABLE marts.build_settings")
    end = datetime.fromisoformat(over)
    week = [end - timedelta(days=7), end - timedelta(seconds=1)]
    for when in (*week, end, week[0] - timedelta(seconds=1)):
        name = str(when)
        warehouse.add("bookings", [{"booking_uuid": name, "is_cancelled": True, "cancelled_at": when}])
        warehouse.add("customers", [{"customer_key": name, "vendors": 1, "first_seen_at": when}])
        warehouse.add("failed_payments", [{"invoice_id": name, "outcome": "recovered", "recovered_at": when}])
        warehouse.add("work_orders", [{"work_order_id": 1, "created_date": None, "approved_at": when}])
    page = Page(warehouse.build(f"--as-of={as_of}")[0])

    assert today in page.words
    begins = {2: "27 January", 3: "28 January"}[last]
    told = f"The past week is {begins} \N{EN DASH} {last} February; it is compared with the seven days before."
    assert told in page.words
    assert "Two bookings were cancelled, after one the week before." in page.words
    assert "Two customers were seen for the first time, after one the week before." in page.words
    assert "Two payments that had failed came in after all." in page.words
    assert "Two orders were approved, after one the week before." in page.words
    assert "build_settings" not in page.text


def test_a_time_zone_that_is_not_known_here_is_one_line(warehouse: Warehouse) -> None:
    warehouse.add("build_settings", [{"time_zone": "Mars/Olympus'"}])
    told = r"the marts were built with the time_zone Mars/Olympus', which is not known here \(.*\)$"
    with pytest.raises(ReportError, match=told), open_marts(warehouse.path):
        pass


def test_late_missed_and_rejected_streams_are_named(filled: Warehouse) -> None:
    filled.run(
        "UPDATE marts.pipeline_streams SET is_late = true, hours_since_last = 75 WHERE stream = 'invoices'",
        "UPDATE marts.pipeline_streams SET last_rejected = 2 WHERE stream = 'customers'",
    )
    newer = {"load_id": "peek-9", "pipeline": "peek", "account": "peek", "stream": "products", "load_date": day(0)}
    filled.add("pipeline_loads", [{**newer, "started_at": NOW + timedelta(hours=1)}])
    text, said = filled.build()

    assert said.startswith("One stream of 4 is late; peakium.invoices was last loaded three days ago.\n")
    page = Page(text)
    assert "One stream of 4 was not loaded by the last run of its pipeline: peek.bookings." in page.text
    assert "Two rows were rejected in the last loads, of pegke.customers." in page.text


def test_a_stream_that_failed_in_the_last_run_is_left_out_of_it(filled: Warehouse) -> None:
    last = {"load_id": "peek-9", "pipeline": "peek", "account": "peek", "load_date": day(0)}
    last |= {"started_at": NOW + timedelta(hours=1)}
    streams = {"products": False, "bookings": True}
    filled.add("pipeline_loads", [{**last, "stream": name, "failed": failed} for name, failed in streams.items()])
    text, said = filled.build()

    told = "One stream of 4 was not loaded by the last run of its pipeline: peek.bookings."
    assert said.startswith(told)
    assert told in Page(text).text


def test_a_stream_that_has_only_failed_is_late(filled: Warehouse) -> None:
    filled.run(
        "UPDATE marts.pipeline_streams SET is_late = true, hours_since_last = NULL, last_loaded_at = NULL"
        " WHERE account = 'pegke'",
        "UPDATE marts.pipeline_loads SET failed = true WHERE account = 'pegke'",
    )
    text, said = filled.build()

    assert said.startswith("One stream of 4 is late; pegke.customers has never been loaded whole.\n")
    assert "never" in Page(text).words


def test_what_the_calls_of_the_last_loads_cost_is_told(filled: Warehouse, whole: str) -> None:
    filled.run(
        "UPDATE marts.pipeline_streams SET last_requests = NULL, last_retries = NULL, last_waited_seconds = NULL"
    )

    told = "The last loads made 4,000 requests, four of them again after a failure; calls waited three minutes in all."
    assert told in Page(whole).words
    assert "requests" not in Page(filled.build()[0]).text


def test_customers_that_cannot_be_matched_are_told(warehouse: Warehouse) -> None:
    told = {"vendor": "peek", "records": 9, "can_match": False, "note": "No record has an e-mail address."}
    warehouse.add("customer_matching", [told])
    page = Page(warehouse.build()[0])

    assert "Customers: Peek: No record has an e-mail address." in page.words


def test_accounts_stand_side_by_side_where_there_are_several(filled: Warehouse, whole: str) -> None:
    marts = ("revenue_by_day", "mrr_by_month", "bookings", "loyalty_by_day", "work_orders")
    filled.run(
        "UPDATE marts.mrr_by_month SET date_month = '2026-02-01' WHERE date_month = '2025-12-01'",
        *(f"INSERT INTO marts.{mart} SELECT * REPLACE ('eu' AS account) FROM marts.{mart}" for mart in marts),
        "UPDATE marts.loyalty_by_day SET balance = 1 WHERE account = 'eu'",
    )
    page = Page(filled.build()[0])

    assert "Accounts" not in Page(whole).words
    assert "Accounts" in page.words
    assert [word for word in dict.fromkeys(page.words) if word.endswith("by account")] == [
        "What the last loads did, by account",
        "Money from 25\N{EN DASH}31 January, by account",
        "Recurring revenue of this month, by account",
        "Bookings from 25\N{EN DASH}31 January, by account",
        "Loyalty from 25\N{EN DASH}31 January, by account",
        "Field work, by account",
    ]
    assert "Customer 1 (eu)" in page.words
    assert (
        "Monthly recurring revenue stands at EUR 120.00: in February 2026, new customers added EUR 10.00." in page.words
    )
    assert "Members made 42 visits, as many as the week before." in page.words


def test_sentences_tell_one_from_many_and_say_nothing_of_nothing(warehouse: Warehouse) -> None:
    booked = [("a", day(1), 1), ("b", day(9), 2), ("c", day(9), 2)]
    warehouse.add(
        "bookings",
        [
            {"booking_uuid": name, "is_confirmed": True, "confirmed_date": when, "seats": seats}
            for name, when, seats in booked
        ],
    )
    page = Page(warehouse.build()[0])

    assert "One booking for one seat came in, after two the week before." in page.words
    assert "Half of them" not in page.text
    assert "None were cancelled" not in page.text


def test_letters_stand_out_from_their_ground_in_light_and_dark() -> None:
    light, dark = (
        dict(re.findall(r"--(\w+): (#\w{6})", block)) for block in re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)[:2]
    )
    for colours in (light, dark):
        for letters in ("ink", "soft", "accent", "good", "bad"):
            for ground in ("paper", "card"):
                assert contrast(colours[letters], colours[ground]) >= 4.5, (letters, ground)
        for part in ("accent", "second", "third", "fourth", "fifth", "sixth"):
            assert contrast(colours[part], colours["card"]) >= 3, part


def contrast(one: str, other: str) -> float:
    """The ratio that WCAG asks 4.5 of for letters, and 3 for parts of a picture."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
