"""The list of mistakes is kept up with the code: every one can be made. `make mutants` sees that tests notice them."""

from __future__ import annotations

import ast
import shlex

import pytest

from tests.mutants import Mutant, mutants
from tests.tree import ROOT


@pytest.mark.parametrize("mutant", mutants(), ids=lambda mutant: mutant.breaks)
def test_a_mistake_can_be_made(mutant: Mutant) -> None:
    ast.parse(mutant.code())
    files = [part for part in shlex.split(mutant.tests) if part.startswith("tests/")]
    assert files
    assert all((ROOT / file).exists() for file in files)
