"""What the vendor documents about addresses and names, and what is a guess: one table that settings override.

The merchant API is documented by its README and sample code, without any response. Version 1 is documented by a page
that prints one call and leaves its other sections empty.
"""

from __future__ import annotations

from typing import Final

from tap_core.config.guesses import Guess, Guesses

__all__ = ["ENDPOINTS", "NAMES"]

ENDPOINTS: Final[Guesses] = {
    "my_offers": Guess("/apiv1/?q=my_offers", "merchant API samples (the README: /apiv1/my_offers)", documented=True),
    "check_points": Guess(
        "/apiv1/?q=check_points", "merchant API samples (the README: /apiv1/check_points)", documented=True
    ),
    "check_history": Guess(
        "/apiv1/?q=check_history", "merchant API samples (the README: /apiv1/check_history)", documented=True
    ),
    "status": Guess("/?q=api/pegke_status", "the vendor's own status page and bot", documented=True),
    "user": Guess("/v1/entity/user?_format=json", "version 1; the same call gives points", documented=True),
    "refresh": Guess("/simple-oauth/refresh", "developer FAQ; method and host are inferred", documented=True),
    "token": Guess("/v1/oauth2/token", "the page whose words the vendor repeats (POST, HTTP Basic)"),
    "store_history": Guess("/v1/store/history", "a heading without text in version 1"),
    "user_history": Guess("/v1/user/history", "a heading without text in version 1"),
    "store_activity": Guess("/v1/realtime/store-activity", "one sentence in version 1: a WebSocket"),
}
"""Paths below ``api_url``, by the name that the setting ``endpoints`` uses."""

NAMES: Final[Guesses] = {
    "phone": Guess("phone", "parameter; README and Node sample; the PHP sample says phone_number", documented=True),
    "page": Guess("page", "parameter of check_history; for version 1 inferred", documented=True),
    "offers": Guess("offers", "member that holds the offers; a bare array is accepted too"),
    "customer": Guess("customer", "member of check_history that holds the basic details"),
    "history": Guess("history", "member of check_history that holds the entries"),
    "data": Guess("data", "member of version 1 histories that holds the entries"),
    "sstatus": Guess("sstatus", "member of the status response that holds the components", documented=True),
}
"""Names of parameters and of members of responses, by the name that the setting ``names`` uses."""
