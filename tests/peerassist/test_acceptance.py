"""tap-peerassist passes the suite that every tap passes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tap_core.acceptance import Acceptance
from tap_core.testing import Account
from tap_peerassist.tap import TapPeerAssist

if TYPE_CHECKING:
    from merchant_sandbox.client import Sandbox


class TestAcceptance(Acceptance):
    tap = TapPeerAssist

    @pytest.fixture(scope="class")
    @classmethod
    def account(cls, sandbox: Sandbox) -> Account:
        world = sandbox.world(seed=5)
        return Account(world.config("peerassist"), world.env("peerassist"))
