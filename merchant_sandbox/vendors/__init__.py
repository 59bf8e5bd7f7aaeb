"""The emulated vendors, one module or package each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from merchant_sandbox.vendors.peakium.api import Peakium
from merchant_sandbox.vendors.peek.api import Peek
from merchant_sandbox.vendors.peerassist.api import PeerAssist
from merchant_sandbox.vendors.pegke.api import Pegke
from merchant_sandbox.vendors.premiumpay.api import Premiumpay

if TYPE_CHECKING:
    from merchant_sandbox.vendor import Vendor

__all__ = ["VENDORS"]

VENDORS: tuple[type[Vendor], ...] = (
    Peakium,
    Peek,
    PeerAssist,
    Pegke,
    Premiumpay,
)
