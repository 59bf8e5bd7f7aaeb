"""The run over all streams: what one failure costs, what is written when, and how the process ends."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import pty
import signal
import subprocess
import sys
import tempfile
import termios
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
import pytest
from typing_extensions import override

from tap_core.acceptance import idle_overrides
from tap_core.errors import ApiError, AuthError, ForbiddenError, MissingCallError, TapError
from tap_core.output.logs import ERASE
from tap_core.reading.fetch import Slice
from tap_core.reading.pages import Page
from tests.core.conftest import RawServer
from tests.core.example import Events, Orders, Outcome, Parts, Places, TapExample, run, start

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tap_core.streams.base import CoreStream
    from tests.core.conftest import Lists, Seen

AT = "2024-03-01T00:00:00.000000Z"
OLD = {"replication_key": "at", "replication_key_value": "2024-01-01T00:00:00.000000Z"}


@pytest.fixture
def full(lists: Lists) -> Lists:
    """An API with a few rows in each list."""
    lists.rows |= {
        "/orders": [{"id": "a", "at": AT, "parts": [{"sku": "x"}, None, {"sku": "y"}]}, {"id": "b", "at": AT}],
        "/events": [{"id": "a", "at": AT}],
        "/places": [{"id": "a"}, {"id": "b"}],
        "/secrets": [{"id": "a"}],
    }
    return lists


def streams(outcome: Outcome) -> set[str]:
    return {message["stream"] for message in outcome.of("RECORD")}


def paths(lists: Lists) -> list[str]:
    """What was asked for, sorted: streams are read side by side."""
    return sorted(request.target for request in lists.server.seen)


# What a failure costs


@pytest.mark.parametrize(
    ("status", "error"),
    [(500, ApiError), (400, ApiError), (403, ForbiddenError), (404, MissingCallError)],
    ids=["H3-500", "400", "403", "404"],
)
def test_a_failing_stream_stops_no_other_and_moves_no_bookmark(
    full: Lists, caplog: pytest.LogCaptureFixture, status: int, error: type[ApiError]
) -> None:
    full.rows["/orders"] = full.server.answer(status)
    with caplog.at_level(logging.ERROR):
        outcome = run(TapExample, full.config, state={"bookmarks": {"orders": OLD}})
    assert type(outcome.error) is error or (status == 500 and isinstance(outcome.error, ApiError))
    assert outcome.error is not None
    assert outcome.error.exit_code == 4
    assert streams(outcome) == {"events", "places"}
    assert outcome.state["orders"] == OLD
    assert outcome.state["events"]["replication_key_value"] == AT
    (said,) = caplog.messages
    assert said.startswith("orders: ")
    assert str(status) in said


def test_what_came_before_a_failure_was_written_and_moves_no_bookmark(full: Lists) -> None:
    full.rows["/orders"] = [*full.rows["/orders"], {"at": AT}]
    outcome = run(TapExample, full.config)
    assert str(outcome.error) == "orders: everything was read except a record (page 1)"
    assert len(outcome.records("orders")) == 2
    assert "orders" not in outcome.state


def told_failed(outcome: Outcome) -> list[list[str]]:
    """The streams that each STATE tells to have failed in the run."""
    assert "failed" not in str([message["value"] for message in outcome.of("STATE")]), "the next run's state"
    return [message.get("failed", []) for message in outcome.of("STATE")]


def test_a_stream_that_failed_is_told_beside_the_state_and_not_in_the_next_run(full: Lists) -> None:
    """A target has its SCHEMA, and would take the load for one that was read."""
    events = full.rows["/events"]
    full.rows["/events"] = full.server.answer(404)
    full.rows["/orders"] = [*full.rows["/orders"], {"at": AT}]  # a record without its key
    first = run(TapExample, full.config)
    told = told_failed(first)
    assert told[0] == []
    assert told[-1] == ["events", "orders", "parts"]
    full.rows |= {"/events": events, "/orders": []}
    second = run(TapExample, full.config, state={"bookmarks": first.state})
    assert second.error is None
    assert not any(told_failed(second))


def test_a_run_in_which_no_bookmark_moved_tells_what_failed_at_its_end(full: Lists) -> None:
    for path in ("/orders", "/events", "/places"):
        full.rows[path] = full.server.answer(404)
    assert told_failed(run(TapExample, full.config))[-1] == ["events", "orders", "parts", "places"]


def test_several_failures_end_in_one_line_that_names_the_streams(full: Lists) -> None:
    full.rows["/events"] = full.server.answer(404)
    full.rows["/places"] = full.server.answer(500)
    outcome = run(TapExample, full.config)
    assert str(outcome.error) == "2 streams failed: events, places; the lines above say why"
    assert streams(outcome) == {"orders", "parts"}


def test_a4_refused_credentials_end_the_run_after_one_request_and_one_line(
    full: Lists, caplog: pytest.LogCaptureFixture
) -> None:
    for path in ("/orders", "/events", "/places"):
        full.rows[path] = full.server.answer(401)
    with caplog.at_level(logging.ERROR):
        outcome = run(TapExample, full.config)
    assert isinstance(outcome.error, AuthError)
    assert outcome.error.exit_code == 3
    assert len(full.server.seen) == 1
    (said,) = caplog.messages
    assert "check api_key" in said


class Broken(Orders):
    """A stream with a mistake in it."""

    @override
    def params(self, _part: Slice, _token: Any) -> Any:
        raise KeyError("canary-of-a-record")


class TapBroken(TapExample):
    stream_types = (Broken, Events, Places)


def test_a_mistake_in_one_stream_names_it_and_costs_no_other(full: Lists, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        outcome = run(TapBroken, full.config)
    assert type(outcome.error) is TapError
    assert outcome.error.exit_code == 1
    assert str(outcome.error) == "orders: unexpected KeyError; LOGLEVEL=DEBUG shows the traceback"
    assert streams(outcome) == {"events", "places"}
    assert "canary" not in caplog.text


def test_c5_a_record_that_is_nested_too_deeply_costs_its_stream_alone(full: Lists) -> None:
    for depth in (300, 900, 5000):
        full.rows["/orders"] = full.server.answer(body=b'{"data":[{"id":"a","x":%b%b}]}' % (b"[" * depth, b"]" * depth))
        outcome = run(TapExample, full.config)
        assert isinstance(outcome.error, ApiError)
        assert str(outcome.error).startswith("orders: ")
        assert "nested too deeply to be read" in str(outcome.error)
        assert streams(outcome) == {"events", "places"}


def test_p6_links_in_answers_are_not_followed(full: Lists) -> None:
    elsewhere = RawServer()
    link = f"{elsewhere.url}/orders?page=2"
    links = {"next": link, "next_page": link, "links": {"next": link}, "_links": {"next": {"href": link}}}
    header = {"Link": f'<{link}>; rel="next"', "Content-Location": link, "Refresh": f"0; url={link}"}
    full.rows["/orders"] = full.server.answer(body={"data": [{"id": "a", "at": AT}], **links}, headers=header)
    outcome = run(TapExample, full.config)
    elsewhere.close()
    assert outcome.error is None
    assert elsewhere.seen == []
    assert paths(full) == ["/events", "/orders", "/places"]


# Embedded streams


def test_embedded_streams_cost_no_request_of_their_own(full: Lists) -> None:
    outcome = run(TapExample, full.config)
    assert paths(full) == ["/events", "/orders", "/places"]
    assert outcome.records("parts") == [
        {"order_id": "a", "_position": 1, "sku": "x"},
        {"order_id": "a", "_position": 3, "sku": "y"},
    ]


def test_c7_an_embedded_stream_can_be_read_alone(full: Lists) -> None:
    outcome = run(TapExample, full.config, catalog=catalog(parts=True))
    assert [message["stream"] for message in outcome.of("SCHEMA")] == ["parts"]
    assert streams(outcome) == {"parts"}
    assert paths(full) == ["/orders"]
    assert "orders" not in outcome.state


# Selection


def catalog(**selected: bool) -> dict[str, Any]:
    """The example's catalog with only these streams selected."""
    found: dict[str, Any] = json.loads(json.dumps(TapExample(config={"api_key": "key-1234"}).catalog_dict))
    for entry in found["streams"]:
        for metadata in entry["metadata"]:
            if not metadata["breadcrumb"]:
                metadata["metadata"]["selected"] = selected.get(entry["stream"], False)
    return found


@pytest.mark.parametrize("chosen", [None, catalog(orders=True)], ids=["all", "catalog"])
def test_c7_marks_of_the_schema_reach_catalog_and_target(full: Lists, chosen: dict[str, Any] | None) -> None:
    outcome = run(TapExample, full.config, catalog=chosen)
    (told,) = [message["schema"] for message in outcome.of("SCHEMA") if message["stream"] == "orders"]
    (found,) = [entry["schema"] for entry in catalog()["streams"] if entry["stream"] == "orders"]
    for properties in (told["properties"], found["properties"]):
        assert properties["name"]["x-pii"] is True
        assert "x-pii" not in properties["at"]


def test_c7_deselected_streams_are_not_asked_for(full: Lists) -> None:
    outcome = run(TapExample, full.config, catalog=catalog(places=True, secrets=True))
    assert paths(full) == ["/places", "/secrets"]
    assert streams(outcome) == {"places", "secrets"}


def test_streams_that_are_off_are_switched_on_by_a_setting(full: Lists) -> None:
    assert "secrets" not in streams(run(TapExample, full.config))
    config = {**full.config, "enable_streams": ["secrets"]}
    assert "secrets" in streams(run(TapExample, config))
    assert streams(run(TapExample, config, catalog=catalog(places=True))) == {"places", "secrets"}


def test_c7_a_stream_map_renames_filters_and_drops(full: Lists) -> None:
    maps = {
        "orders": {"__alias__": "sales", "id": "id", "__filter__": "id == 'b'", "__else__": None},
        "places": "__NULL__",
    }
    outcome = run(TapExample, {**full.config, "stream_maps": maps})
    assert outcome.records("sales") == [{"id": "b"}]
    assert streams(outcome) == {"sales", "parts", "events"}


@pytest.mark.parametrize(
    ("expression", "reason"),
    [("nmae", "a record has no 'nmae'; record.get('nmae') allows that"), ("id + 1", "TypeError")],
)
def test_c7_a_stream_map_that_fails_on_a_record_is_told(full: Lists, expression: str, reason: str) -> None:
    outcome = run(TapExample, {**full.config, "stream_maps": {"orders": {"x": expression}}})
    assert str(outcome.error) == f"orders: an expression in setting 'stream_maps' fails: {reason}"
    assert outcome.error is not None
    assert outcome.error.exit_code == 2


def test_c7_a_run_without_a_selected_stream_says_so(full: Lists, caplog: pytest.LogCaptureFixture) -> None:
    strange = {"tap_stream_id": "strange", "schema": {"properties": {"id": {}}}}
    outcome = run(TapExample, full.config, catalog={"streams": [*catalog()["streams"], strange]})
    assert outcome.error is None
    assert not full.server.seen
    assert "no stream is selected: nothing is read" in caplog.messages
    assert "the catalog names 'strange', which is not a stream of this tap" in caplog.messages


# Snapshots


def test_a_complete_snapshot_activates_its_version(full: Lists) -> None:
    outcome = run(TapExample, full.config)
    activated = {message["stream"]: message["version"] for message in outcome.of("ACTIVATE_VERSION")}
    assert activated.keys() == {"places", "parts"}
    assert {message["version"] for message in outcome.of("RECORD", "places")} == {activated["places"]}
    assert all("version" not in message for message in outcome.of("RECORD", "orders"))
    last = max(number for number, message in enumerate(outcome.messages) if message.get("stream") == "places")
    assert outcome.messages[last]["type"] == "ACTIVATE_VERSION"


def test_a_snapshot_that_failed_activates_nothing(full: Lists) -> None:
    full.rows["/places"] = [{"id": "a"}, {"id": None}]
    full.rows["/orders"] = full.server.answer(500)
    assert run(TapExample, full.config).of("ACTIVATE_VERSION") == []


def test_versions_can_be_switched_off(full: Lists) -> None:
    outcome = run(TapExample, {**full.config, "emit_activate_version_messages": False})
    assert outcome.of("ACTIVATE_VERSION") == []
    assert all("version" not in message for message in outcome.of("RECORD"))


# STATE


class Long(Places):
    """A stream of many pages."""

    pages: ClassVar[int] = 35

    @override
    def slices(self) -> Iterator[Slice]:
        for number in range(self.pages):
            yield Slice({"page": number}, last=number == self.pages - 1)

    @override
    async def load(self, part: Slice, token: Any) -> Page:
        return Page([msgspec.Raw(b'{"id":"%d"}' % (part.partition["page"] * 1000 + n)) for n in range(1000)])


class TapLong(TapExample):
    stream_types: ClassVar[Sequence[type[CoreStream]]] = (Long,)


def test_s3_a_state_goes_out_every_ten_thousand_records() -> None:
    outcome = run(TapLong, {"api_key": "key-1234"}, state={"bookmarks": {"gone": {"a": 1}}})
    counts, seen = [], 0
    for message in outcome.messages:
        seen += message["type"] == "RECORD"
        if message["type"] == "STATE":
            counts.append(seen)
    assert counts[:4] == [0, 10_000, 20_000, 30_000]
    assert counts[-1] == seen == 35_000


# Commands and exit codes, as processes


def finish(process: Any) -> tuple[int, bytes, str]:
    output, said = process.communicate(timeout=60)
    return process.returncode, output, (said or b"").decode()


def command(folder: Path, config: dict[str, Any], *arguments: str, **options: Any) -> tuple[int, bytes, str]:
    return finish(start(folder, config, *arguments, stdout=-1, **options))


def test_exit_0_and_a_table_of_what_was_read(tmp_path: Path, full: Lists) -> None:
    code, output, said = command(tmp_path, full.config)
    assert code == 0, said
    last = json.loads(output.splitlines()[-1])
    assert last["type"] == "STATE"
    assert last["calls"]["orders"] == {"requests": 1, "retries": 0, "waited_s": 0}
    assert "parts" not in last["calls"]
    table = said[said.index("bookmark before") :]
    rows = {line.split()[0]: line.split() for line in table.splitlines() if line.strip()[:1].isalpha()}
    assert rows["orders"][1:4] == ["2", "1", "0"]
    assert rows["orders"][-2:] == ["2024-03-01T00:00:00Z", "done"]
    assert rows["parts"][1:4] == ["2", "-", "-"]
    assert "Traceback" not in said


def test_exit_0_although_nobody_can_be_told(tmp_path: Path, full: Lists) -> None:
    process = start(tmp_path, full.config, stdout=-1)
    assert process.stderr is not None
    process.stderr.close()
    process.stderr = None
    output, _ = process.communicate()
    assert process.returncode == 0
    assert json.loads(output.splitlines()[-1])["value"]["bookmarks"]["orders"]["replication_key_value"] == AT


def test_exit_1_for_a_mistake_of_ours_without_a_traceback(tmp_path: Path, full: Lists) -> None:
    broken = "from tests.core.test_tap import TapBroken; TapBroken.main()"
    code, _, said = command(tmp_path, full.config, code=broken)
    assert code == 1
    assert said.count("orders: unexpected KeyError") == 1
    assert "Traceback" not in said
    code, _, said = command(tmp_path, full.config, code=broken, env={"LOGLEVEL": "DEBUG"})
    assert code == 1
    assert "Traceback" in said


def test_exit_2_for_settings(tmp_path: Path, full: Lists) -> None:
    code, output, said = command(tmp_path, {**full.config, "page_sise": 1})
    assert (code, output) == (2, b"")
    assert said.count("did you mean 'page_size'?") == 1


@pytest.mark.parametrize(("status", "code"), [(401, 3), (403, 4)])
def test_exit_3_for_credentials_and_4_for_the_api(tmp_path: Path, full: Lists, status: int, code: int) -> None:
    full.rows["/orders"] = full.server.answer(status)
    found, output, said = command(tmp_path, full.config)
    assert found == code
    assert said.count(f"orders: GET /orders: {status}") == 1
    assert b'"stream":"places"' in output or code == 3


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["S2-TERM", "S2-INT"])
def test_s2_a_signal_ends_the_run_in_order(tmp_path: Path, full: Lists, number: int, code: int) -> None:
    asked, over = threading.Event(), threading.Event()

    def respond(request: Seen) -> Any:
        if request.target == "/places":
            asked.set()
            over.wait(60)
        return full.respond(request)

    full.server.respond = respond
    process = start(tmp_path, full.config, stdout=-1)
    assert asked.wait(60)
    assert process.stdout
    begun: list[bytes] = []  # the places may be requested ahead, before the orders are written
    while not begun or not (json.loads(begun[-1]).get("value") or {}).get("bookmarks", {}).get("orders"):
        begun.append(process.stdout.readline())
    process.send_signal(number)
    found, rest, said = finish(process)
    output = b"".join(begun) + rest
    over.set()
    assert found == code
    assert "Traceback" not in said
    states = [line for line in map(json.loads, output.splitlines()) if line["type"] == "STATE"]
    assert states[-1]["value"]["bookmarks"]["orders"]["replication_key_value"] == AT
    assert not any("failed" in state for state in states), "a stream that is stopped has not failed"


def test_s2_a_second_signal_ends_a_run_that_the_first_one_cannot(tmp_path: Path, full: Lists) -> None:
    """Here nobody reads the output, so that the run can neither go on nor end in order.

    The pipe counts as full from half of it on: small messages leave gaps in it.
    """
    full.rows["/orders"] = [{"id": f"{number}", "more": "x" * 500} for number in range(2000)]
    with start(tmp_path, full.config, stdout=-1) as process:
        assert process.stdout is not None
        waiting, room = bytearray(4), fcntl.fcntl(process.stdout, fcntl.F_GETPIPE_SZ)
        while int.from_bytes(waiting, sys.byteorder) < room // 2:
            fcntl.ioctl(process.stdout, termios.FIONREAD, waiting)
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) in {130, 143}


def test_discover_and_about_write_no_messages(tmp_path: Path, full: Lists) -> None:
    code, output, said = command(tmp_path, full.config, "--discover")
    assert code == 0, said
    assert [entry["stream"] for entry in json.loads(output)["streams"]] == [*sorted(streams_of(TapExample))]
    assert not full.server.seen
    code, output, said = command(tmp_path, full.config, "--about", "--format", "json")
    assert code == 0, said
    assert json.loads(output)["settings"]["properties"].keys() >= {"api_key", "page_size", "stream_maps"}
    assert "key-1234" not in output.decode() + said


def streams_of(tap: type[TapExample]) -> list[str]:
    return [kind.name for kind in tap.stream_types]


@pytest.mark.parametrize(
    ("option", "content", "complaint"),
    [
        pytest.param("--state", "{", "the file of --state is not valid JSON", id="S10-cut"),
        pytest.param("--state", "[]", "the file of --state must contain a JSON object", id="S10-list"),
        pytest.param("--catalog", "x", "the file of --catalog is not valid JSON", id="C1-catalog"),
    ],
)
def test_exit_2_for_files_that_make_no_sense(
    tmp_path: Path, full: Lists, option: str, content: str, complaint: str
) -> None:
    (tmp_path / "file").write_text(content)
    code, output, said = command(tmp_path, full.config, option, str(tmp_path / "file"))
    assert (code, output) == (2, b"")
    assert said.count(complaint) == 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--state", "CANARY"], "--state must name a file of JSON"),
        (["--catalog", "CANARY"], "--catalog must name a file of JSON"),
        (["--about", "--format", "CANARY"], "option --format must be one of json, markdown"),
        (["--discover=CANARY"], "'--discover' does not take a value"),
        (["--confg=CANARY"], "there is an option that this command does not have; did you mean --config?"),
        (["CANARY"], "there is an argument that belongs to no option; settings go into a file (--config FILE)"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_x6_exit_2_without_repeating_what_is_given(
    tmp_path: Path, full: Lists, arguments: list[str], complaint: str
) -> None:
    given = '{"api_key": "canary-7f3a9c"}'
    code, output, said = command(tmp_path, full.config, *(part.replace("CANARY", given) for part in arguments))
    assert (code, output) == (2, b"")
    assert complaint in said
    assert len(said.splitlines()) == 1
    assert "canary" not in said


def test_exit_2_for_a_test_of_another_kind(tmp_path: Path, full: Lists) -> None:
    code, output, said = command(tmp_path, full.config, "--test=shema")
    assert (code, output) == (2, b"")
    assert "--test=schema" in said
    assert not full.server.seen


@pytest.mark.parametrize(
    "arguments", [["--discover"], ["--about", "--format=json"], []], ids=["discover", "about", "run"]
)
def test_s4_exit_5_and_one_line_where_output_cannot_be_written(
    tmp_path: Path, full: Lists, arguments: list[str]
) -> None:
    with open("/dev/full", "wb") as output:  # noqa: PTH123
        code, _, said = finish(start(tmp_path, full.config, *arguments, stdout=output))
    assert code == 5
    assert said.count("standard output cannot be written: No space left on device") == 1
    reading, writing = os.pipe()
    os.close(reading)
    code, _, said = finish(start(tmp_path, full.config, *arguments, stdout=writing))
    os.close(writing)
    assert code == 5
    assert "Traceback" not in said


def test_an_error_of_the_system_is_not_blamed_on_standard_output(tmp_path: Path, full: Lists) -> None:
    broken = (
        "from tests.core.example import TapExample\n"
        "def run(tap): open('/nowhere/at-all')\n"
        "TapExample.run = run\n"
        "TapExample.main()"
    )
    code, _, said = command(tmp_path, full.config, code=broken)
    assert code == 1
    assert "unexpected FileNotFoundError (No such file or directory)" in said
    assert "standard output" not in said


def test_c2_a_current_folder_that_is_gone_is_one_line(tmp_path: Path, full: Lists) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    code, output, said = command(tmp_path, full.config, "--config", "ENV", preexec_fn=lambda: _leave(gone))
    assert (code, output) == (2, b"")
    assert "no .env file can be looked for in the current folder: No such file or directory" in said


def _leave(folder: Path) -> None:
    os.chdir(folder)
    folder.rmdir()


def test_x4_an_exposed_config_file_is_reported_by_the_run_alone(full: Lists) -> None:
    with tempfile.TemporaryDirectory() as outer:  # pytest's own folders are private
        folder = Path(outer)
        folder.chmod(0o755)
        (folder / "config.json").touch(mode=0o644)
        assert "others can read" not in command(folder, full.config, "--discover")[2]
        assert command(folder, full.config)[2].count("others can read") == 1


@pytest.mark.parametrize("messages_too", [False, True])
def test_progress_is_live_only_on_a_terminal_of_its_own(tmp_path: Path, full: Lists, *, messages_too: bool) -> None:
    ours, theirs = pty.openpty()
    output = theirs if messages_too else subprocess.DEVNULL
    process = start(tmp_path, full.config, stdout=output, stderr=theirs, env={"TERM": "xterm", "NO_COLOR": "1"})
    os.close(theirs)
    said = b""
    with suppress(OSError):  # the other end is closed
        while piece := os.read(ours, 65536):
            said += piece
    os.close(ours)
    assert process.wait(60) == 0
    assert (f"{ERASE}\r".encode() in said) is not messages_too  # the line of progress is taken away in the end


def test_s4_a_standard_error_that_cannot_be_written_costs_nothing(tmp_path: Path, full: Lists) -> None:
    with open("/dev/full", "wb") as nowhere:  # noqa: PTH123
        code, output, _ = finish(start(tmp_path, full.config, stdout=-1, stderr=nowhere))
    assert code == 0
    assert output.splitlines()[-1].startswith(b'{"type":"STATE"')
    assert output.endswith(b"}\n")


def test_s4_closed_outputs_cost_no_traceback(tmp_path: Path, full: Lists) -> None:
    code, _, said = command(tmp_path, full.config, preexec_fn=lambda: os.close(1))
    assert code == 5
    assert said.count("standard output is closed") == 1
    assert "Traceback" not in said
    code, output, _ = command(tmp_path, full.config, preexec_fn=lambda: os.close(2))
    assert code == 0
    assert output.splitlines()[-1].startswith(b'{"type":"STATE"')
    assert output.endswith(b"}\n")


def test_s2_a_target_that_dies_of_the_same_signal_does_not_change_the_code(tmp_path: Path, full: Lists) -> None:
    full.rows["/orders"] = [{"id": f"{number}", "more": "x" * 500} for number in range(2000)]
    with start(tmp_path, full.config, stdout=-1) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        while b"RECORD" not in process.stdout.readline():
            continue
        process.send_signal(signal.SIGINT)  # while a megabyte waits for room in the pipe
        process.stdout.close()
        said = process.stderr.read().decode()
    assert process.returncode == 130
    assert "Traceback" not in said


def test_c2_a_process_takes_its_settings_from_the_environment_alone(tmp_path: Path, full: Lists) -> None:
    variables = {f"TAP_EXAMPLE_{name.upper()}": str(value) for name, value in full.config.items()}
    code, output, said = command(tmp_path, {}, "--config", "ENV", env=variables)
    assert code == 0, said
    assert b'"RECORD"' in output


def test_parts_follow_orders() -> None:
    assert TapExample(config={"api_key": "key-1234"}).session.stream(Parts).parent.name == "orders"


def test_a_hook_of_the_sdk_that_the_engine_never_calls_is_found() -> None:
    class Tempting(Orders):
        http_method = "POST"

        @override
        def post_process(self, row: Any, context: Any = None) -> Any:
            return row

        def parse_response(self, response: Any) -> Any:
            """Overrides nothing, and would be called by no one."""

    assert [name.rpartition(".")[2] for name in idle_overrides(Tempting)] == ["post_process", "parse_response"]


def test_an_account_is_the_same_on_another_port_of_this_machine() -> None:
    """A sandbox has another port each time it is started."""

    def account(url: str) -> str:
        return TapExample(config={"api_key": "key-1234", "api_url": url}).session._account

    here = account("http://127.0.0.1:8001/w/default/example")
    assert account("http://127.0.0.1:8002/w/default/example") == here
    assert account("http://127.0.0.1:8001/w/other/example") != here
    assert account("https://api.example.com:8001/v1") != account("https://api.example.com:8002/v1")
