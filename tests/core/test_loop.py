"""Calls side by side in one thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

from tap_core.clock import Clock
from tap_core.errors import ConfigError, StoppedError, UnreachableError
from tap_core.http.loop import Loop, Task
from tap_core.http.message import Request, Response
from tap_core.http.steps import Blocking, Pause, Sending
from tap_core.http.transport import Transport
from tap_core.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Iterator

Make = Callable[[int], Loop]
Respond = Callable[[str], tuple[int, bytes]]


class Server(ThreadingHTTPServer):
    """Answers with what a function says of the path, many requests at a time."""

    daemon_threads = True
    respond: Respond = staticmethod(lambda path: (200, path.encode()))

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.seen: list[tuple[str, int]] = []

    @override
    def handle_error(self, request: object, client_address: object) -> None: ...


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self.server.seen.append((self.path, self.client_address[1]))
        status, body = self.server.respond(self.path)
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @override
    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def clock() -> Clock:
    return Clock(rate=1000)


@pytest.fixture
def make(clock: Clock) -> Iterator[Make]:
    transport = Transport(connect_timeout_s=5, read_timeout_s=60, user_agent="tap-test/1", pool_size=8)
    yield lambda count: Loop(count, transport, clock, Workers(2))
    transport.close()


async def get(url: str) -> bytes:
    response: Response = await Sending(Request("GET", url))
    return response.body


def finish(loop: Loop, *tasks: Task[bytes]) -> list[bytes]:
    for task in tasks:
        assert loop.wait([task], 30)
    return [task.result() for task in tasks]


def test_as_many_requests_are_in_flight_as_allowed(server: Server, make: Make) -> None:
    together, lock = threading.Barrier(3), threading.Lock()
    flying = most = 0

    def respond(path: str) -> tuple[int, bytes]:
        nonlocal flying, most
        with lock:
            flying += 1
            most = max(most, flying)
        together.wait(30)
        with lock:
            flying -= 1
        return 200, path.encode()

    server.respond = respond
    loop = make(3)
    tasks = [loop.submit(get, f"{server.url}/{number}") for number in range(9)]
    assert finish(loop, *tasks) == [b"/%d" % number for number in range(9)]
    assert most == 3
    assert len({port for _, port in server.seen}) == 3, "connections are used again"


def test_what_is_not_wanted_any_more_is_not_sent(server: Server, make: Make) -> None:
    loop = make(1)
    first, second, third = (loop.submit(get, f"{server.url}/{number}") for number in range(3))
    second.cancel()
    assert finish(loop, first, third) == [b"/0", b"/2"]
    assert [path for path, _ in server.seen] == ["/0", "/2"]


def test_a_good_response_is_read_when_its_turn_comes_and_another_one_at_once(server: Server, make: Make) -> None:
    again, events = threading.Event(), list[str]()

    def respond(path: str) -> tuple[int, bytes]:
        if path == "/again":
            again.set()
        if path == "/first":
            assert again.wait(30)
        return 503 if path == "/bad" else 200, path.encode()

    async def call(path: str) -> bytes:
        response: Response = await Sending(Request("GET", f"{server.url}{path}"))
        events.append(path)
        return await call("/again") if response.status == 503 else response.body

    server.respond = respond
    loop = make(3)
    first, second, third = (loop.submit(call, path) for path in ("/first", "/good", "/bad"))
    assert finish(loop, first) == [b"/first"]
    assert events == ["/bad", "/first"]
    assert finish(loop, second, third) == [b"/good", b"/again"]


def test_a_response_that_nobody_wants_any_more_holds_up_nobody(server: Server, make: Make) -> None:
    behind, together = threading.Event(), threading.Barrier(2)

    def respond(path: str) -> tuple[int, bytes]:
        if path == "/last":
            behind.set()
        if path == "/first":
            assert behind.wait(30)
        if path in ("/3", "/4"):
            together.wait(30)
        return 200, path.encode()

    async def call() -> bytes:
        await get(f"{server.url}/before")
        return await get(f"{server.url}/last")

    server.respond = respond
    loop = make(3)
    first, second = loop.submit(get, f"{server.url}/first"), loop.submit(get, f"{server.url}/second")
    third = loop.submit(call)
    assert not loop.wait([first, third], 0)
    assert finish(loop, third, first) == [b"/last", b"/first"]
    second.cancel()
    kept = loop.submit(get, f"{server.url}/kept")
    assert finish(loop, *(loop.submit(get, f"{server.url}/{number}") for number in (3, 4)), kept)[-1] == b"/kept"


def test_a_call_that_waits_or_blocks_does_not_hold_up_the_others(server: Server, make: Make, clock: Clock) -> None:
    free = threading.Event()

    async def wait() -> bytes:
        await Pause(1e9)
        return b"waited"

    async def block() -> bytes:
        return b"blocked" if await Blocking(lambda: free.wait(30)) else b""

    loop = make(3)
    waiting, blocking, going = loop.submit(wait), loop.submit(block), loop.submit(get, f"{server.url}/")
    assert finish(loop, going) == [b"/"]
    assert not waiting.done()
    assert not blocking.done()
    assert not loop.wait([waiting, blocking], 0)
    free.set()
    assert finish(loop, blocking) == [b"blocked"]
    clock.stop()
    assert finish(loop, waiting) == [b"waited"]


def test_what_fails_is_raised_in_the_call_and_where_its_result_is_asked_for(make: Make) -> None:
    caught: list[str] = []

    def fail() -> None:
        raise LookupError("in a thread")

    async def call(url: str) -> None:
        try:
            await Blocking(fail)
        except LookupError as error:
            caught.append(str(error))
        await Sending(Request("GET", url))

    loop = make(2)
    tasks = [loop.submit(call, url) for url in ("http://example.com/", "http://127.0.0.1:1/")]
    for task, kind in zip(tasks, (ConfigError, UnreachableError), strict=True):
        assert loop.wait([task], 30)
        with pytest.raises(kind):
            task.result()
    assert caught == ["in a thread"] * 2


def test_calls_that_fail_make_room_for_others(server: Server, make: Make) -> None:
    async def fail(url: str) -> bytes:
        raise ValueError(await get(url))

    loop = make(2)
    failing = [loop.submit(fail, f"{server.url}/{number}") for number in range(6)]
    assert finish(loop, loop.submit(get, f"{server.url}/last")) == [b"/last"]
    for number, task in enumerate(failing):
        assert loop.wait([task], 30)
        with pytest.raises(ValueError, match=f"/{number}"):
            task.result()
    assert loop.free == 2


def test_s2_a_stop_ends_requests_in_flight(server: Server, make: Make, clock: Clock) -> None:
    over = threading.Event()

    def stall(_: str) -> tuple[int, bytes]:
        clock.stop()
        over.wait(30)
        return 200, b""

    server.respond = stall
    loop = make(1)
    task = loop.submit(get, server.url)
    assert loop.wait([task], 30)
    with pytest.raises(StoppedError, match="the run was stopped during a request"):
        task.result()
    over.set()
