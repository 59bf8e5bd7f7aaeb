"""While one stream leaves calls free, the first pages of the next ones are requested; the order stays the same."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from typing_extensions import override

from tap_core.clock import Clock
from tap_core.errors import ApiError
from tap_core.http.loop import Loop
from tap_core.http.message import Request
from tap_core.http.steps import Sending
from tap_core.http.transport import Transport
from tap_core.reading.ahead import Ahead
from tap_core.reading.fetch import Reading, Slice
from tap_core.reading.pages import Page, SinglePage
from tap_core.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

PATIENCE_S = 20


class Server(ThreadingHTTPServer):
    """Answers each path with itself; some only after another one was asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.asked: list[str] = []
        self.after: dict[str, str] = {}
        self.changed = threading.Condition()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        server = self.server
        with server.changed:
            server.asked.append(self.path)
            server.changed.notify_all()
            awaited = server.after.get(self.path)
            was_asked = server.changed.wait_for(lambda: awaited is None or awaited in server.asked, PATIENCE_S)
        body = msgspec.json.encode(self.path if was_asked else f"{awaited} was not requested")
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @override
    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as started:
        threading.Thread(target=started.serve_forever, args=(0.01,), daemon=True).start()
        yield started
        started.shutdown()


class Stream:
    """A stream of so many slices with one page each."""

    def __init__(self, loop: Loop, url: str, name: str, slices: Iterable[Slice]) -> None:
        self.reading = Reading(slices, pager=lambda _part: SinglePage(), load=self.load, workers=loop)
        self.url, self.name = url, name

    async def load(self, part: Slice, _token: Any) -> Page:
        response = await Sending(Request("GET", f"{self.url}/{self.name}/{part.partition['number']}"))
        return Page([msgspec.Raw(response.body)])

    def begun(self) -> Reading:
        return self.reading


def numbered(slices: int) -> list[Slice]:
    return [Slice({"number": number}) for number in range(slices)]


@pytest.fixture
def make(server: Server) -> Iterator[Callable[..., tuple[Loop, list[Stream]]]]:
    transport = Transport(connect_timeout_s=PATIENCE_S, read_timeout_s=PATIENCE_S, user_agent="test", pool_size=8)

    def made(count: int, **streams: Iterable[Slice]) -> tuple[Loop, list[Stream]]:
        loop = Loop(count, transport, Clock(), Workers(count))
        return loop, [Stream(loop, server.url, name, slices) for name, slices in streams.items()]

    yield made
    transport.close()


def read(loop: Loop, streams: list[Stream]) -> Iterator[str]:
    """Read the streams one after the other, as a run does."""
    ahead = Ahead(streams)
    for stream in streams:
        ahead.turn()
        for arrival in stream.reading.arrivals():
            if not arrival.done:
                ahead.go_on(loop)
            yield from map(msgspec.json.decode, arrival.rows)
    ahead.cancel()


def test_the_next_stream_is_requested_while_the_last_page_of_one_is_awaited(server: Server, make: Any) -> None:
    loop, streams = make(2, a=numbered(2), b=numbered(1), c=numbered(1))
    server.after = {"/a/1": "/b/0"}
    assert list(read(loop, streams)) == ["/a/0", "/a/1", "/b/0", "/c/0"]


def test_small_streams_are_read_side_by_side(server: Server, make: Any) -> None:
    loop, streams = make(4, a=numbered(1), b=numbered(1), c=numbered(1), d=numbered(1))
    server.after = {"/b/0": "/c/0", "/c/0": "/d/0"}
    assert list(read(loop, streams)) == ["/a/0", "/b/0", "/c/0", "/d/0"]


def test_nothing_is_requested_ahead_before_a_page_has_arrived(server: Server, make: Any) -> None:
    loop, streams = make(4, a=numbered(1), b=numbered(1))
    reading = read(loop, streams)
    assert next(reading) == "/a/0"
    assert server.asked[0] == "/a/0"
    assert list(reading) == ["/b/0"]


@pytest.mark.parametrize("count", [1, 2, 4])
def test_as_many_pages_as_calls_wait_for_their_turn(make: Any, count: int) -> None:
    loop, streams = make(count, a=numbered(20), b=numbered(9), c=numbered(9))
    ahead = Ahead(streams)
    ahead.turn()
    found: list[str] = []
    for arrival in streams[0].reading.arrivals():
        if not arrival.done:
            ahead.go_on(loop)
            found += map(msgspec.json.decode, arrival.rows)
    assert found == [f"/a/{number}" for number in range(20)]
    assert streams[1].reading.held + streams[2].reading.held <= count
    found = [msgspec.json.decode(row) for arrival in streams[1].reading.arrivals() for row in arrival.rows]
    assert found == [f"/b/{number}" for number in range(9)]
    ahead.cancel()


def test_pages_that_wait_for_their_turn_keep_nobody_else_from_going_on(server: Server, make: Any) -> None:
    """Responses that nobody has looked at yet make room for a call that wants to begin."""
    loop, streams = make(2, a=numbered(1), b=numbered(1))
    server.after = {"/a/0": "/b/0"}  # once the first is there, the loop need not turn before the second has been sent
    tasks = [loop.submit(stream.load, Slice({"number": 0}), 0) for stream in streams]
    assert loop.wait(tasks[:1], PATIENCE_S)
    later = [loop.submit(streams[0].load, Slice({"number": number}), 0) for number in range(1, 9)]
    for task in later:
        assert loop.wait([task], PATIENCE_S)
    assert tasks[1].done() or loop.wait(tasks[1:], PATIENCE_S)


def test_what_fails_ahead_fails_when_its_turn_has_come(make: Any) -> None:
    def failing() -> Iterator[Slice]:
        yield Slice({"number": 0})
        raise ApiError("no more")

    reading = read(*make(4, a=numbered(2), b=failing()))
    assert [next(reading) for _ in range(3)] == ["/a/0", "/a/1", "/b/0"]
    with pytest.raises(ApiError, match="no more"):
        next(reading)
