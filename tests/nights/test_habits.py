"""What the nights may choose is possible: a setting that a tap refuses, or a form that no server has, tries nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.vendors import VENDORS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.nights.machine import Nights


@pytest.mark.parametrize("name", VENDORS)
def test_each_setting_and_form_is_possible(begin: Callable[..., Nights], name: str) -> None:
    project = begin(name).project
    project.world.switch(name, **{"rate_limit": 0} if name == "premiumpay" else {})
    for settings in [*project.habits.settings, *project.habits.accounts]:
        run = project.shop.read(everything=True, **{**project.settings, **settings})
        assert run.code == 0, (settings, run.log)
    for form in project.habits.forms:
        project.world.switch(name, **form)
