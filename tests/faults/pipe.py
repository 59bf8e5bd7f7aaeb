"""``tap | target-duckhouse`` as real processes, with somebody between them who counts and kills."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tests.faults.proxy import Proxy
from tests.pipeline.conftest import held
from tests.warm import Warm, run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from signal import Signals

    from tests.faults.shop import Shop

__all__ = ["Kill", "Pipe"]

_PIECE = 4096
_LOADER = (sys.executable, "-m", "target_duckhouse")


@dataclass(frozen=True)
class Kill:
    """Who is sent which signal, and when.

    Args:
        victims: The processes.
        signal: The signal.
        unit: What is counted: bytes that have passed, requests that the tap has made, or STATE lines that the loader
            has printed.
        after: How many of them come before it.
    """

    victims: Literal["tap", "loader", "both"]
    signal: Signals
    unit: Literal["bytes", "requests", "commits"]
    after: int


@dataclass
class Pipe:
    """A tap, a loader, and what is between them.

    Args:
        shop: The vendor.
        settings: Settings of the loader.
        state: Where the tap continues; after a run, the last state that the loader has confirmed.
        config: Settings of the tap beyond the shop's; None leaves one out.
        catalog: What the tap reads; by default, what it reads by itself.
        peaks: The most memory that each process of the last run has had, in MB.
    """

    shop: Shop
    settings: Mapping[str, Any] = field(default_factory=dict)
    state: dict[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    catalog: Mapping[str, Any] | None = None
    peaks: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        own = {"path": str(self.shop.folder / "warehouse.duckdb"), "schema": self.shop.vendor.name}
        settings = {**own, "flush_interval_s": 0, "batch_rows": 400, **self.settings}
        self.warehouse, self.schema = Path(settings["path"]), settings["schema"]
        self._file = self.shop.folder / "loader.json"
        self._file.write_text(json.dumps(settings))

    def run(
        self,
        kill: Kill | None = None,
        acts: Mapping[int, Callable[[], object]] | None = None,
        committed: Callable[[int], object] | None = None,
    ) -> tuple[int, int, str]:
        """Run both from the last state that the loader has confirmed; returns their codes and what they said.

        Args:
            kill: Who is sent a signal.
            acts: What else happens when the tap has made this many requests.
            committed: Is told how many STATE lines have been printed, each time there is one more.
        """
        victims: list[subprocess.Popen[bytes]] = []

        def strike() -> None:
            assert kill is not None
            for victim in victims:
                victim.send_signal(kill.signal)
            victims.clear()

        def passed(unit: str, number: int) -> None:
            if kill and kill.unit == unit and number >= kill.after:
                strike()
            if unit == "requests" and acts and number in acts:
                acts[number]()
            if unit == "commits" and committed:
                committed(number)

        with ExitStack() as stack:
            logs = [stack.enter_context((self.shop.folder / f"{name}.log").open("w+b")) for name in ("tap", "loader")]
            config = dict(self.config)
            if acts or (kill and kill.unit == "requests"):
                url = config.get("api_url", self.shop.config["api_url"])
                proxy = stack.enter_context(Proxy(url, watch=partial(passed, "requests")))
                config["api_url"] = proxy.url(url)
            tap = self.shop.start(state=self.state, catalog=self.catalog, config=config, stderr=logs[0])
            loader: subprocess.Popen[bytes] = Warm(
                [*_LOADER, "--config", str(self._file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=logs[1]
            )
            victims += {"tap": [tap], "loader": [loader], "both": [tap, loader]}[kill.victims] if kill else []

            confirming = threading.Thread(target=self._confirm, args=(loader, partial(passed, "commits")))
            confirming.start()
            self._pump(tap, loader, partial(passed, "bytes"))
            codes = tap.wait(), loader.wait()
            confirming.join()
            for log in logs:
                log.seek(0)
            return *codes, "".join(log.read().decode() for log in logs)

    def ask(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        """Run a command of the loader, such as ``state``, with its settings."""
        command = [*_LOADER, *arguments[:1], "--config", str(self._file), *arguments[1:]]
        return run(command)

    def _confirm(self, loader: subprocess.Popen[bytes], passed: Callable[[int], None]) -> None:
        assert loader.stdout is not None
        with loader.stdout:
            for number, line in enumerate(loader.stdout, start=1):
                if line.endswith(b"\n"):
                    self.state = json.loads(line)
                passed(number)

    def _pump(
        self, tap: subprocess.Popen[bytes], loader: subprocess.Popen[bytes], passed: Callable[[int], None]
    ) -> None:
        assert tap.stdout is not None
        assert loader.stdin is not None
        count = 0
        with suppress(BrokenPipeError):
            while piece := tap.stdout.read1(_PIECE):  # type: ignore[attr-defined]
                loader.stdin.write(piece)
                loader.stdin.flush()
                count += len(piece)
                passed(count)
                self.peaks |= {"tap": _peak(tap.pid) or self.peaks.get("tap", 0)}
                self.peaks |= {"loader": _peak(loader.pid) or self.peaks.get("loader", 0)}
        tap.stdout.close()
        with suppress(BrokenPipeError):
            loader.stdin.close()

    def rows(self, stream: str, *, gone: bool = False) -> list[dict[str, Any]]:
        """The rows of a table, without what only the loader or the hour of reading puts there.

        Args:
            stream: The table.
            gone: Whether to return the rows that are marked as gone instead.
        """
        ours = {"_read_at", "_sdc_version", "_sdc_table_version"}
        return [
            {name: value for name, value in row.items() if value is not None and name not in ours}
            for row in held(self.warehouse, self.schema, stream, gone=gone)
        ]


def _peak(pid: int) -> float:
    """The most memory that a process has had so far, in MB; 0 if it has ended.

    What `wait4` reports would be the most of this process, from which the other one was made, if that is more.
    """
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return 0.0
