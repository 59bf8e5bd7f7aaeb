"""Measures how many rows a second come through, with 1, 2 and 4 parts of a stream, and prints a table.

Each response of the sandbox comes after 100 ms. A read ends with a count, so it holds everything from planning to the
last row, and each number of parts is read three times, after one read that is not counted: the best one is shown.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path

from merchant_spark import register
from pyspark.sql import SparkSession

from merchant_sandbox.client import Sandbox

LATENCY_S = 0.1
PARTS = (1, 2, 4)
READS = 3


def main() -> None:
    """Measure, and print."""
    with Sandbox() as sandbox, tempfile.TemporaryDirectory() as folder:
        world = sandbox.world(size="medium", switches={"premiumpay": {"rate_limit": 0}})
        world.fault("premiumpay", "*", "delay", seconds=LATENCY_S, times=None)
        os.environ |= {"SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable, "MERCHANT_CLOCK": world.clock()}
        config = Path(folder, "premiumpay.json")
        config.touch(mode=0o600)
        config.write_text(json.dumps(world.config("premiumpay")))
        builder = SparkSession.builder.master("local[4]").config("spark.ui.enabled", "false")
        spark = builder.config("spark.driver.host", "127.0.0.1").getOrCreate()
        register(spark)

        def read(parts: int) -> tuple[int, float]:
            options = {"vendor": "premiumpay", "stream": "sales", "config": str(config), "partitions": str(parts)}
            began = time.monotonic()
            rows = spark.read.format("merchant_taps").options(**options).load()
            return rows.where("amount IS NOT NULL OR amount IS NULL").count(), time.monotonic() - began

        read(PARTS[0])
        print("| partitions | rows | seconds | rows a second |\n| --- | --- | --- | --- |")
        for parts in PARTS:
            before = world.stats("premiumpay")["requests"]
            rows, seconds = min((read(parts) for _ in range(READS)), key=lambda read: read[1])
            calls = (world.stats("premiumpay")["requests"] - before) // READS
            print(f"| {parts} | {rows:,} in {calls:,} calls | {seconds:.1f} | {rows / seconds:,.0f} |", flush=True)
        spark.stop()


if __name__ == "__main__":
    main()
