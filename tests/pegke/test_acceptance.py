"""tap-pegke passes the suite that every tap passes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tap_core.acceptance import Acceptance
from tap_core.testing import Account
from tap_pegke.tap import TapPegke

if TYPE_CHECKING:
    from merchant_sandbox.client import Sandbox


class TestAcceptance(Acceptance):
    tap = TapPegke

    @pytest.fixture(scope="class")
    @classmethod
    def account(cls, sandbox: Sandbox) -> Account:
        world = sandbox.world(seed=11)
        return Account(world.config("pegke"), world.env("pegke"))
