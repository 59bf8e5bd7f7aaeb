"""What a program costs: processes run to their end, and their CPU time, wall time and memory."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT = Path(__file__).parents[1]
PYTHON = sys.executable


@dataclass(frozen=True, slots=True)
class Program:
    """A process to run.

    Args:
        command: The program and its arguments.
        environment: Variables beside those of this process.
        folder: Where it runs.
        source: What it reads, if no other program writes that; nothing by default.
    """

    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path = ROOT
    source: Path = Path(os.devnull)

    @property
    def variables(self) -> dict[str, str]:
        """The whole environment."""
        ours = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        return ours | dict(self.environment)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process and those that it waited for took.

    Args:
        cpu: CPU seconds, user's and system's.
        wall: Seconds until the whole pipeline had ended.
        memory: The peak of the largest process, in MB.
    """

    cpu: float
    wall: float
    memory: float


def run(*programs: Program) -> list[Cost]:
    """Run a pipeline to its end; its output is discarded.

    Args:
        programs: The processes; each reads what the one before it writes.

    Raises:
        SystemExit: One of them failed.
    """
    with ExitStack() as stack:
        begun = perf_counter()
        stream: IO[bytes] = stack.enter_context(programs[0].source.open("rb"))
        started = []
        for program in programs:
            last = program is programs[-1]
            errors = stack.enter_context(tempfile.TemporaryFile())
            process = subprocess.Popen(
                program.command,
                stdin=stream,
                stdout=subprocess.DEVNULL if last else subprocess.PIPE,
                stderr=errors,
                env=program.variables,
                cwd=program.folder,
            )
            stack.callback(end, process)
            stream.close()  # the process has it: what reads from it must see its end
            if process.stdout:
                stream = process.stdout
            started.append((program, process, errors))
        usages = []
        for _, process, _ in started:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            usages.append(usage)
        wall = perf_counter() - begun
        for program, process, errors in started:
            if process.returncode:
                errors.seek(0)
                said = errors.read().decode(errors="replace")[-4_000:]
                raise SystemExit(f"{' '.join(program.command)[:500]} ended with {process.returncode}:\n{said}")
    return [Cost(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024) for usage in usages]


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process that is still there, because the measurement was broken off."""
    if process.returncode is None:
        process.kill()
        process.wait()


def output(program: Program) -> Iterator[bytes]:
    """The lines that a program writes."""
    with subprocess.Popen(
        program.command, env=program.variables, cwd=program.folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout
        yield from process.stdout


@contextmanager
def api(records: int, latency_ms: float = 0) -> Iterator[str]:
    """The address of a `benchmarks.api` with this many records."""
    command = [PYTHON, "-m", "benchmarks.api", f"--records={records}", f"--latency-ms={latency_ms}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.terminate()
