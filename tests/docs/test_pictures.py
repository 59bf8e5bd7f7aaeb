"""The pictures and sample rows of the taps' pages show what is there."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import Any

import pytest

from merchant_sandbox.world import Worlds
from scripts.describe import VENDORS, catalog
from scripts.pictures import FOLDER, pictures, references

SVG = "{http://www.w3.org/2000/svg}"
GONE = 3
"""Rows of a parent that a day at the vendor may have removed, while others still name them."""


def test_the_pictures_are_up_to_date() -> None:
    assert {path: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()} == pictures(), "run: make docs"


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_picture_shows_every_table_and_needs_nothing_else(vendor: str) -> None:
    text = (FOLDER / f"{vendor}.svg").read_text(encoding="utf-8")
    root = ET.fromstring(text)
    names = [element.text for element in root.iter(f"{SVG}text") if element.get("class") == "name"]
    assert sorted(map(str, names)) == sorted(entry["tap_stream_id"] for entry in catalog(vendor))
    assert len([*root.iter(f"{SVG}path")]) == len(references(vendor))
    assert not re.search(r"href|url\(|@import|<script", text)


@pytest.mark.parametrize("vendor", VENDORS)
def test_the_boxes_of_a_picture_do_not_overlap(vendor: str) -> None:
    root = ET.fromstring((FOLDER / f"{vendor}.svg").read_text(encoding="utf-8"))
    boxes = [
        tuple(float(str(box.get(name))) for name in ("x", "y", "width", "height"))
        for box in root.iter(f"{SVG}rect")
        if box.get("class") == "box"
    ]
    for number, (x, y, width, height) in enumerate(boxes):
        for x2, y2, width2, height2 in boxes[:number]:
            assert x + width <= x2 or x2 + width2 <= x or y + height <= y2 or y2 + height2 <= y


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_reference_is_a_value_of_the_other_table(vendor: str) -> None:
    truth = Worlds("http://127.0.0.1").make("references").seat(vendor).vendor.truth
    rows: dict[str, list[dict[str, Any]]] = {
        entry["tap_stream_id"]: list(truth(entry["tap_stream_id"])) for entry in catalog(vendor)
    }
    for stream, column, target, its in references(vendor):
        values = {row.get(column) for row in rows[stream]} - {None}
        assert values, f"{stream}.{column} has no value to join by"
        missing = values - {row.get(its) for row in rows[target]}
        assert len(missing) < min(GONE, len(values)), f"{stream}.{column} is not in {target}.{its}: {missing}"
