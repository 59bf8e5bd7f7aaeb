"""What the vendor documents about addresses and names, and what is a guess: one table that settings override.

The merchant API is documented by its README and sample code, without any response. Version 1 is documented by a page
that prints one call and leaves its other sections empty. It prints paths without a prefix: the one in front of them is
a guess of its own, and its setting changes it for all calls of version 1.
"""

from __future__ import annotations

from typing import Final

from tap_core.config.guesses import Guess, Guesses

__all__ = ["ENDPOINTS", "NAMES", "VERSION_1_CALLS", "VERSION_1_PREFIX"]

VERSION_1_PREFIX: Final = Guess(
    "/v1", "the page speaks of version 1.1 and prints no prefix; its site's settings of those weeks"
)
"""What stands in front of the paths of version 1."""

VERSION_1_CALLS: Final = frozenset({"user", "token", "store_history", "user_history", "store_activity"})
"""The calls behind the prefix."""

ENDPOINTS: Final[Guesses] = {
    "my_offers": Guess("/apiv1/?q=my_offers", "merchant API samples (the README: /apiv1/my_offers)", documented=True),
    "check_points": Guess(
        "/apiv1/?q=check_points", "merchant API samples (the README: /apiv1/check_points)", documented=True
    ),
    "check_history": Guess(
        "/apiv1/?q=check_history", "merchant API samples (the README: /apiv1/check_history)", documented=True
    ),
    "status": Guess("/?q=api/pegke_status", "the vendor's own status page and bot", documented=True),
    "user": Guess("/entity/user?_format=json", "version 1; the same call gives points", documented=True),
    "refresh": Guess("/simple-oauth/refresh", "developer FAQ; method and host are inferred", documented=True),
    "token": Guess("/oauth2/token", "the page whose words the vendor repeats (POST, HTTP Basic)"),
    "store_history": Guess("/store/history", "a heading without text in version 1"),
    "user_history": Guess("/user/history", "a heading without text in version 1"),
    "store_activity": Guess("/realtime/store-activity", "one sentence in version 1: a WebSocket"),
}
"""Paths by the name that the setting ``endpoints`` uses: those of `VERSION_1_CALLS` behind the prefix, the others below
``api_url``. A path that is set is always below ``api_url``."""

NAMES: Final[Guesses] = {
    "phone": Guess(
        "phone", "parameter of check_points; README and Node sample; the PHP sample says phone_number", documented=True
    ),
    "history_phone": Guess("phone", "parameter of check_history; README and both samples", documented=True),
    "page": Guess("page", "parameter of check_history; README and both samples", documented=True),
    "version_1_page": Guess("page", "parameter of the histories of version 1; named as in check_history"),
    "offers": Guess("offers", "member that holds the offers; a bare array is accepted too"),
    "customer": Guess("customer", "member of check_history that holds the basic details"),
    "history": Guess("history", "member of check_history that holds the entries"),
    "user": Guess("customer", "member of the search's response that holds the customer, unless the response is it"),
    "data": Guess("data", "member of version 1 histories that holds the entries"),
    "sstatus": Guess("sstatus", "member of the status response that holds the components", documented=True),
}
"""Names of parameters and of members of responses, by the name that the setting ``names`` uses."""
