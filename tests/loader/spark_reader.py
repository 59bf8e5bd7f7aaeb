"""Reads tables of a lake with Spark: run by Spark's own environment, as docs/target-duckhouse.md says it is done.

On standard input, as JSON: a folder, and for each table by its name the paths and, where files hold all versions of a
row, the key. Writes the rows of each table into a file of that name in the folder, in Arrow's format.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pyarrow.feather
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql.functions import col, row_number


def main() -> None:
    spark = (
        SparkSession.builder.master("local[1]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.shuffle.partitions", "1")
        .getOrCreate()
    )
    told = json.load(sys.stdin)
    for name, table in told["tables"].items():
        found = spark.read.option("mergeSchema", "true").parquet(*table["paths"])
        rows = latest(found, table["key"]) if table["key"] else found
        pyarrow.feather.write_feather(rows.toArrow(), Path(told["folder"], name))
    spark.stop()


def latest(versions: DataFrame, key: str) -> DataFrame:
    newest_first = Window.partitionBy(key).orderBy(col("_singer_sequence").desc())
    found = versions.withColumn("_n", row_number().over(newest_first)).where("_n = 1")
    return found.where("_sdc_deleted_at IS NULL") if "_sdc_deleted_at" in versions.columns else found


if __name__ == "__main__":
    main()
