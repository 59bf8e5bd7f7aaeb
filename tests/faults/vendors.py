"""The five taps as the fault suite sees them: what each reads here, and which promises do not concern it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pytest

from tap_core.testing import selected
from tap_peakium.tap import TapPeakium
from tap_peek.tap import TapPeek
from tap_peerassist.tap import TapPeerAssist
from tap_pegke.tap import TapPegke
from tap_premiumpay.tap import TapPremiumpay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tap_core.tap import CoreTap

__all__ = ["NOT_APPLICABLE", "VENDORS", "Vendor", "concerned", "of"]


@dataclass(frozen=True)
class Vendor:
    """What the suite needs to know of a vendor.

    Args:
        name: Its name.
        tap: Its tap.
        main: The stream that most faults strike.
        route: The sandbox's route for it.
        rows: Where the rows are in an answer, as `merchant_sandbox` faults name places.
        config: Settings that make a run short, with a dozen calls or more for the main stream.
        switches: Habits of the sandbox.
        streams: What is read, if not all: some streams of a vendor with many show as much.
        login: The route of the login, if there is one.
        time: A time of the main stream, by its name in answers.
        number: A number in it.
    """

    name: str
    tap: type[CoreTap]
    main: str
    route: str
    rows: str
    config: Mapping[str, Any] = field(default_factory=dict)
    switches: Mapping[str, Any] = field(default_factory=dict)
    streams: tuple[str, ...] = ()
    login: str | None = None
    time: str = ""
    number: str = "amount"

    @cached_property
    def catalog(self) -> Mapping[str, Any] | None:
        """A catalog with the vendor's streams selected; None if all are."""
        if not self.streams:
            return None
        return selected(self.tap(config={}, validate_config=False).catalog_dict, self.streams)

    def __str__(self) -> str:
        return self.name


VENDORS = {
    vendor.name: vendor
    for vendor in (
        Vendor(
            "peakium",
            TapPeakium,
            "invoices",
            "/invoices",
            "data.*",
            config={"page_size": 30},
            streams=("customers", "invoices", "invoice_items", "gateways", "webhooks"),
            time="created",
        ),
        Vendor(
            "peek",
            TapPeek,
            "bookings",
            "/bookings",
            "*",
            config={
                "availability_days_ahead": 3,
                "bookings_days_back": 90,
                "bookings_days_ahead": 30,
                "bookings_window_days": 10,
            },
            time="utcConfirmedAt",
            number="retail",
        ),
        Vendor(
            "peerassist",
            TapPeerAssist,
            "fwos",
            "/fwo",
            "content.*",
            config={"page_size": 30, "enable_streams": ["projects", "employees"]},
            login="/auth",
            time="lastUpdated",
        ),
        Vendor(
            "pegke",
            TapPegke,
            "points_history",
            "/apiv1/check_history",
            "history.*",
            login="/v1/oauth2/token",
            time="created",
            number="points",
        ),
        Vendor(
            "premiumpay",
            TapPremiumpay,
            "sales",
            "/sales",
            "*",
            config={"start_date": "2026-01-01", "window_hours": 168},
            switches={"rate_limit": 0},
            time="date_time",
        ),
    )
}

_NO_PAGES = "a list comes in one answer"
_NO_WINDOWS = "nothing is read by windows of time"
_FIXED_KEY = "the key is fixed: there is nothing to renew"
_NO_LOGIN = "there is no login"
_NO_TOKEN = "pages have numbers or offsets, not tokens"
_NO_TOTAL = "no answer tells a total"
_WINDOWS_ARE_MARKS = "the bookmark is a window, never a record's time"

NOT_APPLICABLE: Mapping[str, Mapping[str, str]] = {
    "P1": {"peek": _NO_PAGES, "premiumpay": _NO_PAGES, "pegke": "an empty page is how the API ends a history"},
    "P2": dict.fromkeys(("peakium", "peerassist", "pegke"), _NO_TOKEN) | {"peek": _NO_PAGES, "premiumpay": _NO_PAGES},
    "P3": {"peek": _NO_PAGES, "premiumpay": _NO_PAGES},
    "P4": {"peek": _NO_PAGES, "premiumpay": _NO_PAGES},
    "P5": {"peek": _NO_PAGES, "premiumpay": _NO_PAGES},
    "P7": dict.fromkeys(("peakium", "pegke"), _NO_TOTAL) | {"peek": _NO_PAGES, "premiumpay": _NO_PAGES},
    "P8": {"peek": _NO_PAGES, "premiumpay": _NO_PAGES},
    "P9": {"peakium": "no list is read in parts"},
    "S5": {"premiumpay": _WINDOWS_ARE_MARKS},
    "S6": {"premiumpay": _WINDOWS_ARE_MARKS},
    "S14": {
        "peakium": "no list is read for each parent",
        "peerassist": "no list is read for each parent",
        "peek": "availability is read for each product, and keeps no bookmark",
    },
    "S15": dict.fromkeys(("peakium", "peerassist", "pegke"), _NO_WINDOWS),
    "S16": dict.fromkeys(("peakium", "peerassist", "pegke"), _NO_WINDOWS),
    "A1": dict.fromkeys(("peakium", "peek"), _FIXED_KEY) | {"premiumpay": "the JWT cannot be renewed"},
    "A2": dict.fromkeys(("peakium", "peek"), _FIXED_KEY),
    "A3": dict.fromkeys(("peakium", "peek"), _FIXED_KEY) | {"premiumpay": "the JWT cannot be renewed"},
    "A5": dict.fromkeys(("peakium", "peek", "premiumpay"), _NO_LOGIN),
}
"""Why a promise does not concern a vendor; `docs/reliability.md` shows it."""


def concerned(promise: str) -> list[str]:
    """The vendors that a promise concerns."""
    return [name for name in VENDORS if name not in NOT_APPLICABLE.get(promise, {})]


def of(*promises: str, without: Iterable[str] = ()) -> Callable[[Any], Any]:
    """Runs a test for each vendor that a promise concerns.

    Args:
        promises: Ids of promises; they become part of the tests' ids.
        without: Vendors whose own tests show it.
    """
    cases = [
        pytest.param(name, id=f"{name}-{'-'.join(promises)}") for name in concerned(promises[0]) if name not in without
    ]
    return pytest.mark.parametrize("shop", cases, indirect=True)
