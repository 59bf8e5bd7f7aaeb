"""A Spark of two executor processes, a sandbox, and what they are compared by."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from merchant_spark import register
from merchant_spark.options import Options
from pyspark.sql import DataFrame, SparkSession

from merchant_sandbox.client import Sandbox, World
from tap_core.timestamps import text_of

DAY = 86_400.0
_EXECUTOR = "CoarseGrainedExecutorBackend"
_PATIENCE_S = 60.0


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.fixture
def world(sandbox: Sandbox) -> World:
    return sandbox.world(clock_rate=3600)


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    os.environ |= {"SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable}
    session = (
        SparkSession.builder.master("local-cluster[2,1,1024]")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.task.maxFailures", "2")
        .getOrCreate()
    )
    yield session
    session.stop()


class Source:
    """One vendor of a world, as a user of Spark reads it."""

    def __init__(self, spark: SparkSession, world: World, vendor: str, folder: Path, **settings: Any) -> None:
        self.spark, self.world, self.vendor = spark, world, vendor
        self.config = folder / f"{vendor}.json"
        self.config.touch(mode=0o600)
        self.config.write_text(json.dumps(world.config(vendor) | settings))

    def options(self, stream: str, **more: Any) -> dict[str, str]:
        given = {"vendor": self.vendor, "stream": stream, "config": self.config, **more}
        return {name: str(value) for name, value in given.items()}

    def read(self, stream: str, **more: Any) -> DataFrame:
        self._tell_time()
        return self.spark.read.format("merchant_taps").options(**self.options(stream, **more)).load()

    def follow(self, stream: str, **more: Any) -> DataFrame:
        self._tell_time()
        return self.spark.readStream.format("merchant_taps").options(**self.options(stream, **more)).load()

    def _tell_time(self) -> None:
        """Sandboxes have clocks of their own, which a source learns of when it is registered."""
        self.spark.sparkContext.environment["MERCHANT_CLOCK"] = self.world.clock()
        register(self.spark)

    def truth(self, stream: str, **more: Any) -> list[str]:
        rows = self.world.truth(self.vendor, stream)
        return self.texts(stream, rows, **more)

    def texts(self, stream: str, rows: Iterable[Any], **more: Any) -> list[str]:
        """Rows of any origin as texts that are equal if the rows are; columns that only a tap makes are left out."""
        kinds = {column.name: column.kind for column in Options(self.options(stream, **more)).columns}
        names = {name for row in self.world.truth(self.vendor, stream) for name in row} & kinds.keys()
        return sorted(
            json.dumps({name: _plain(row[name], kinds[name]) for name in sorted(names) if name in row}, sort_keys=True)
            for row in (row.asDict() if hasattr(row, "asDict") else _complete(row, names) for row in rows)
        )


def _complete(row: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {**dict.fromkeys(names), **row}


def _plain(value: Any, kind: str) -> Any:
    if value is None:
        return None
    match kind:
        case "decimal":
            return f"{Decimal(value):.10f}"
        case "time":
            return value if isinstance(value, str) else text_of(value.astimezone())
        case "json":
            return _without_nulls(json.loads(value) if isinstance(value, str) else value)
        case "mixed" | "date":
            return str(value)
        case _:
            return value


def _without_nulls(value: Any) -> Any:
    match value:
        case dict():
            return {name: _without_nulls(each) for name, each in value.items() if each is not None}
        case list():
            return [_without_nulls(each) for each in value]
    return value


def processes(*words: str) -> list[int]:
    """The processes on whose command line these words stand."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            arguments = path.read_bytes()
        except OSError:
            continue
        if all(word.encode() in arguments for word in words):
            found.append(int(path.parent.name))
    return found


def kill_executor(spark: SparkSession) -> None:
    """Kill one of the executors of a session as the kernel would for want of memory."""
    app = spark.sparkContext.applicationId
    os.kill(min(processes(_EXECUTOR, app)), signal.SIGKILL)


def until(condition: Callable[[], object]) -> None:
    """Wait for something that other processes do."""
    waited = threading.Event()
    for _ in range(int(_PATIENCE_S / 0.05)):
        if condition():
            return
        waited.wait(0.05)
    pytest.fail("it did not come")


def while_an_executor_dies(source: Source, calls: int, act: Callable[[], Any]) -> Any:
    """What comes of an action during which an executor is killed, after some calls of the API."""
    before = source.world.stats(source.vendor)["requests"]
    with ThreadPoolExecutor(1) as pool:
        acting = pool.submit(act)
        until(lambda: acting.done() or source.world.stats(source.vendor)["requests"] >= before + calls)
        assert not acting.done()
        kill_executor(source.spark)
        return acting.result()


@pytest.fixture
def source(spark: SparkSession, world: World, tmp_path: Path) -> Callable[..., Source]:
    def make(vendor: str, of: World | None = None, **settings: Any) -> Source:
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        return Source(spark, of or world, vendor, folder, **settings)

    return make
