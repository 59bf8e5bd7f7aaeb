"""Settings that cannot work are refused in one line, before anything is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.loader.harness import Loader


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("path", "md:my_db?motherduck_token=canary"),
        ("path", "s3://canary:canary@bucket/warehouse.duckdb"),
        ("path", "ducklake:metadata"),
        ("path", "file:///warehouse.duckdb"),
        ("path", ":memory:"),
        ("path", "what?.duckdb"),
        ("lake_path", "s3://bucket/lake"),
        ("lake_path", "gs://bucket"),
        ("lake_path", "abfss://container@account/lake"),
        ("lake_path", "HTTPS://host/lake"),
        ("schema", "_Lake_shop"),
        ("schema", "information_schema"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_written(loader: Loader, name: str, value: str) -> None:
    before = set(loader.folder.rglob("*"))
    done = loader.run([], **{name: value})
    assert done.returncode == 2
    (line,) = done.stderr.decode().splitlines()
    assert f"setting `{name}`" in line
    assert "canary" not in line
    assert [path for path in set(loader.folder.rglob("*")) - before if not path.name.startswith("config.json")] == []


def test_a_path_may_look_like_an_address(loader: Loader) -> None:
    folder = loader.folder / "md:x"
    folder.mkdir()
    loader.load([], path=str(folder / "a.duckdb"), lake_path=str(folder / "lake"))
    assert (folder / "a.duckdb").exists()
