"""Field work orders by their date of change, where they have one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tap_core.testing import selected
from tap_peerassist.tap import TapPeerAssist

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.peerassist.conftest import Reader


def newest(source: Reader, column: str = "lastUpdated") -> str:
    latest: str = max(row[column] for row in source.truth("fwos").values() if column in row)
    return latest


@pytest.mark.parametrize("dates", ["iso", "iso_offset", "epoch_ms"])
def test_the_first_page_tells_that_there_is_a_date_of_change(reader: Callable[..., Reader], dates: str) -> None:
    source = reader(dates=dates)
    run = source.read(page_size=50)
    assert run.of("SCHEMA", "fwos")[0]["bookmark_properties"] == ["lastUpdated"]
    assert run.state["bookmarks"]["fwos"]["replication_key_value"] == newest(source)
    assert "fwos" not in {message["stream"] for message in run.of("ACTIVATE_VERSION")}
    assert [call["query"] for call in source.calls("/fwo")].count("size=50&sort=id%2Casc") == 1


def test_without_a_date_of_change_everything_is_a_snapshot(reader: Callable[..., Reader]) -> None:
    source = reader(dates="absent")
    run = source.read()
    assert "bookmark_properties" not in run.of("SCHEMA", "fwos")[0]
    assert "fwos" in {message["stream"] for message in run.of("ACTIVATE_VERSION")}
    assert "fwos" not in run.state.get("bookmarks", {})
    assert "no date of change" in run.log


def test_a_date_of_change_under_another_name_is_found(reader: Callable[..., Reader]) -> None:
    source = reader(dates="absent")
    stamp = "2026-01-05T10:00:00.5-05:00"
    source.world.fault("peerassist", "/fwo", "patch", times=None, set={"content.*.modifiedAt": stamp})
    run = source.read()
    assert run.code == 0, run.log
    assert "modifiedAt" in run.schema("fwos")["properties"]
    assert {row["modifiedAt"] for row in run.records("fwos")} == {"2026-01-05T15:00:00.500000Z"}
    assert not any("_extra" in row for row in run.records("fwos"))
    assert run.state["bookmarks"]["fwos"] == {
        "replication_key": "modifiedAt",
        "replication_key_value": "2026-01-05T15:00:00.500000Z",
        "_scopes_read": [{}],
    }
    again = source.read(state=run.state)
    assert again.rows("fwos") == run.rows("fwos")
    assert again.state == run.state
    assert "read from the start" not in again.log


def test_a_column_of_flags_is_no_date_of_change(reader: Callable[..., Reader]) -> None:
    source = reader(dates="absent")
    source.world.fault("peerassist", "/fwo", "patch", times=None, set={"content.*.modified": 1})
    run = source.read()
    assert "no date of change" in run.log
    assert "fwos" in {message["stream"] for message in run.of("ACTIVATE_VERSION")}


def test_the_date_of_change_can_be_set(reader: Callable[..., Reader]) -> None:
    source = reader()
    run = source.read(fwo_replication_key="created")
    assert run.of("SCHEMA", "fwos")[0]["bookmark_properties"] == ["created"]
    assert run.state["bookmarks"]["fwos"]["replication_key_value"] == newest(source, "created")
    source.assert_exact(run)


def test_a_set_date_of_change_may_be_a_field_that_no_schema_knows(reader: Callable[..., Reader]) -> None:
    source = reader()
    source.world.fault("peerassist", "/fwo", "patch", times=None, set={"content.*.touched": "2026-01-05T10:00:00Z"})
    run = source.read(fwo_replication_key="touched")
    assert {row["touched"] for row in run.records("fwos")} == {"2026-01-05T10:00:00.000000Z"}
    assert run.state["bookmarks"]["fwos"]["replication_key_value"] == "2026-01-05T10:00:00.000000Z"


def test_s7_a_set_date_of_change_that_no_record_has_is_said(reader: Callable[..., Reader]) -> None:
    source = reader()
    run = source.read(fwo_replication_key="lastTouched")
    assert run.code == 0
    assert "no record on the first page has 'lastTouched'; check fwo_replication_key" in run.log
    source.assert_exact(run)


def test_every_record_comes_again_unless_the_client_filters(reader: Callable[..., Reader]) -> None:
    source = reader()
    first = source.read(enable_streams=[])
    source.world.tick(2)
    again = source.read(enable_streams=[], state=first.state)
    source.assert_exact(again, "fwos")
    filtered = source.read(enable_streams=[], state=first.state, client_filter=True)
    bookmark = first.state["bookmarks"]["fwos"]["replication_key_value"]
    expected = {key: row for key, row in source.truth("fwos").items() if row.get("lastUpdated", bookmark) >= bookmark}
    assert filtered.rows("fwos") == expected
    assert any("lastUpdated" not in row for row in expected.values()), "S7: records without a date always come"
    assert len(expected) < len(again.rows("fwos"))
    assert {**first.rows("fwos"), **filtered.rows("fwos")}.items() >= source.truth("fwos").items()


def test_s13_a_late_change_inside_the_lookback_is_found(reader: Callable[..., Reader]) -> None:
    source = reader()
    first = source.read(enable_streams=[])
    narrow = source.read(enable_streams=[], state=first.state, client_filter=True)
    wide = source.read(enable_streams=[], state=first.state, client_filter=True, lookback_days=30)
    assert len(wide.rows("fwos")) > len(narrow.rows("fwos"))


def test_s9_a_date_in_the_future_does_not_carry_the_bookmark_away(reader: Callable[..., Reader]) -> None:
    source = reader()
    future: dict[str, Any] = {"content.0.lastUpdated": "2031-01-01T00:00:00Z"}
    source.world.fault("peerassist", "/fwo", "patch", times=1, set=future)
    run = source.read(page_size=500)
    assert run.state["bookmarks"]["fwos"]["replication_key_value"] < "2026-03-02"


def test_a_catalog_can_ask_for_the_whole_table(reader: Callable[..., Reader]) -> None:
    source = reader()
    catalog = TapPeerAssist(config=source.account.config).catalog_dict
    entry = next(entry for entry in catalog["streams"] if entry["stream"] == "fwos")
    entry["replication_method"] = "FULL_TABLE"
    run = source.read(catalog=selected(catalog, ["fwos"]), enable_streams=[])
    source.assert_exact(run, "fwos")
    assert "fwos" in {message["stream"] for message in run.of("ACTIVATE_VERSION")}
    assert "fwos" not in run.state.get("bookmarks", {})
