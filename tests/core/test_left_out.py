"""One record that cannot be emitted, and lists that settings narrow: neither costs anything beyond itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from typing_extensions import override

from tap_core.testing import selected
from tests.core.example import Events, Orders, Outcome, Parts, Places, TapExample, run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tap_core.streams.base import CoreStream
    from tests.core.conftest import Lists

AT = "2026-01-0{}T00:00:00Z"


def read(lists: Lists, *streams: str, tap: type[TapExample] = TapExample, **options: Any) -> Outcome:
    config = {**lists.config, **options.pop("config", {})}
    return run(tap, config, catalog=selected(tap(config=config).catalog_dict, list(streams)), **options)


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]


def test_a_record_without_a_key_is_named_at_once_and_again_at_the_end(
    lists: Lists, caplog: pytest.LogCaptureFixture
) -> None:
    lists.rows["/places"] = [{"id": "a"}, {"id": None}, "text", {"id": "b"}]
    outcome = read(lists, "places")
    assert [record["id"] for record in outcome.records("places")] == ["a", "b"]
    assert outcome.of("ACTIVATE_VERSION") == [], "the rows that were left out are not gone"
    assert told(caplog) == [
        "places: a record (page 1) is left out, the rest is read: a record has no value for its key property 'id'",
        "places: everything was read except a record (page 1)",
    ]
    assert outcome.error is not None
    assert outcome.error.exit_code == 4
    assert outcome.tap.session.progress.meter("places").notes == {"left out": 2}


def test_a_bookmark_does_not_pass_a_record_that_was_left_out(lists: Lists) -> None:
    lists.rows["/events"] = [{"id": "a", "at": AT.format(1)}, {"at": AT.format(2)}, {"id": "c", "at": AT.format(3)}]
    first = read(lists, "events")
    assert [record["id"] for record in first.records("events")] == ["a", "c"]
    assert "replication_key_value" not in first.state.get("events", {})
    lists.rows["/events"] = [{"id": "a", "at": AT.format(1)}, {"id": "b", "at": AT.format(2)}]
    second = read(lists, "events", state={"bookmarks": first.state})
    assert second.error is None
    assert [record["id"] for record in second.records("events")] == ["a", "b"]


def test_rows_inside_a_record_that_is_left_out_are_not_gone_either(lists: Lists) -> None:
    lists.rows["/orders"] = [
        {"id": "a", "at": AT.format(1), "parts": [{"sku": "x"}]},
        {"at": AT.format(2), "parts": [{"sku": "y"}]},
        {"id": "c", "at": AT.format(3), "parts": [{"sku": "z"}]},
    ]
    for streams in (["parts"], ["orders", "parts"]):
        outcome = read(lists, *streams)
        assert [record["sku"] for record in outcome.records("parts")] == ["x", "z"]
        assert outcome.of("ACTIVATE_VERSION", "parts") == []
        assert str(outcome.error) == "orders: everything was read except a record (page 1)"


class _Narrow:
    """A stream that a setting narrows."""

    config: Mapping[str, Any]

    def narrowed_to(self) -> Any:
        return self.config.get("weights") or None


class NarrowOrders(_Narrow, Orders):
    pass


class NarrowParts(Parts):
    embedded_in = NarrowOrders


class NarrowEvents(_Narrow, Events):
    pass


class NarrowPlaces(_Narrow, Places):
    pass


class TapNarrow(TapExample):
    stream_types: ClassVar[Sequence[type[CoreStream]]] = (NarrowOrders, NarrowParts, NarrowEvents, NarrowPlaces)

    @override
    def check_settings(self) -> None:
        """Everything goes."""


def test_what_a_setting_leaves_out_is_not_gone(lists: Lists) -> None:
    lists.rows["/places"] = [{"id": "a"}]
    lists.rows["/orders"] = [{"id": "a", "at": AT.format(1), "parts": [{"sku": "x"}]}]
    for streams in (["places"], ["parts"]):
        assert read(lists, *streams, tap=TapNarrow).of("ACTIVATE_VERSION")
        narrowed = read(lists, *streams, tap=TapNarrow, config={"weights": {"a": 1}})
        assert narrowed.error is None
        assert narrowed.records(streams[0])
        assert narrowed.of("ACTIVATE_VERSION") == []


def test_a_bookmark_holds_only_for_what_was_read_with_it(lists: Lists) -> None:
    def ids(weights: dict[str, int], state: dict[str, Any]) -> tuple[list[str], dict[str, Any]]:
        outcome = read(lists, "events", tap=TapNarrow, config={"weights": weights}, state={"bookmarks": state})
        assert outcome.error is None
        assert not any(text in json.dumps(outcome.state) for text in ("cu4321", "cu4322")), "it may be a person"
        return [record["id"] for record in outcome.records("events")], outcome.state

    lists.rows["/events"] = [{"id": str(day), "at": AT.format(day)} for day in range(1, 7)]
    found, state = ids({}, {})
    assert found == ["1", "2", "3", "4", "5", "6"]
    assert "_scope" not in state["events"]
    assert ids({}, state)[0] == ["6"]
    found, state = ids({"cu4321": 1}, state)
    assert found == ["1", "2", "3", "4", "5", "6"], "another scope"
    assert ids({"cu4321": 1}, state)[0] == ["6"], "the same one"
    assert ids({"cu4322": 1}, state)[0] == ["1", "2", "3", "4", "5", "6"]
    found, state = ids({}, state)
    assert found == ["1", "2", "3", "4", "5", "6"], "wide again"
    assert ids({}, state)[0] == ["6"]


@pytest.mark.parametrize("end_date", ["2026-01-03", "2026-01-01"], ids=["some", "none"])
def test_a_bookmark_on_something_else_is_not_kept_for_being_later(lists: Lists, end_date: str) -> None:
    """A run that ends before it has read nothing of what lies between the two."""
    lists.rows["/events"] = [{"id": str(day), "at": AT.format(day)} for day in range(1, 7)]
    found: set[str] = set()
    state = read(lists, "events", tap=TapNarrow, config={"weights": {"a": 1}}).state
    for config in ({"end_date": end_date}, {}):
        outcome = read(lists, "events", tap=TapNarrow, config={"weights": {}, **config}, state={"bookmarks": state})
        found |= {record["id"] for record in outcome.records("events")}
        state = outcome.state
    assert found == {"1", "2", "3", "4", "5", "6"}
