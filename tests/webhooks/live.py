"""``tap | target-duckhouse`` with webhooks, in processes that can be killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tests.webhooks.receiver import environment

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from merchant_sandbox.client import World

__all__ = ["Pipeline"]


class Pipeline:
    """A tap and a loader, which goes on from what the loader has committed.

    Args:
        folder: Where their files are.
        world: What the tap reads.
        catalog: Which streams it reads.
        config: Settings of the tap.
    """

    def __init__(self, folder: Path, world: World, catalog: Mapping[str, Any], **config: Any) -> None:
        self.warehouse, self._folder, self._world = folder / "warehouse.duckdb", folder, world
        self._config = config
        self.state: dict[str, Any] = {}
        self.committed = threading.Event()
        self.tap: subprocess.Popen[bytes]
        self.loader: subprocess.Popen[bytes]
        self._confirming = threading.Thread()
        self._write("catalog.json", catalog)
        self._write("loader.json", {"path": str(self.warehouse), "schema": "peek", "flush_interval_s": 0})

    def _write(self, name: str, content: Any) -> str:
        path = self._folder / name
        path.touch(mode=0o600)
        path.write_text(json.dumps(content))
        return str(path)

    def start(self, **config: Any) -> None:
        """Start both."""
        settings = {**self._world.config("peek"), **self._config, **config}
        command = [sys.executable, "-m", "tap_peek", "--config", self._write("tap.json", settings)]
        command += ["--catalog", str(self._folder / "catalog.json")]
        if self.state:
            command += ["--state", self._write("state.json", self.state)]
        env = {**environment(), **self._world.env("peek")}
        self.committed.clear()
        with (self._folder / "tap.log").open("wb") as said:
            self.tap = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, env=env)
        loading = [sys.executable, "-m", "target_duckhouse", "--config", str(self._folder / "loader.json")]
        with (self._folder / "loader.log").open("wb") as said:
            self.loader = subprocess.Popen(
                loading, stdin=self.tap.stdout, stdout=subprocess.PIPE, stderr=said, env=environment()
            )
        assert self.tap.stdout
        self.tap.stdout.close()
        self._confirming = threading.Thread(target=self._confirm)
        self._confirming.start()

    def _confirm(self) -> None:
        assert self.loader.stdout
        with self.loader.stdout as lines:
            for line in lines:
                if line.endswith(b"\n"):
                    self.state = json.loads(line)
                    self.committed.set()

    def end(self, *victims: tuple[str, int]) -> tuple[int, int]:
        """Send signals to ``tap`` or ``loader``, and wait for both; returns their codes."""
        for name, number in victims:
            with suppress(ProcessLookupError):
                os.kill(getattr(self, name).pid, number)
        try:
            return self.tap.wait(60), self.loader.wait(60)
        finally:
            self.kill()

    def kill(self) -> None:
        """Leave no process behind."""
        if self._confirming.ident is not None:
            for process in (self.tap, self.loader):
                process.kill()
                process.wait()
            self._confirming.join()

    def run(self, **config: Any) -> None:
        """Run both to their end."""
        self.start(**config)
        codes = self.end()
        assert codes == (0, 0), (codes, self.log())

    def log(self) -> str:
        return (self._folder / "tap.log").read_text() + (self._folder / "loader.log").read_text()
