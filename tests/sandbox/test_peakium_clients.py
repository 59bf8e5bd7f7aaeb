"""The sandbox is spoken to as the vendor's clients and the samples of its pages do it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

import pytest

if TYPE_CHECKING:
    import urllib3

    from tests.sandbox.conftest import Peakium

Row = dict[str, Any]


def send(peakium: Peakium, method: str, path: str, body: str | None = None) -> urllib3.BaseHTTPResponse:
    """A request as both clients make it: a bearer token, a form, and the path as it stands."""
    config = peakium.world.config("peakium")
    headers = {"Authorization": f"Bearer {config['api_key']}", "Content-Type": "application/x-www-form-urlencoded"}
    return peakium.pool.request(method, config["api_url"] + path, body=body, headers=headers, retries=False, timeout=5)


def read(peakium: Peakium, path: str) -> Any:
    answer = send(peakium, "GET", path)
    assert answer.status == 200, (path, answer.data)
    return answer.json()


@pytest.mark.parametrize(("mark", "end"), [("[]", ""), ("[0]", "?")], ids=["ruby", "php"])
@pytest.mark.parametrize("stream", ["customers", "subscriptions", "invoices", "events", "event_webhooks", "webhooks"])
def test_a_client_reads_a_list_to_its_end(peakium: Peakium, stream: str, mark: str, end: str) -> None:
    """The PHP client appends a question mark to what it gets, so that its last number ends in one."""
    rows: list[Row] = []
    query = f"{quote(f'expand{mark}')}=customer&count=100&offset="
    while page := read(peakium, f"/{stream}?{query}{len(rows)}{end}")["data"]:
        rows += page
    assert rows == peakium.rows(f"/{stream}", **{"expand[]": "customer"})
    assert len(read(peakium, f"/{stream}{end}")["data"]) == min(10, len(rows))


def test_ids_are_read_as_both_clients_encode_them(peakium: Peakium) -> None:
    hard = [row for row in peakium.rows("/customers") if quote_plus(row["id"]) != row["id"]]
    assert any(" " in row["id"] for row in hard)
    assert any("+" in row["id"] for row in hard)
    for row in hard:
        assert read(peakium, "/customers/" + quote_plus(row["id"])) == row
        assert read(peakium, "/customers/" + quote(row["id"], safe="")) == row
        assert send(peakium, "GET", f"/customers/{quote_plus(row['id'])}/subscriptions").status == 200


def test_an_endpoint_is_read_by_its_url(peakium: Peakium) -> None:
    hooks = peakium.rows("/webhooks")
    assert hooks
    for row in hooks:
        assert read(peakium, "/webhooks/" + quote_plus(row["url"])) == row
    assert send(peakium, "GET", "/webhooks/" + quote_plus("https://example.net/none")).status == 404


def test_the_first_pages_sample_of_expansion_is_a_read(peakium: Peakium) -> None:
    """``curl -d`` without ``-G``: a POST with a form."""
    row = next(row for row in peakium.rows("/subscriptions", **{"expand[]": "customer"}) if row["token"] != "primary")
    answer = send(peakium, "POST", f"/subscription/{row['token']}", "expand[]=customer")
    assert (answer.status, answer.json()) == (200, row)
    assert peakium.world.stats("peakium")["writes"] == []


def test_the_references_slips_of_the_pen_are_paths_too(peakium: Peakium) -> None:
    sessions = read(peakium, "/payment_sessions?count=2")
    assert read(peakium, "/payment_session/?count=2") == sessions
    assert read(peakium, f"/payment_session/{sessions['data'][0]['id']}/") == sessions["data"][0]
    for form in ("create-subscription", "update-subscription", "pay-invoice"):
        assert "html" in send(peakium, "POST", f"/submission_form/{form}/", "customer=m-1").json()
    assert len(peakium.world.stats("peakium")["writes"]) == 3


@pytest.mark.parametrize("form", ["id", "stub", "full"])
def test_one_switch_makes_embedded_objects_uniform(peakium: Peakium, form: str) -> None:
    def look(value: Any) -> str:
        return "id" if isinstance(value, str) else "stub" if value.keys() == {"id", "object"} else "full"

    peakium.world.switch("peakium", embedded=form)
    invoices, sessions = peakium.rows("/invoices"), peakium.rows("/payment_sessions")
    lines = [line for row in invoices for line in row["items"]]
    references = [row[name] for row in (*invoices, *sessions) for name in ("customer", "gateway") if row.get(name)]
    references += [line[name] for line in lines for name in ("reference", "subscription") if line.get(name)]
    references += [row["event"] for row in peakium.rows("/event_webhooks")]
    assert {look(value) for value in references} == {form}
    assert all(isinstance(row["data"]["object"], dict) for row in peakium.rows("/events"))
    assert json.dumps(invoices).count('"count"') == json.dumps(invoices).count('"refunds": {"object"')


@pytest.mark.parametrize("text", ["2?", " 2", "+2", "2abc"])
def test_numbers_are_read_as_php_reads_them(peakium: Peakium, text: str) -> None:
    assert len(peakium.get("/events", count=text).json()["data"]) == 2
