"""Settings that cannot work are refused in one line, before anything is written."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from target_duckhouse.errors import SettingsError
from target_duckhouse.settings import Settings, describe, read_settings
from tests.loader.harness import DATE_TIME, INTEGER, record, schema
from tests.settings_made import CANARY, kinds_of, right_value, text_of, wrong_texts, wrong_values

if TYPE_CHECKING:
    from pathlib import Path

    from tests.loader.harness import Loader

SETTINGS = {entry["name"]: entry for entry in describe()}


@pytest.mark.parametrize("name", SETTINGS)
def test_c1_every_wrong_setting_is_named_without_its_value(tmp_path: Path, name: str) -> None:
    """As the loader's own schema says, so that a new setting is covered too; given in a file or as a variable."""
    entry = SETTINGS[name]
    file = tmp_path / "config.json"
    refused = 0
    for value in wrong_values(entry["schema"]):
        file.write_text(json.dumps({name: value}))
        refused += refusal(name, [str(file)], {})
    for text in wrong_texts(entry["schema"]):
        refused += refusal(name, [], {entry["env"]: text})
    assert refused


def refusal(name: str, files: list[str], environ: dict[str, str]) -> bool:
    with pytest.raises(SettingsError) as caught:
        read_settings(files, environ)
    said = str(caught.value)
    assert caught.value.exit_code == 2
    assert f"setting `{name}`" in said
    assert CANARY not in said
    assert "\n" not in said
    return True


@pytest.mark.parametrize("name", SETTINGS)
def test_c2_bytes_that_are_not_text_are_told(name: str) -> None:
    """A variable of the environment may hold any bytes."""
    assert refusal(name, [], {SETTINGS[name]["env"]: "a\udcff"})


def test_c2_every_setting_is_read_from_the_environment_as_what_it_is() -> None:
    kinds = set()
    for name, entry in SETTINGS.items():
        kinds |= kinds_of(entry["schema"])
        value: Any = right_value(entry["schema"], entry["default"])
        assert read_settings([], {entry["env"]: text_of(value)}) == Settings(**{name: value})
    assert kinds == {"string", "integer", "number", "boolean", "object", "array"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("path", "md:my_db?motherduck_token=canary"),
        ("path", "s3://canary:canary@bucket/warehouse.duckdb"),
        ("path", "ducklake:metadata"),
        ("path", "file:///warehouse.duckdb"),
        ("path", ":memory:"),
        ("path", "what?.duckdb"),
        ("lake_path", "s3://bucket/lake?region=canary"),
        ("lake_path", "s3://"),
        ("lake_path", "s3://bucket//canary"),
        ("lake_path", "s3://bucket/../canary"),
        ("lake_path", "a\\canary"),
        ("lake_path", "a\ncanary"),
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


def test_a_stream_or_property_that_nobody_has_is_told_with_what_it_may_mean(loader: Loader) -> None:
    """A misspelt name would change nothing: no history, and changes that were to stop the load."""
    shop = [schema("Invoices", {"id": INTEGER, "day": DATE_TIME, "total": INTEGER}, ["id"]), record("Invoices", id=1)]
    lake = {"lake_path": str(loader.folder / "lake")}

    def told(messages: list[Any], **settings: Any) -> list[str]:
        done = loader.run(messages, **settings)
        assert done.returncode == 0
        lines = [line.split(" ", 2)[2] for line in done.stderr.decode().splitlines() if " setting `" in line]
        return [line.replace(" setting", ":") for line in lines]

    nobodys = "no stream of this run or of the warehouse has that name"
    assert told(shop, history=["invoices"], schema_changes={"*": "fail", "INVOICES": "evolve"}) == []
    assert told(shop, history=["invoice"], schema_changes={"x\ny": "fail"}) == [
        f"WARNING: `history` names 'invoice': {nobodys}; did you mean 'Invoices'?",
        f"INFO: `schema_changes` names 'x\\ny': {nobodys}",  # another pipeline with the same settings may have it
    ]
    assert told([schema("log", {"n": INTEGER}, [])], schema="other", history=["invoices"]) == []
    assert told([], history=["invoice"]) == []

    assert told(shop, schema="lake", lake_partition_by="day", **lake) == []
    assert told([schema("log", {"n": INTEGER}, [])], schema="lake", lake_partition_by="day", **lake) == []
    (wrong_type,) = told(shop, schema="l2", lake_partition_by="total", **lake)
    assert wrong_type == "WARNING: `lake_partition_by` names 'total': it is neither a date nor a date-time"
    (unknown,) = told(shop, schema="l3", lake_partition_by="dy", **lake)
    assert unknown.startswith("WARNING: `lake_partition_by` names 'dy': no property of this run or of the warehouse")
    assert unknown.endswith("; did you mean 'day'?")
    assert told(shop, lake_partition_by="day") == ["WARNING: `lake_partition_by` has no effect without `lake_path`"]
