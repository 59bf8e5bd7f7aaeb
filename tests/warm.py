"""Processes of the project's programs that start warm: forked from one that has imported them.

They are processes like others, with a pid, pipes, signals and an end of their own. Only the imports have been made
before: most of the time of a start, and of no concern to a test of what comes after it.
"""

from __future__ import annotations

import atexit
import json
import os
import runpy
import select
import selectors
import signal
import socket
import subprocess
import sys
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.tree import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from threading import Lock

__all__ = ["Warm", "run"]

_LONGEST = 1 << 17
"""Bytes of a request."""
_FILES = 1 << 16
"""More than a process has open."""
_NUMBER = 4
"""Bytes of an answer: a pid, and later a status."""


class _Warm(subprocess.Popen[bytes]):
    """`subprocess.Popen` for ``python -m MODULE ...`` or one of the project's scripts, without a session of its own."""

    def _execute_child(self, args: Sequence[str], *more: Any) -> None:
        _, prepare, _, inherited, cwd, env, _, _, _, *pipes = more[:15]
        assert not prepare
        assert not inherited
        self._told, telling = socket.socketpair()
        with telling:
            ends = [default if end == -1 else end for default, end in enumerate((pipes[0], pipes[3], pipes[5]))]
            place, variables = Path(cwd or "").absolute(), os.environ if env is None else env
            asked = {"command": args, "place": str(place), "env": dict(variables)}
            socket.send_fds(_server(_modules(args)), [json.dumps(asked).encode()], [*ends, telling.fileno()])
        self.pid, self._child_created = self._number(), True
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]

    def _number(self) -> int:
        told = self._told.recv(_NUMBER)
        assert told, "what forks processes has ended"
        return int.from_bytes(told, "little")

    def _internal_poll(self, **_: object) -> int | None:
        return self._end(0)

    def _wait(self, timeout: float | None) -> int:
        code = self._end(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return code

    def _end(self, timeout: float | None) -> int | None:
        lock: Lock = self._waitpid_lock  # type: ignore[attr-defined]
        if lock.acquire(blocking=timeout != 0):  # who only asks must not wait for somebody who waits
            try:
                if self.returncode is None and select.select([self._told], [], [], timeout)[0]:
                    self.returncode = os.waitstatus_to_exitcode(self._number())
                    self._told.close()
            finally:
                lock.release()
        return self.returncode


Warm: type[subprocess.Popen[bytes]] = _Warm if hasattr(os, "pidfd_open") else subprocess.Popen
"""Elsewhere than on Linux, processes start cold."""


def run(
    command: Sequence[str], given: bytes = b"", env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run a command to its end, as `Warm` does."""
    pipe = subprocess.PIPE
    with Warm(command, stdin=pipe, stdout=pipe, stderr=pipe, env=env) as process:
        output, errors = process.communicate(given)
    return subprocess.CompletedProcess(command, process.returncode, output, errors)


def _modules(command: Sequence[str]) -> tuple[str, ...]:
    """What a command imports, of a module such as ``tap_peek`` or a script such as ``source-peek``."""
    program = command[2] if command[0] == sys.executable else Path(command[0]).name
    kind, _, name = program.replace("_", "-").partition("-")
    if kind == "target":
        return ("target_duckhouse.cli",)
    return (
        f"tap_{name}.tap" if name else "tap_core.tap",
        "tap_core.airbyte.cli",
    )  # the first unless it is a test's tap


@cache
def _server(modules: tuple[str, ...]) -> socket.socket:
    """A connection to the process that has imported these modules, and which ends with this one."""
    ours, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
    with theirs:
        number = theirs.fileno()
        command = [sys.executable, "-m", "tests.warm", str(number), *modules]
        nothing = subprocess.DEVNULL
        process = subprocess.Popen(command, cwd=ROOT, pass_fds=[number], stdin=nothing, stdout=nothing)
    atexit.register(process.wait)
    atexit.register(ours.close)
    return ours


def _serve(control: socket.socket) -> list[str]:
    """Fork a process for each request, and tell its pid and how it has ended; returns a command, in each of them."""
    waiting = selectors.DefaultSelector()
    waiting.register(control, selectors.EVENT_READ)
    while True:
        for ready, _ in waiting.select():
            if ready.data:
                pid, telling = ready.data
                waiting.unregister(ready.fd)
                os.close(ready.fd)
                os.write(telling, os.waitpid(pid, 0)[1].to_bytes(_NUMBER, "little"))
                os.close(telling)
                continue
            asked, ends, _, _ = socket.recv_fds(control, _LONGEST, 4)
            if not asked:
                sys.exit()
            pid = os.fork()
            if not pid:
                waiting.close()
                return _become(asked, ends)
            *used, telling = ends
            for end in used:
                os.close(end)
            os.write(telling, pid.to_bytes(_NUMBER, "little"))
            waiting.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, telling))


def _become(asked: bytes, ends: Sequence[int]) -> list[str]:
    wanted = json.loads(asked)
    for number, end in enumerate(ends[:3]):
        os.dup2(end, number)
    os.closerange(3, _FILES)
    os.chdir(wanted["place"])
    os.environ.clear()
    os.environ.update(wanted["env"])
    command: list[str] = wanted["command"]
    return command


def _main() -> None:
    interrupted = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as whoever has started the tests does
    _, number, *modules = sys.argv
    for name in modules:
        import_module(name)
    control = socket.socket(fileno=int(number))
    command = _serve(control)
    control.detach()
    signal.signal(signal.SIGINT, interrupted)
    if command[0] == sys.executable:
        sys.argv = command[2:]
        runpy.run_module(command[2], run_name="__main__", alter_sys=True)
    else:
        sys.argv = command
        runpy.run_path(command[0], run_name="__main__")


if __name__ == "__main__":
    _main()
