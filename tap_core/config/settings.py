"""The settings that all taps have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from singer_sdk import typing as th

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["COMMON", "config_schema"]

COMMON: Final[Sequence[th.Property[Any]]] = (
    th.Property(
        "concurrency",
        th.IntegerType(minimum=1, maximum=64),
        default=4,
        title="Concurrency",
        description="Maximum number of requests in flight. Records, their order and the state do not depend on it.",
    ),
    th.Property(
        "connect_timeout_s",
        th.NumberType(exclusive_minimum=0),
        default=10,
        title="Connect timeout",
        description="Seconds to wait for a connection.",
    ),
    th.Property(
        "read_timeout_s",
        th.NumberType(exclusive_minimum=0),
        default=60,
        title="Read timeout",
        description="Seconds that the server may stay silent in the middle of a response.",
    ),
    th.Property(
        "retry_max_s",
        th.NumberType(minimum=0),
        default=900,
        title="Retry limit",
        description="Total seconds that failed tries of one call may take before its stream fails.",
    ),
    th.Property(
        "max_rate_limit_wait_s",
        th.NumberType(minimum=0),
        default=3660,
        title="Rate limit wait",
        description="The longest wait, in seconds, that the API may ask for; a longer one fails the stream.",
    ),
    th.Property(
        "requests_per_second",
        th.NumberType(exclusive_minimum=0),
        title="Requests per second",
        description="Maximum rate of all requests together. Without it, only the API sets the pace.",
    ),
    th.Property(
        "budget_share",
        th.NumberType(exclusive_minimum=0, maximum=1),
        default=1,
        title="Budget share",
        description="The part of the API's call budget that this run may use, such as 0.25: the rest is left to others "
        "with the same credentials. Without effect where the API reports no budget.",
    ),
    th.Property(
        "lookback_days",
        th.NumberType(minimum=0, maximum=36_500),
        default=0,
        title="Lookback",
        description="Days before the bookmark that incremental streams read again, to catch late changes.",
    ),
    th.Property(
        "unknown_fields",
        th.StringType(allowed_values=["keep", "warn", "fail"]),
        default="keep",
        title="Unknown fields",
        description="What happens to fields and types that a schema does not know: keep them in the column _extra, "
        "warn and drop them, or fail the stream.",
    ),
    th.Property(
        "pii",
        th.StringType(allowed_values=["keep", "drop", "hash"]),
        default="keep",
        title="Personal data",
        description="What happens to fields marked x-pii, and to those that a schema does not know: keep, drop, or "
        "hash them (HMAC-SHA256 with pii_key). Keys are hashed, never dropped. E-mail addresses and phone numbers that "
        "are not keys are hashed in one form (ana@example.com, +16144561447), so that they match across vendors.",
    ),
    th.Property(
        "pii_key",
        th.StringType,
        secret=True,
        title="Hash key",
        description="Secret key for pii: hash. The same key gives the same hashes.",
    ),
    th.Property(
        "pii_harmless",
        th.ArrayType(th.StringType),
        default=[],
        title="Harmless fields",
        description="Names of fields that a schema does not know and that pii leaves alone, because they are "
        "nobody's data.",
    ),
    th.Property(
        "drop_fields",
        th.ArrayType(th.StringType),
        default=[],
        title="Dropped fields",
        description="Names of fields to leave out wherever they occur.",
    ),
    th.Property(
        "mask_secrets",
        th.BooleanType,
        default=True,
        title="Mask secrets",
        description="Replace secrets inside the data, such as a gateway's settings, with ***.",
    ),
    th.Property(
        "enable_streams",
        th.ArrayType(th.StringType),
        default=[],
        title="Enabled streams",
        description="Streams to read even though they are off by default.",
    ),
    th.Property(
        "client_filter",
        th.BooleanType,
        title="Client filter",
        description="Leave out records that are older than the bookmark. By default, only streams that lose "
        "nothing by it do so.",
    ),
    th.Property(
        "user_agent",
        th.StringType,
        title="User agent",
        description="How the tap introduces itself to the API; its name and version by default.",
    ),
    th.Property(
        "emit_activate_version_messages",
        th.BooleanType,
        default=True,
        title="Activate versions",
        description="Let the target remove rows that are gone: by ACTIVATE_VERSION after a complete snapshot of a "
        "FULL_TABLE stream, else by what the STATE says was read whole.",
    ),
)
"""The settings of every tap, except its address, its dates and the length of its pages."""


def _api_url(default: str | None) -> th.Property[Any]:
    return th.Property(
        "api_url",
        th.StringType,
        required=default is None,
        default=default,
        title="API URL",
        description="Base address of the API; https, except on this machine (loopback).",
    )


def _dates(bounded: str) -> tuple[th.Property[Any], th.Property[Any]]:
    return (
        th.Property(
            "start_date",
            th.StringType,
            title="Start date",
            description="Where reading begins: a date (2024-01-01) or a time with a zone (2024-01-01T00:00:00Z). "
            "What it lets in when it is moved back later, only a full refresh or a backfill reads. " + bounded,
        ),
        th.Property(
            "end_date",
            th.StringType,
            title="End date",
            description="Where reading ends, exclusive; a date or a time with a zone. " + bounded,
        ),
    )


def _page_size(default: int) -> th.Property[Any]:
    return th.Property(
        "page_size",
        th.IntegerType(minimum=1),
        default=default,
        title="Page size",
        description="Records to ask for per page. The server may send fewer.",
    )


def config_schema(
    *own: th.Property[Any],
    api_url: str | None,
    bounded: str,
    page_size: int | None = None,
    one_of: Sequence[str] = (),
) -> dict[str, Any]:
    """The JSON schema of a tap's settings: its own first, then the common ones. Unknown settings are refused.

    Args:
        own: The vendor's settings; one with the name of a common setting replaces it.
        api_url: The vendor's address, or None where it is unknown and must be given.
        bounded: Which streams the dates bound, in sentences for people; it names them in backticks.
        page_size: Records per page to ask for, or None for an API without pages.
        one_of: Settings that exclude each other, and of which one is needed.
    """
    taken = {setting.name for setting in own}
    common = [_api_url(api_url), *_dates(bounded), *COMMON]
    if page_size is not None:
        place = next(number for number, setting in enumerate(common) if setting.name == "concurrency") + 1
        common.insert(place, _page_size(page_size))
    properties = th.PropertiesList(*own, *(setting for setting in common if setting.name not in taken))
    alternatives = {"oneOf": [{"required": [name]} for name in one_of]} if one_of else {}
    return {**properties.to_dict(), **alternatives, "additionalProperties": False}
