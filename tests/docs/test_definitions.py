"""The definitions in `plugins/` are what the Meltano Hub would take, and what the code says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from scripts.definitions import definitions

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "plugins").rglob("*.yml"))
HUB: dict[str, Any] = json.loads((ROOT / "tests/data/hub.schema.json").read_text(encoding="utf-8"))

pytestmark = pytest.mark.xdist_group("pages")  # whose descriptions are asked for once


def test_there_is_an_up_to_date_definition_of_every_tap_and_of_the_loader() -> None:
    wanted = definitions()
    assert sorted(wanted) == FILES, "run: make docs"
    for file, text in wanted.items():
        assert file.read_text(encoding="utf-8") == text, "run: make docs"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_definition_is_valid_under_the_schema_of_the_hub(file: Path) -> None:
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert [*Draft7Validator({**HUB, "$ref": f"#/definitions/{file.parent.name}"}).iter_errors(content)] == []
    assert content["name"] == content["executable"] == file.stem


@pytest.mark.parametrize(
    "wrong",
    [
        {"quality": "excellent"},
        {"capabilities": ["flying"]},
        {"settings": [{"name": "a", "kind": "number"}]},
        {"settings": [{"name": "a", "default": 1}]},
        {"stars": 5},
    ],
    ids=str,
)
def test_the_schema_of_the_hub_refuses_what_the_hub_does(wrong: dict[str, Any]) -> None:
    content = yaml.safe_load(FILES[0].read_text(encoding="utf-8"))
    assert not Draft7Validator({**HUB, "$ref": "#/definitions/extractors"}).is_valid({**content, **wrong})
