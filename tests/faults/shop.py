"""Runs of one tap against one world, and what they may and may not have given."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tap_core.airbyte.catalog import catalog_of
from tap_core.airbyte.cli import outcome, read
from tap_core.airbyte.spec import settings_from
from tap_core.airbyte.writer import AirbyteWriter, Log
from tap_core.config.redact import secret_values
from tap_core.errors import TapError
from tap_core.output.messages import MessageWriter
from tap_core.testing import Record, Run, without_nulls
from tests.airbyte.face import Sync, configured, singer
from tests.canary import shown
from tests.warm import Warm

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from merchant_sandbox.client import World
    from tests.faults.vendors import Vendor

__all__ = ["OF_A_MOMENT", "Shop", "assert_same", "given", "taken"]

OF_A_MOMENT = frozenset({"server_status", "store_activity"})
"""Streams of what a run happens to meet."""


@dataclass
class Shop:
    """One vendor in a world of the test's own.

    Args:
        vendor: The vendor.
        world: The world.
        folder: For files.
        calm: What a run without faults gives in such a world.
        customers: How many of its customers Pegke reads; None for all.
        synced: What the last run as an Airbyte source gave.
        face: How the tap is run: as a Singer tap, or as an Airbyte source, whose messages are then read as Singer's.
    """

    vendor: Vendor
    world: World
    folder: Path
    calm: Run | None = None
    customers: int | None = 6
    synced: Sync | None = None
    face: str = os.environ.get("FACE", "singer")

    @property
    def config(self) -> dict[str, Any]:
        config = {**self.world.config(self.vendor.name), **self.vendor.config}
        if self.vendor.name == "pegke":
            config["customers"] = config["customers"][: self.customers]
        return config

    @property
    def secrets(self) -> list[str]:
        """The texts of all secret settings."""
        return sorted(set(secret_values(self.config, self.vendor.tap.config_jsonschema)))

    def fault(self, kind: str, route: str | None = None, **details: Any) -> None:
        """Switch a fault on, for the calls of the main stream unless told otherwise."""
        self.world.fault(self.vendor.name, route or self.vendor.route, kind, **details)

    @property
    def fired(self) -> list[int]:
        """How often each fault has struck."""
        return [fault["fired"] for fault in self.world.faults(self.vendor.name)]

    # Runs

    def read(
        self,
        *,
        state: Mapping[str, Any] | None = None,
        catalog: Mapping[str, Any] | None = None,
        everything: bool = False,
        url: str | None = None,
        level: int = logging.INFO,
        **config: Any,
    ) -> Run:
        """Run the tap inside this process.

        Args:
            state: Where to continue.
            catalog: What to read; by default, the vendor's `streams`.
            everything: Whether to read all streams.
            url: Another address of the sandbox.
            level: The level of the log.
            config: Further settings; None leaves one out.
        """
        settings = {**self.config, **config} | ({"api_url": url} if url else {})
        settings = {name: value for name, value in settings.items() if value is not None}
        if catalog is None and not everything:
            catalog = self.vendor.catalog
        if self.face == "airbyte":
            return self._sync(settings, state, catalog, level)
        code = 0
        with (self.folder / "messages.jsonl").open("w+b") as output, self._listening(level) as said:
            try:
                writer = MessageWriter(output.fileno())
                self.vendor.tap(
                    config=settings,
                    state=json.loads(json.dumps(state)) if state else None,
                    catalog=json.loads(json.dumps(catalog)) if catalog else None,
                    message_writer=writer,
                ).run()
            except TapError as error:
                code = error.exit_code
                said.write(f"{error}\n")
            output.seek(0)
            run = Run(code, output.read(), said.getvalue())
        assert self.world.stats(self.vendor.name)["writes"] == []
        return run

    def _sync(
        self,
        settings: Mapping[str, Any],
        state: Mapping[str, Any] | None,
        catalog: Mapping[str, Any] | None,
        level: int,
    ) -> Run:
        """The same as a sync of the source."""
        log, kind = Log(), self.vendor.tap
        asked: dict[str, Any] = {"streams": []}

        def sync() -> None:
            own = settings_from(settings, kind)
            asked.update(configured(catalog_of(kind(config=own))["catalog"], catalog))
            read(kind, writer, own, asked, json.loads(json.dumps(state)))

        with (self.folder / "messages.jsonl").open("w+b") as output, self._listening(level) as said:
            logging.getLogger().addHandler(log)
            writer = AirbyteWriter(log, output.fileno())
            try:
                code = outcome(writer, sync)
            finally:
                logging.getLogger().removeHandler(log)
            output.seek(0)
            done = Sync(code, output.read(), said.getvalue())
        assert self.world.stats(self.vendor.name)["writes"] == []
        self.synced = done
        return singer(done, asked)

    @contextmanager
    def _listening(self, level: int) -> Iterator[StringIO]:
        said, root = StringIO(), logging.getLogger()
        handler = logging.StreamHandler(said)
        with pytest.MonkeyPatch.context() as patch, redirect_stderr(said):
            patch.setenv("MERCHANT_CLOCK", self.world.clock())
            patch.setattr(root, "level", level)
            root.addHandler(handler)
            before = {each: list(each.filters) for each in _handlers()}
            try:
                yield said
            finally:
                root.removeHandler(handler)
                for each in _handlers():  # the filters of a hundred taps would look at every line
                    each.filters[:] = before.get(each, [])

    def start(
        self,
        *arguments: str,
        state: Mapping[str, Any] | None = None,
        catalog: Mapping[str, Any] | None = None,
        config: Mapping[str, Any] | None = None,
        kind: type[subprocess.Popen[bytes]] = Warm,
        **options: Any,
    ) -> subprocess.Popen[bytes]:
        """The tap as a process of its own.

        Args:
            arguments: Further arguments.
            state: Where to continue.
            catalog: What to read.
            config: Further settings; None leaves one out.
            kind: How the process starts.
            options: For `subprocess.Popen`.
        """
        settings = {**self.config, **(config or {})}
        files = {
            "config": {name: value for name, value in settings.items() if value is not None},
            "state": state or None,
            "catalog": catalog,
        }
        command = [sys.executable, "-m", f"tap_{self.vendor.name}"]
        for name, content in files.items():
            if content is None:
                continue
            path = self.folder / f"{name}.json"
            path.unlink(missing_ok=True)
            path.touch(mode=0o600)
            path.write_text(json.dumps(content))
            command += [f"--{name}", str(path)]
        given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        env = {**os.environ, "MERCHANT_CLOCK": self.world.clock(), **given.pop("env", {})}
        return kind([*command, *arguments], env=env, stdin=subprocess.DEVNULL, **given)

    # What they gave

    @property
    def streams(self) -> list[str]:
        """The streams that are compared."""
        assert self.calm is not None
        return [stream for stream in given(self.calm).rows if stream not in OF_A_MOMENT]

    def assert_exact(self, run: Run) -> None:
        """A run gave what a calm one gives."""
        assert self.calm is not None
        assert run.code == 0, run.log
        for stream in self.streams:
            assert_same(given(run).rows.get(stream, {}), given(self.calm).rows[stream], stream)

    def assert_stopped(self, run: Run, *, code: int = 4, says: str = "", stream: str | None = "") -> None:
        """A clean stop: a code, a line that names stream and cause, and nothing wrong written.

        Args:
            run: The run.
            code: The exit code.
            says: What the line says.
            stream: The stream that it names, by default the main one; None for none.
        """
        assert self.calm is not None
        assert run.code == code, run.log
        assert "Traceback" not in run.log
        name = self.vendor.main if stream == "" else stream
        assert [line for line in run.log.splitlines() if says in line and (name or "") in line], (says, run.log)
        assert run.output == b"" or run.output.endswith(b"\n")
        for each in set(given(run).rows) & set(self.streams):
            found, calm = given(run).rows[each], given(self.calm).rows[each]
            assert_same(found, {key: calm[key] for key in found if key in calm}, each)
        self.assert_silent(run)

    def assert_silent(self, run: Run) -> None:
        """No secret is shown anywhere, in any form."""
        assert shown(self.secrets, run.log, run.output.decode()) == []

    def assert_made_up_for(self, run: Run, **config: Any) -> None:
        """Another run, from where this one ended, makes the whole exact."""
        assert self.calm is not None
        self.world.clear_faults(self.vendor.name)
        again = self.read(state=given(run).state, **config)
        assert again.code == 0, again.log
        for stream in self.streams:
            held = {} if stream in given(again).activated else given(run).rows.get(stream, {})
            assert_same({**held, **given(again).rows.get(stream, {})}, given(self.calm).rows[stream], stream)


def _handlers() -> list[logging.Handler]:
    """All handlers of this process."""
    loggers = [logging.getLogger(), *logging.Logger.manager.loggerDict.values()]
    return [handler for logger in loggers for handler in getattr(logger, "handlers", ())]


@dataclass(frozen=True)
class Given:
    """What a run gave, as a target holds it.

    Args:
        rows: The rows of each stream by key, without the time of reading; the last one of a key wins.
        activated: The streams of which a version was activated.
        state: The last state; empty if there was none.
    """

    rows: Mapping[str, Mapping[Any, Record]]
    activated: frozenset[str]
    state: Mapping[str, Any]


_given: dict[int, tuple[Run, Given]] = {}
_MOST = 20


def given(run: Run) -> Given:
    """What a run gave; looked at once."""
    if id(run) not in _given:
        if len(_given) > _MOST:
            _given.clear()
        _given[id(run)] = run, taken(run.output)
    return _given[id(run)][1]


def taken(output: bytes) -> Given:
    """What a tap's output gave."""
    keys: dict[str, list[str]] = {}
    rows: dict[str, dict[Any, Record]] = {}
    activated: set[str] = set()
    state: dict[str, Any] = {}
    for line in output.splitlines():
        message = msgspec.json.decode(line)
        stream = message.get("stream")
        match message["type"]:
            case "SCHEMA":
                keys[stream] = [key for key in message["key_properties"] if key != "_read_at"]
                rows.setdefault(stream, {})
            case "RECORD":
                record = message["record"]
                record.pop("_read_at", None)
                rows[stream][tuple(record[key] for key in keys[stream])] = record
            case "ACTIVATE_VERSION":
                activated.add(stream)
            case "STATE":
                state = message["value"]
    return Given(rows, frozenset(activated), state)


def assert_same(found: Mapping[Any, Record], wanted: Mapping[Any, Record], what: str) -> None:
    """Rows are equal, null and absent being the same."""
    odd = {
        key: (found.get(key), wanted.get(key))
        for key in found.keys() | wanted.keys()
        if found.get(key) != wanted.get(key)
        and without_nulls(found.get(key, "absent")) != without_nulls(wanted.get(key, "absent"))
    }
    assert odd == {}, what
