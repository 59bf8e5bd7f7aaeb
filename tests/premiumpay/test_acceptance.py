"""tap-premiumpay passes the suite that every tap passes."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest

from tap_core.acceptance import Acceptance
from tap_core.testing import Account
from tap_premiumpay.tap import TapPremiumpay

if TYPE_CHECKING:
    from collections.abc import Mapping

    from merchant_sandbox.client import Sandbox


class TestAcceptance(Acceptance):
    tap = TapPremiumpay
    config: ClassVar[Mapping[str, object]] = {"start_date": "2025-10-01", "backfill_window_days": 14}

    @pytest.fixture(scope="class")
    @classmethod
    def account(cls, sandbox: Sandbox) -> Account:
        world = sandbox.world(seed=11, switches={"premiumpay": {"rate_limit": 0, "extra_fields": True}})
        return Account(world.config("premiumpay"), world.env("premiumpay"))
