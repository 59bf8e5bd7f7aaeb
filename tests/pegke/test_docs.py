"""The page about the tap tells every guess as the code has it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tap_pegke.guesses import ENDPOINTS, NAMES, VERSION_1_PREFIX

PAGE = (Path(__file__).parents[2] / "docs/tap-pegke.md").read_text(encoding="utf-8")
FACTS = {
    **{f"endpoints.{name}": fact for name, fact in ENDPOINTS.items()},
    **{f"names.{name}": fact for name, fact in NAMES.items()},
    "version_1_prefix": VERSION_1_PREFIX,
}


@pytest.mark.parametrize("name", FACTS)
def test_every_address_and_name_is_on_the_page_with_its_source(name: str) -> None:
    fact = FACTS[name]
    known = "documented" if fact.documented else "inferred"
    assert f"| `{name}` | `{fact.value}` | {known}: {fact.note} |" in PAGE
