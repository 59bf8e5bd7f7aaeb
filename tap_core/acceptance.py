"""The acceptance suite that every tap passes.

A tap's tests subclass `Acceptance`, say which tap it is and give a world to read from:

    class TestAcceptance(Acceptance):
        tap = TapExample

        @pytest.fixture(scope="class")
        @classmethod
        def account(cls, sandbox: Sandbox) -> Account:
            world = sandbox.world()
            return Account(world.config("example"), world.env("example"))

Needs pytest and jsonschema; taps do not import this module.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any, ClassVar

import jsonschema
import pytest
from singer_sdk import GraphQLStream, RESTStream, Stream

from tap_core.streams.declared import WINDOW_KEY
from tap_core.streams.feed import FeedStream
from tap_core.streams.windowed import WindowedStream
from tap_core.testing import Account, Run, bookmark_values, run_tap, selected, without_read_times

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tap_core.streams.base import CoreStream
    from tap_core.tap import CoreTap

__all__ = ["Acceptance", "idle_overrides"]


class Acceptance:
    """What every tap must do. The runs read a small world completely; the tests of the class share them."""

    tap: ClassVar[type[CoreTap]]
    config: ClassVar[Mapping[str, Any]] = {}
    dates: ClassVar[tuple[str, str]] = ("2025-11-05", "2026-01-05")

    @pytest.fixture(scope="class")
    @classmethod
    def account(cls) -> Account:
        """A world to read from; a tap's tests override it, with the scope ``class``."""
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def first(cls, account: Account) -> Run:
        """A full run."""
        return run_tap(cls.tap, account, config=cls.config)

    @pytest.fixture(scope="class")
    @classmethod
    def second(cls, account: Account, first: Run) -> Run:
        """A run that continues from the first one's state."""
        return run_tap(cls.tap, account, config=cls.config, state=first.state)

    @pytest.fixture(scope="class")
    @classmethod
    def catalog(cls, account: Account) -> dict[str, Any]:
        """What the tap discovers."""
        found: dict[str, Any] = json.loads(run_tap(cls.tap, account, "--discover", config=cls.config).output)
        return found

    def test_it_runs_and_says_how_it_went(self, first: Run) -> None:
        assert first.code == 0, first.log
        assert first.streams
        for stream in first.streams:
            assert stream in first.log
            assert first.records(stream), f"{stream}: nothing to test with"

    def test_no_stream_overrides_what_the_engine_never_calls(self) -> None:
        for kind in self.tap.stream_types:
            assert not list(idle_overrides(kind)), "the engine never calls these hooks of the SDK"

    def test_c8_every_record_fits_its_schema(self, first: Run) -> None:
        for stream in first.streams:
            validator = jsonschema.Draft202012Validator(first.schema(stream))
            for record in first.records(stream):
                assert not list(validator.iter_errors(record)), (stream, record)

    def test_c6_keys_are_unique_and_never_null(self, first: Run) -> None:
        for stream in first.streams:
            keys = first.keys(stream)
            assert keys, f"{stream} has no key properties"
            counts = Counter(tuple(record[key] for key in keys) for record in first.records(stream))
            assert not [key for key, count in counts.items() if count > 1 or None in key], stream

    def test_schemas_are_such_that_targets_take_them(self, first: Run) -> None:
        for stream in first.streams:
            schema, keys = first.schema(stream), first.keys(stream)
            for name, member in schema["properties"].items():
                assert "null" in member["type"] or name in keys, f"{stream}.{name} must be nullable"
            words = {word for place in _places(schema) for word in place}
            assert not words & {"enum", "const", "pattern", "multipleOf"}, stream

    def test_times_are_utc_with_microseconds(self, first: Run) -> None:
        for stream in first.streams:
            for name, member in first.schema(stream)["properties"].items():
                if member.get("format") == "date-time":
                    for record in first.records(stream):
                        value = record.get(name)
                        assert value is None or (len(value) == 27 and value.endswith("Z")), (stream, name, value)  # noqa: PLR2004

    def test_the_final_state_has_a_bookmark_for_each_incremental_stream(
        self, first: Run, catalog: dict[str, Any]
    ) -> None:
        for entry in catalog["streams"]:
            stream = entry["stream"]
            if entry["replication_method"] == "INCREMENTAL" and first.records(stream):
                assert first.state["bookmarks"][stream]["replication_key_value"], stream

    def test_s3_a_state_comes_after_the_records_that_it_covers(self, first: Run) -> None:
        bookmarks: dict[str, Any] = {}
        newest: dict[str, str] = {}
        moved = 0
        for message in first.messages:
            if message["type"] == "STATE":
                bookmarks = message["value"].get("bookmarks", {})
                for stream, value in bookmark_values(bookmarks).items():
                    is_window = bookmarks[stream]["replication_key"] == WINDOW_KEY  # an empty one moves it, too
                    assert is_window or value <= newest[stream], (stream, value)
                    moved += 1
            elif message["type"] == "RECORD" and (key := first.replication_key(stream := message["stream"])):
                placed = message["record"].get(key)
                newest[stream] = max(newest.get(stream, ""), placed or "")
                assert placed is None or placed >= bookmark_values(bookmarks).get(stream, placed), message
        assert moved or not any(map(first.replication_key, first.streams))
        assert first.messages[-1]["type"] == "STATE" or not first.state.get("bookmarks")

    def test_s3_a_snapshot_is_activated_once_after_its_last_record(self, first: Run) -> None:
        assert first.of("ACTIVATE_VERSION")
        for activation in first.of("ACTIVATE_VERSION"):
            stream = activation["stream"]
            own = [message for message in first.messages if message.get("stream") == stream]
            assert [message["type"] for message in own].index("ACTIVATE_VERSION") == len(own) - 1, stream
            assert {message["version"] for message in own if message["type"] == "RECORD"} <= {activation["version"]}

    def test_s11_a_second_full_run_gives_the_same(self, account: Account, first: Run) -> None:
        again = run_tap(self.tap, account, config=self.config)
        for stream in first.streams:
            assert without_read_times(again.rows(stream)) == without_read_times(first.rows(stream)), stream

    def test_s12_a_run_without_news_keeps_the_bookmarks(self, first: Run, second: Run) -> None:
        assert second.code == 0, second.log
        before = bookmark_values(first.state.get("bookmarks", {}))
        assert before or not any(map(first.replication_key, first.streams))
        assert bookmark_values(second.state.get("bookmarks", {})) == before

    def test_c3_start_and_end_date_bound_the_streams_that_the_settings_name(self, account: Account, first: Run) -> None:
        start, end = (f"{moment}T00:00:00.000000Z" for moment in self.dates)
        dates = dict(zip(("start_date", "end_date"), self.dates, strict=True))
        run = run_tap(self.tap, account, config={**self.config, **dates})
        assert run.code == 0, run.log
        properties = self.tap.config_jsonschema["properties"]
        for kind in self.tap.stream_types:
            windowed = issubclass(kind, WindowedStream)
            bounded = windowed or ((kind.immutable or kind.moves) and not issubclass(kind, FeedStream))
            for name in dates:
                assert (f"`{kind.name}`" in properties[name]["description"]) == bounded, (name, kind.name)
            if kind.name not in first.streams:
                continue
            expected = first.rows(kind.name)
            if bounded:
                key = str(kind.replication_key)
                begun, last = ("_window_end", key) if windowed else (key, key)
                inside = {
                    identity: row
                    for identity, row in expected.items()
                    if key not in row or ((row[begun] > start if windowed else row[begun] >= start) and row[last] < end)
                }
                assert 0 < len(inside) < len(expected), kind.name
                expected = inside
            assert without_read_times(run.rows(kind.name)) == without_read_times(expected), kind.name

    def test_c3_a_start_date_that_is_moved_back_is_told(self, account: Account) -> None:
        later, earlier = reversed(self.dates)
        before = run_tap(self.tap, account, config={**self.config, "start_date": later})
        assert before.code == 0, before.log
        assert "moved back" not in before.log
        after = run_tap(self.tap, account, state=before.state, config={**self.config, "start_date": earlier})
        assert after.code == 0, after.log
        described = self.tap.config_jsonschema["properties"]["start_date"]["description"]
        bounded = {name for name in bookmark_values(before.state["bookmarks"]) if f"`{name}`" in described}
        told = {name for name in after.streams if f"{name}: start_date was moved back" in after.log}
        assert told == bounded

    def test_c7_the_discovered_catalog_changes_nothing(
        self, account: Account, catalog: dict[str, Any], first: Run
    ) -> None:
        run = run_tap(self.tap, account, config=self.config, catalog=selected(catalog, first.streams))
        assert run.code == 0, run.log
        for stream in first.streams:
            assert without_read_times(run.rows(stream)) == without_read_times(first.rows(stream)), stream

    def test_c7_a_deselected_field_is_gone_from_schema_and_records(
        self, account: Account, catalog: dict[str, Any], first: Run
    ) -> None:
        stream = max(first.streams, key=lambda name: len(first.records(name)))
        entry = next(entry for entry in catalog["streams"] if entry["stream"] == stream)
        fixed = {*first.keys(stream), entry.get("replication_key")}
        name = next(name for name in entry["schema"]["properties"] if name not in fixed)
        chosen = selected(catalog, [stream], without=[name])
        run = run_tap(self.tap, account, config=self.config, catalog=chosen)
        assert run.streams == [stream]
        assert name not in run.schema(stream)["properties"]
        assert run.records(stream)
        assert not any(name in record for record in run.records(stream))

    def test_about_describes_every_setting_and_shows_no_secret(self, account: Account) -> None:
        run = run_tap(self.tap, account, "--about", "--format", "json")
        about = json.loads(run.output)
        settings = about["settings"]["properties"]
        assert all(member.get("description") for member in settings.values())
        for name, member in settings.items():
            if member.get("secret") and isinstance(account.config.get(name), str):
                assert account.config[name] not in run.output.decode()

    def test_the_connection_test_has_a_line_for_each_stream(self, account: Account) -> None:
        run = run_tap(self.tap, account, "--test", config=self.config)
        assert run.code == 0, run.output.decode() + run.log
        verdicts = dict(line.split(maxsplit=1) for line in run.output.decode().splitlines())
        assert [*verdicts] == [kind.name for kind in self.tap.stream_types]
        assert all(verdict.startswith(("ok", "skipped: ")) for verdict in verdicts.values())


def idle_overrides(kind: type[CoreStream]) -> Iterator[str]:
    """Members of a stream's own classes that look like hooks of the SDK's, and that the engine never calls.

    Whoever knows the SDK overrides ``parse_response`` or ``post_process``, and nothing would happen. What the engine
    calls it declares itself.
    """
    hooks = {name for base in (Stream, RESTStream, GraphQLStream) for name in dir(base) if not name.startswith("_")}
    origin = {owner: owner.__module__.partition(".")[0] for owner in kind.__mro__}
    engine = {name for owner in kind.__mro__ if origin[owner] == "tap_core" for name in vars(owner)}
    for owner in kind.__mro__:
        if origin[owner] not in {"tap_core", "singer_sdk", "builtins", "abc", "typing"}:
            yield from (f"{owner.__qualname__}.{name}" for name in vars(owner) if name in hooks - engine)


def _places(schema: Any) -> Iterator[Mapping[str, Any]]:
    """Each schema inside a schema."""
    if isinstance(schema, dict):
        yield schema
        for member in [*(schema.get("properties") or {}).values(), schema.get("items")]:
            yield from _places(member)
