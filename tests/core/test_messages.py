"""Output: whole lines, in order, flushed before every STATE, and one clear error when nobody takes them."""

from __future__ import annotations

import fcntl
import json
import os
import resource
import signal
import subprocess
import sys
import termios
import threading
from typing import TYPE_CHECKING

import msgspec
import pytest

from tap_core.codec import encode
from tap_core.errors import OutputError
from tap_core.output.messages import BUFFER_BYTES, MessageWriter
from tests.core.example import start

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.core.conftest import Lists


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    os.set_blocking(ends[0], False)
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:
            continue


def waiting(end: int) -> bytes:
    """What lies in a pipe."""
    try:
        return os.read(end, 1 << 20)
    except BlockingIOError:
        return b""


def record(number: int) -> bytes:
    return b'{"id":%d}\n' % number


def test_records_become_lines_of_the_singer_form(pipe: tuple[int, int]) -> None:
    writer = MessageWriter(pipe[1])
    writer.write_records("ördérs", record(1) + record(2), rows=2, version=7, extracted="2024-01-01T00:00:00.000000Z")
    writer.write_records("orders", record(3), rows=1, version=None, extracted="2024-01-01T00:00:00.000000Z")
    writer.write_records("orders", b"", rows=0, version=None, extracted="2024-01-01T00:00:00.000000Z")
    writer.flush()
    when = {"time_extracted": "2024-01-01T00:00:00.000000Z"}
    assert [json.loads(line) for line in waiting(pipe[0]).splitlines()] == [
        {"type": "RECORD", "stream": "ördérs", "record": {"id": 1}, "version": 7, **when},
        {"type": "RECORD", "stream": "ördérs", "record": {"id": 2}, "version": 7, **when},
        {"type": "RECORD", "stream": "orders", "record": {"id": 3}, **when},
    ]


def test_s3_records_are_with_the_target_before_a_state_is_written(pipe: tuple[int, int]) -> None:
    writer = MessageWriter(pipe[1])
    seen_first: list[bytes] = []

    class Recording(MessageWriter):
        def _add(self, piece: bytes | memoryview) -> None:
            if b'"STATE"' in bytes(piece):
                seen_first.append(waiting(pipe[0]))
            super()._add(piece)

    writer = Recording(pipe[1])
    writer.write_records("orders", record(1), rows=1, version=None, extracted="x")
    assert waiting(pipe[0]) == b""
    writer.write_line({"type": "STATE", "value": {}})
    assert seen_first[0].endswith(b'"record":{"id":1},"time_extracted":"x"}\n')
    assert waiting(pipe[0]) == b'{"type":"STATE","value":{}}\n'


@pytest.mark.parametrize("kind", ["SCHEMA", "STATE", "ACTIVATE_VERSION"])
def test_s3_all_but_records_go_out_at_once(pipe: tuple[int, int], kind: str) -> None:
    MessageWriter(pipe[1]).write_line({"type": kind})
    assert waiting(pipe[0]) == b'{"type":"%s"}\n' % kind.encode()


def test_records_go_out_when_the_buffer_is_full(pipe: tuple[int, int]) -> None:
    reading = threading.Event()
    got: list[bytes] = []

    def drain() -> None:
        os.set_blocking(pipe[0], True)
        reading.set()
        while piece := os.read(pipe[0], 1 << 20):
            got.append(piece)

    thread = threading.Thread(target=drain)
    thread.start()
    assert reading.wait(30)
    writer, line = MessageWriter(pipe[1]), b'{"text":"' + b"x" * 1000 + b'"}\n'
    for _ in range(2 * BUFFER_BYTES // 1000):
        writer.write_records("orders", line, rows=1, version=None, extracted="x")
    writer.flush()
    os.close(pipe[1])
    thread.join(30)
    output = b"".join(got)
    assert len(output.splitlines()) == 2 * BUFFER_BYTES // 1000
    assert all(json.loads(each)["record"]["text"] == "x" * 1000 for each in output.splitlines())


def test_exact_numbers_stay_exact() -> None:
    row = msgspec.json.decode(b'{"a":1e400,"b":9007199254740993}', strict=True, type=dict[str, msgspec.Raw])
    assert encode(row) == b'{"a":1e400,"b":9007199254740993}'


def test_s3_what_a_signal_leaves_of_a_write_is_written_after_it(pipe: tuple[int, int]) -> None:
    """A write that has begun when a signal comes ends early, and says how far it got."""
    os.set_blocking(pipe[1], True)
    room = fcntl.fcntl(pipe[1], fcntl.F_GETPIPE_SZ)
    line, main, got = b'{"text":"' + b"x" * 2 * room + b'"}', threading.main_thread().ident, [b""]
    assert main is not None

    def drain() -> None:
        full = bytearray(4)
        while int.from_bytes(full, sys.byteorder) < room:
            fcntl.ioctl(pipe[0], termios.FIONREAD, full)
        signal.pthread_kill(main, signal.SIGUSR1)
        os.set_blocking(pipe[0], True)
        while piece := os.read(pipe[0], 1 << 20):
            got.append(piece)

    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    thread = threading.Thread(target=drain)
    thread.start()
    try:
        writer = MessageWriter(pipe[1])
        writer.write_records("orders", line + b"\n", rows=1, version=None, extracted="x")
        writer.flush()
    finally:
        os.close(pipe[1])
        thread.join(60)
        signal.signal(signal.SIGUSR1, before)
    (message,) = b"".join(got).splitlines()
    assert json.loads(message)["record"]["text"] == "x" * 2 * room


def test_s4_a_closed_pipe_is_one_error_and_nothing_is_kept(pipe: tuple[int, int]) -> None:
    writer = MessageWriter(pipe[1])
    os.close(pipe[0])
    with pytest.raises(OutputError, match="the target closed the pipe") as caught:
        writer.write_line({"type": "STATE", "value": {}})
    assert caught.value.exit_code == 5
    writer.flush()


# Whole processes


def many(lists: Lists) -> None:
    for path in ("/orders", "/events", "/places"):
        lists.rows[path] = [{"id": f"{number}", "more": "x" * 500} for number in range(4000)]


def test_s4_the_target_dies_and_the_tap_says_so_once(tmp_path: Path, lists: Lists) -> None:
    many(lists)
    with start(tmp_path, lists.config, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read().decode()
    assert process.returncode == 5
    assert said.count("the target closed the pipe") == 1
    assert "Traceback" not in said


def test_l7_a_full_disk_is_one_line_and_leaves_whole_lines_only(tmp_path: Path, lists: Lists) -> None:
    many(lists)
    limit = 1_000_000

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    with (
        (tmp_path / "out.jsonl").open("wb") as output,
        start(tmp_path, lists.config, stdout=output, preexec_fn=small_files) as process,
    ):
        assert process.stderr is not None
        said = process.stderr.read().decode()
    assert process.returncode == 5
    assert said.count("standard output cannot be written: File too large") == 1
    assert "Traceback" not in said
    written = (tmp_path / "out.jsonl").read_bytes()
    whole = written[: written.rfind(b"\n") + 1].splitlines()
    assert len(written) <= limit
    assert all(json.loads(line)["type"] for line in whole)
    states = [line for line in whole if b'"STATE"' in line]
    assert not states or json.loads(states[-1])["value"]
