"""What a source says of settings, catalogs and states, and of what goes wrong."""

from __future__ import annotations

import dataclasses
import fcntl
import json
import logging
import os
import signal
import subprocess
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

import pytest

from tap_core import errors
from tap_core.airbyte.catalog import Wanted, catalog_of
from tap_core.airbyte.spec import settings_from
from tap_core.airbyte.state import bookmarks_of
from tap_core.airbyte.writer import AirbyteWriter, Log
from tap_core.config.redact import Redactor
from tests.airbyte.face import BIN, Source, Sync, configured
from tests.faults.vendors import VENDORS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from merchant_sandbox.client import World
    from tests.airbyte.face import Message

BOOKMARK = {"replication_key": "_updated_at", "replication_key_value": "2026-01-01T00:00:00.000000Z"}
STATE = {"stream_descriptor": {"name": "invoices"}, "stream_state": BOOKMARK}
INVOICES = Wanted("invoices", "invoices", incremental=True, replaces=False)
CUSTOMERS = Wanted("customers", "customers", incremental=False, replaces=True)


@pytest.fixture
def source(make_world: Callable[..., World], tmp_path: Path) -> Source:
    return source_of("peakium", make_world, tmp_path)


def source_of(name: str, make_world: Callable[..., World], folder: Path) -> Source:
    world = make_world()
    return Source(name, {**world.config(name), **VENDORS[name].config}, folder, world.env(name))


def entry(name: str, mode: str, **more: Any) -> Message:
    return {"stream": {"name": name}, "sync_mode": mode, "destination_sync_mode": "append", **more}


# Settings


@pytest.mark.parametrize(
    "given",
    [
        {"api_key_or_connections": {"chosen": "API key", "api_key": "a-key"}},
        {"api_key": "a-key"},
        {"api_key": "a-key", "__injected_by": "PyAirbyte", "batch_config": {"storage": {"root": "folder"}}},
    ],
)
def test_settings_come_from_the_form_or_as_the_tap_takes_them(given: Message) -> None:
    assert settings_from(given, VENDORS["peek"].tap) == {"api_key": "a-key", "emit_activate_version_messages": False}


@pytest.mark.parametrize("given", [{"customers_list": ["98"]}, {"customers": ["98"]}])
def test_a_setting_that_may_be_a_list_is_one_in_the_form(given: Message) -> None:
    assert settings_from(given, VENDORS["pegke"].tap)["customers"] == ["98"]


def test_both_forms_of_a_choice_at_once_are_refused() -> None:
    both = {"api_key": "a-key", "api_key_or_connections": {"connections": [{"name": "north", "api_key": "another"}]}}
    for given in (both, {}):
        with pytest.raises(errors.ConfigError, match="set either 'api_key' or 'connections'"):
            VENDORS["peek"].tap(config=settings_from(given, VENDORS["peek"].tap))


def test_check_names_the_setting_that_is_wrong_and_still_ends_well(source: Source) -> None:
    for wrong, says in (
        ({"concurrency": 0}, "setting 'concurrency' must be 1 or more"),
        ({"api_key": "wrong-key-4fa9"}, "api_key"),
        ({"api_url": "http://127.0.0.1:9/"}, "127.0.0.1"),
    ):
        checked = source.check(retry_max_s=0, **wrong)
        (status,) = checked.of("CONNECTION_STATUS")
        assert (checked.code, status["status"]) == (0, "FAILED"), checked.log
        assert says in status["message"]
        assert "4fa9" not in checked.output.decode()


def test_a_check_that_is_ended_gives_no_verdict(source: Source, serve: Callable[..., str]) -> None:
    asked = threading.Event()

    class Busy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(429)
            self.send_header("Retry-After", "15")
            self.send_header("Content-Length", "0")
            self.end_headers()
            asked.set()

        def log_message(self, *_: object) -> None:
            pass

    waiting = dataclasses.replace(source, env={})
    with waiting.start("check", config={**source.config, "api_url": serve(Busy)}) as process:
        assert asked.wait(30)
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate()
    sync = Sync(process.returncode, output)
    assert (sync.code, sync.of("CONNECTION_STATUS")) == (143, [])
    assert [error["failure_type"] for error in sync.errors_told] == ["transient_error"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("check",),
        ("read", "--config", "x"),
        ("spec", "--colour=4fa9"),
        ("4fa9",),
        ("discover", "--config", '{"api_key": "4fa9"}'),
    ],
)
def test_a_wrong_command_line_is_told_as_an_error(arguments: tuple[str, ...]) -> None:
    done = subprocess.run([BIN / "source-peek", *arguments], capture_output=True, check=False)
    (error,) = Sync(done.returncode, done.stdout).errors_told
    assert (done.returncode, error["failure_type"]) == (2, "config_error")
    assert b"4fa9" not in done.stdout + done.stderr


@pytest.mark.parametrize("arguments", [(), ("4fa9",)])
def test_what_is_no_command_is_told_which_ones_there_are(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """Also under another name."""
    link = tmp_path / "peek"
    link.symlink_to(BIN / "source-peek")
    done = subprocess.run([link, *arguments], capture_output=True, check=False)
    (error,) = Sync(done.returncode, done.stdout).errors_told
    assert error["message"] == "the first argument must be a command: spec, check, discover, read"


# Catalogs


@pytest.mark.parametrize(
    ("catalog", "says"),
    [
        ([], "must contain a JSON object"),
        ({"streams": {}}, "must be a configured catalog"),
        (
            {"streams": [entry("nothing", "full_refresh")]},
            "names the stream 'nothing', which this source does not have",
        ),
        ({"streams": [entry("invoices", "sometimes")]}, "must give invoices the sync_mode"),
    ],
)
def test_a_catalog_that_cannot_be_read_is_one_error(source: Source, catalog: Any, says: str) -> None:
    sync = source.read(catalog)
    (error,) = sync.errors_told
    assert (sync.code, error["failure_type"]) == (2, "config_error")
    assert says in error["message"]
    assert sync.statuses == {}


def test_a_stream_without_a_cursor_is_read_in_full_whatever_is_asked(source: Source) -> None:
    """PyAirbyte asks for all streams to be read incrementally."""
    sync = source.read({"streams": [entry("customers", "incremental")]})
    assert sync.code == 0, sync.log
    assert "customers is read in full" in sync.log
    assert [state["stream"]["stream_state"] for state in sync.state] == [{"__ab_no_cursor_state_message": True}]


def test_what_is_off_by_default_is_offered_if_it_is_enabled() -> None:
    kind = VENDORS["peek"].tap
    names = [
        {stream["name"] for stream in catalog_of(kind(config={"api_key": "a-key", **more}))["catalog"]["streams"]}
        for more in ({}, {"enable_streams": ["supplier"]})
    ]
    assert names[1] - names[0] == {"supplier"}


def test_streams_whose_credentials_are_missing_are_not_offered_and_never_end_as_if_empty(
    make_world: Callable[..., World], tmp_path: Path
) -> None:
    pegke = source_of("pegke", make_world, tmp_path)
    everything = configured(pegke.discover().of("CATALOG")[0])
    without = {"client_id": None, "client_secret": None}
    offered = {stream["name"] for stream in pegke.discover(**without).of("CATALOG")[0]["streams"]}
    left = {each["stream"]["name"] for each in everything["streams"]} - offered
    assert left
    sync = pegke.read(everything, customers=["9800000000"], **without)
    assert sync.code == 2
    assert {stream for stream, status in sync.statuses.items() if status[-1] == "INCOMPLETE"} == left
    assert {(error["stream_descriptor"]["name"], error["failure_type"]) for error in sync.errors_told} == {
        (stream, "config_error") for stream in left
    }


def test_stream_maps_rename_and_change_what_is_offered_and_read(source: Source) -> None:
    """And the state of a stream goes by its new name."""
    maps = {"stream_maps": {"invoices": {"__alias__": "bills", "told": "str('yes')", "__else__": None, "id": "id"}}}
    catalog = source.discover(**maps).of("CATALOG")[0]
    (bills,) = [stream for stream in catalog["streams"] if stream["name"] == "bills"]
    assert set(bills["json_schema"]["properties"]) == {"id", "told"}
    assert "invoices" not in {stream["name"] for stream in catalog["streams"]}
    asked = {"streams": [{"stream": bills, "sync_mode": "full_refresh", "destination_sync_mode": "append"}]}
    sync = source.read(asked, **maps)
    assert sync.code == 0, sync.log
    assert sync.records.keys() == {"bills"}
    assert all(record["told"] == "yes" for record in sync.records["bills"])


# States


@pytest.mark.parametrize(
    "given",
    [
        [{"type": "STREAM", "stream": STATE}],
        {"type": "GLOBAL", "global": {"stream_states": [STATE]}},
        {"type": "LEGACY", "data": {"bookmarks": {"invoices": BOOKMARK}}},
        [{"type": "LEGACY", "data": {"invoices": BOOKMARK}}],
        {"bookmarks": {"invoices": BOOKMARK}},
        {"type": "STATE", "state": {"type": "STREAM", "stream": STATE}},
    ],
)
def test_every_form_of_a_state_is_taken(given: Any) -> None:
    assert bookmarks_of(given, [INVOICES, CUSTOMERS]) == {"invoices": BOOKMARK}
    assert bookmarks_of(given, [dataclasses.replace(INVOICES, incremental=False), CUSTOMERS]) == {}
    assert bookmarks_of(given, [dataclasses.replace(INVOICES, name="bills")]) == {}


@pytest.mark.parametrize("given", [None, [], {}, "", [{"type": "LEGACY", "data": {}}]])
def test_no_state_is_none(given: Any) -> None:
    assert bookmarks_of(given, [INVOICES]) == {}


def test_a_state_of_a_stream_that_there_is_not_is_told(source: Source) -> None:
    left = [{"type": "STREAM", "stream": {"stream_descriptor": {"name": "nothing"}, "stream_state": BOOKMARK}}]
    sync = source.read({"streams": [entry("gateways", "full_refresh")]}, left)
    assert sync.code == 0, sync.log
    assert "the state names 'nothing', which is not a stream" in sync.log


@pytest.mark.parametrize(
    "given",
    [
        "a text",
        [1],
        [{"stream": {"stream_state": BOOKMARK}}],
        [{"stream": {"stream_descriptor": {"name": "invoices"}, "stream_state": [1]}}],
        {"cursor": "2026-01-01"},
        {"global": {"stream_states": {}}},
    ],
)
def test_what_is_no_state_is_refused(given: Any) -> None:
    with pytest.raises(errors.StateError):
        bookmarks_of(given, [INVOICES])


def test_a_state_that_would_leave_one_of_two_copies_behind_is_not_used() -> None:
    copy = Wanted("copy", "invoices", incremental=True, replaces=False)
    ends = [
        {"stream": {"stream_descriptor": {"name": name}, "stream_state": state}}
        for name, state in (("invoices", BOOKMARK), ("copy", {**BOOKMARK, "replication_key_value": "2025"}))
    ]
    assert bookmarks_of(ends, [INVOICES, copy]) == {}


def test_a_full_refresh_is_given_no_bookmark() -> None:
    """Not even one that the tap would have to refuse."""
    afresh = Wanted("invoices", "invoices", incremental=False, replaces=True)
    given = [{"stream": {"stream_descriptor": {"name": "invoices"}, "stream_state": BOOKMARK}}]
    assert bookmarks_of(given, [afresh]) == {}


def test_another_attempt_at_a_refresh_goes_on_from_the_last_state(source: Source) -> None:
    """What the first attempt has sent is still there: its generation is the same."""
    asked = {"streams": [entry("events", "incremental", generation_id=2, minimum_generation_id=2)]}
    first = source.read(asked)
    again = source.read(asked, first.state)
    assert [each.statuses["events"][-1] for each in (first, again)] == ["COMPLETE", "COMPLETE"], again.log
    assert len(again.records.get("events", [])) < len(first.records["events"])


# The process


def test_a_signal_ends_a_sync_with_a_state_that_holds(source: Source) -> None:
    catalog = configured(source.discover().of("CATALOG")[0])
    with source.start("read", config=source.config, catalog=catalog, state=[]) as process:
        assert process.stdout
        assert process.stderr
        fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, 4096)
        output = process.stdout.read(20_000)
        process.send_signal(signal.SIGTERM)
        output += process.stdout.read()
    sync = Sync(process.returncode, output)
    assert sync.code == 143
    assert {error["failure_type"] for error in sync.errors_told} == {"transient_error"}
    assert {status[-1] for status in sync.statuses.values()} == {"COMPLETE", "INCOMPLETE"}
    assert set(sync.statuses) == {each["stream"]["name"] for each in catalog["streams"]}


def test_an_output_that_is_gone_is_one_line(source: Source) -> None:
    catalog = configured(source.discover().of("CATALOG")[0])
    with source.start("read", config=source.config, catalog=catalog, state=[]) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        said = process.stderr.read().decode()
    assert process.returncode == 5
    assert "closed the pipe" in said
    assert "Traceback" not in said


# Messages


class Page:
    """Where a writer writes."""

    def __init__(self, *wanted: Wanted, heartbeat_s: float = 60) -> None:
        self._read_end, end = os.pipe()
        os.set_blocking(self._read_end, False)
        self.log = Log()
        self.writer = AirbyteWriter(self.log, end, heartbeat_s=heartbeat_s)
        self.writer.expect(wanted, {})

    def written(self) -> list[Message]:
        """What was written since the last look."""
        self.writer.flush()
        with suppress(BlockingIOError):
            return [json.loads(line) for line in os.read(self._read_end, 65536).splitlines()]
        return []


def schema(stream: str) -> dict[str, Any]:
    return {"type": "SCHEMA", "stream": stream}


def test_the_state_is_repeated_while_nothing_comes() -> None:
    """A RECORD or a STATE is what the platform takes for a sign of life; nothing new is said."""
    page = Page(INVOICES, CUSTOMERS, heartbeat_s=0)
    page.writer.idle()
    page.writer.write_line(schema("invoices"))
    page.writer.write_line({"type": "STATE", "value": {"bookmarks": {"invoices": BOOKMARK}}})
    page.written()
    page.writer.idle()
    (beat,) = page.written()
    assert beat["state"] == {
        "type": "STREAM",
        "stream": {"stream_descriptor": {"name": "invoices"}, "stream_state": BOOKMARK},
        "sourceStats": {"recordCount": 0.0},
    }
    page.writer.ended("invoices", None, whole=True)
    page.written()
    page.writer.write_line(schema("customers"))
    page.writer.idle()
    assert page.written()[-1]["state"]["stream"]["stream_state"] == {"__ab_no_cursor_state_message": True}
    quiet = Page(INVOICES)
    quiet.writer.write_line(schema("invoices"))
    assert [message["type"] for message in quiet.written()] == ["TRACE"]
    quiet.writer.idle()
    quiet.log.lines.append(("INFO", "a long wait"))
    quiet.writer.idle()
    assert [message["log"]["message"] for message in quiet.written()] == ["a long wait"]


@pytest.mark.parametrize(("replaces", "end"), [(True, "INCOMPLETE"), (False, "COMPLETE")])
def test_less_than_everything_never_takes_the_place_of_what_is_there(*, replaces: bool, end: str) -> None:
    page = Page(Wanted("customers", "customers", incremental=False, replaces=replaces))
    page.writer.write_line(schema("customers"))
    page.writer.ended("customers", None, whole=False)
    last = page.written()[-1]
    assert last["trace"]["stream_status"]["status"] == end
    assert (page.writer.failure is not None) == replaces


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (errors.ConfigError("x"), "config_error"),
        (errors.StateError("x"), "config_error"),
        (errors.AuthError("x"), "config_error"),
        (errors.ForbiddenError("x"), "config_error"),
        (errors.MissingCallError("x"), "config_error"),
        (errors.NetworkError("x"), "transient_error"),
        (errors.ThrottledError("x"), "transient_error"),
        (errors.StoppedError("x"), "transient_error"),
        (errors.ApiError("x"), "system_error"),
        (errors.PaginationError("x"), "system_error"),
        (errors.TapError("x"), "system_error"),
    ],
)
def test_an_error_says_who_can_mend_it(failure: errors.TapError, kind: str) -> None:
    page = Page(INVOICES)
    page.writer.finish(failure)
    messages = page.written()
    (error,) = [message["trace"]["error"] for message in messages if "error" in message.get("trace", {})]
    assert (error["failure_type"], error["message"]) == (kind, "x")
    assert messages[-1]["trace"]["stream_status"]["status"] == "INCOMPLETE"


def test_errors_and_logs_pass_the_redactor() -> None:
    page = Page()
    page.log.addFilter(Redactor(["secret-4fa9-kiwi"]))
    record = logging.makeLogRecord({"msg": "sent %s", "args": ("secret-4fa9-kiwi",), "levelname": "WARNING"})
    page.log.handle(record)
    page.writer.tell_error(errors.ApiError("the answer was secret-4fa9-kiwi"))
    log, trace = page.written()
    assert log["log"] == {"level": "WARN", "message": "sent ***"}
    assert trace["trace"]["error"]["message"] == "the answer was ***"
