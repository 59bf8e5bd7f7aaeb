"""Settings that make no sense are refused in one line that names them."""

from __future__ import annotations

import time
from typing import Any

import click
import pytest

from tap_core.errors import ConfigError
from tap_core.http.gate import NoMeter
from tap_peek.tap import TapPeek

URL = "http://127.0.0.1:9/integrations/octo"


@pytest.mark.parametrize(
    ("config", "named"),
    [
        pytest.param({}, "'api_key' or 'connections'", id="C1-no-key"),
        pytest.param({"api_key": "k", "connections": [{"name": "a", "api_key": "k"}]}, "either", id="C1-both"),
        pytest.param({"connections": []}, "'connections'", id="C1-no-connection"),
        pytest.param({"connections": [{"name": "a"}]}, "api_key", id="C1-connection-without-key"),
        pytest.param(
            {"connections": [{"name": "a", "api_key": "k1"}, {"name": "a", "api_key": "k2"}]}, "twice", id="C1-twice"
        ),
        pytest.param({"connections": [{"name": "", "api_key": "k"}]}, "connections.0.name", id="C1-empty-name"),
        pytest.param({"connections": [{"name": "a", "api_key": "k\n"}]}, "'connections'", id="C4-nested"),
        pytest.param({"connections": [{"name": "a", "api_key": ""}]}, "connections.0.api_key", id="C1-empty-key"),
        pytest.param({"api_key": "k k"}, "'api_key'", id="C4-blank"),
        pytest.param({"api_key": "k", "capabilities_in": "body"}, "capabilities_in", id="C1-enum"),
        pytest.param({"api_key": "k", "bookings_window_days": 0}, "bookings_window_days", id="C1-window"),
        pytest.param({"api_key": "k", "availability_days_back": -1}, "availability_days_back", id="C1-days"),
        pytest.param({"api_key": "k", "bookings_days_back": 10**9}, "bookings_days_back", id="C1-too-many-days"),
        pytest.param({"api_key": "k", "calendar_window_days": 10**9}, "calendar_window_days", id="C1-too-long-window"),
        pytest.param(
            {"connections": [{"name": "a", "api_key": "k1"}, {"name": "b", "api_key": "k1"}]},
            "'a' and 'b' have the same key",
            id="C1-key-twice",
        ),
        pytest.param({"api_key": "k", "endpoints": {"book": "/b"}}, "endpoints", id="C1-endpoint"),
        pytest.param({"api_key": "k", "endpoints": {"products": "prod"}}, "endpoints.products", id="C1-path"),
        pytest.param({"api_key": "k", "endpoints": {"webhooks": ""}}, "endpoints.webhooks", id="C1-no-path"),
        pytest.param({"api_key": "k", "endpoints": {"bookings": "/b/{id}"}}, "endpoints.bookings", id="C1-placeholder"),
        pytest.param({"api_key": "k", "parameters": {"travel_to": " "}}, "parameters.travel_to", id="C1-no-name"),
        pytest.param({"api_key": "k", "reseller_references": ["x", ""]}, "'reseller_references'", id="C1-reference"),
        pytest.param({"api_key": "k", "supplier_references": [" "]}, "'supplier_references'", id="C1-blank-reference"),
        pytest.param({"api_key": "k", "booking_uuids": [""]}, "'booking_uuids'", id="C1-uuid"),
        pytest.param({"api_key": "k", "exclude_products": [" "]}, "'exclude_products'", id="C1-product"),
        pytest.param({"api_key": "k", "availability_currency": "euro"}, "'availability_currency'", id="C1-currency"),
        pytest.param({"api_key": "k", "availability_currency": ""}, "'availability_currency'", id="C1-no-currency"),
        pytest.param({"api_key": "k", "parameters": {"from": "x"}}, "parameters", id="C1-parameter"),
        pytest.param({"api_key": "k", "api_keys": "x"}, "'api_keys'", id="C1-misspelt"),
    ],
)
def test_c1_settings_are_checked(config: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError) as raised:
        TapPeek(config={"api_url": URL, **config})
    assert named in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_null_in_a_table_is_the_default() -> None:
    tap = TapPeek(
        config={"api_url": URL, "api_key": "k", "endpoints": {"products": None}, "parameters": {"travel_to": None}}
    )
    assert tap.settings.endpoints["products"] == "/products"
    assert tap.settings.parameters["travel_to"] == "localDateEnd"


def test_connections_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAP_PEEK_CONNECTIONS", '[{"name": "north", "api_key": "k1"}]')
    context = click.Context(TapPeek.get_singer_command())
    found = TapPeek.cb_config(context, None, ("ENV",)).config  # type: ignore[arg-type]
    assert found["connections"] == [{"name": "north", "api_key": "k1"}]
    assert list(TapPeek(config={**found, "api_url": URL}).session.clients) == ["north"]


def test_a_pace_is_for_all_connections_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MERCHANT_CLOCK", f"1772323200,{time.time()},1e6")
    connections = [{"name": name, "api_key": f"key-{name}"} for name in ("north", "south", "west")]
    tap = TapPeek(config={"api_url": URL, "connections": connections, "requests_per_second": 0.0001})
    started = tap.session.clock.monotonic()
    for client in tap.session.clients.values():
        tap.session.wait_for(client._gate.enter(NoMeter()))
    assert tap.session.clock.monotonic() - started >= 20_000
