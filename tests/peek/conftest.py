"""Runs of tap-peek against worlds of a test's own."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from typing_extensions import override

from tap_core.testing import Account, Run, merged, run_tap
from tap_peek.tap import TapPeek

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from merchant_sandbox.client import World


@pytest.fixture
def run() -> Callable[..., Run]:
    """Runs the tap against a world; takes what `run_tap` takes."""

    def run_once(world: World, *arguments: str, **more: Any) -> Run:
        return run_tap(TapPeek, Account(world.config("peek"), world.env("peek")), *arguments, **more)

    return run_once


@pytest.fixture
def assert_exact() -> Callable[[World, Run], None]:
    """Compares every stream of a run with the world's truth."""

    def compare(world: World, run: Run) -> None:
        assert run.code == 0, run.log
        for stream in run.streams:
            # The time of reading is part of a snapshot's key, and unknown to the world.
            keys = [key for key in run.keys(stream) if key != "_read_at"]
            found = merged(run.records(stream), keys, without=["_read_at"])
            assert len(found) == len(run.records(stream)), f"{stream} has repeats"
            wanted = merged(world.truth("peek", stream), keys)
            assert found.keys() == wanted.keys(), stream
            for key, row in wanted.items():
                assert found[key] == row, stream

    return compare


class Canned(ThreadingHTTPServer):
    """A server that knows no more than a few answers; what it was asked is in ``asked``.

    Args:
        answers: Status and JSON text by ``METHOD path``, below the base path; with its query where that matters.

    Attributes:
        answers_in_turn: Answers to the first calls, before those above.
    """

    daemon_threads = True
    base = "/integrations/octo"

    def __init__(self, answers: Mapping[str, tuple[int, bytes]]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = dict(answers)
        self.answers_in_turn: dict[str, list[tuple[int, bytes]]] = {}
        self.asked: list[str] = []

    @property
    def account(self) -> Account:
        """The settings that lead here."""
        return Account({"api_url": f"http://127.0.0.1:{self.server_port}{self.base}", "api_key": "canned-key"})


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Canned

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        whole = f"{self.command} {self.path.removeprefix(Canned.base)}"
        call = whole.partition("?")[0]
        self.server.asked.append(call)
        first = self.server.answers_in_turn.get(call)
        status, body = (
            first.pop(0) if first else self.server.answers.get(whole) or self.server.answers.get(call, (404, b"{}"))
        )
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = _answer  # noqa: N815  the names that http.server asks for

    @override
    def log_message(self, *_: object) -> None:
        """Nothing: tests look at ``asked``."""


@pytest.fixture
def canned() -> Iterator[Callable[[Mapping[str, tuple[int, bytes]]], Canned]]:
    """Makes servers that live as long as the test."""
    made: list[Canned] = []

    def make(answers: Mapping[str, tuple[int, bytes]]) -> Canned:
        server = Canned(answers)
        made.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return server

    yield make
    for server in made:
        server.shutdown()
        server.server_close()
