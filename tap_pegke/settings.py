"""The settings of the tap for Pegke, and what its streams make of them."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from singer_sdk import typing as th

from tap_core.config.checks import is_path
from tap_core.config.guesses import guesses_setting
from tap_core.config.settings import config_schema
from tap_core.errors import ConfigError
from tap_core.timestamps import zone
from tap_pegke.customers import Customer, read_customers
from tap_pegke.guesses import ENDPOINTS, NAMES, VERSION_1_CALLS, VERSION_1_PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["CONFIG", "MERCHANT", "PUBLIC", "VERSION_1", "PegkeSettings"]

MERCHANT: Final = "merchant"
VERSION_1: Final = "version 1"
PUBLIC: Final = "public"
"""The accounts: two sets of credentials, and none."""

_CREDENTIALS = (("consumer_code", "consumer_secret"), ("client_id", "client_secret"))

CONFIG: Final = config_schema(
    th.Property(
        "consumer_code",
        th.StringType,
        secret=True,
        title="Consumer code",
        description="First half of the merchant API's key, from the dashboard's API settings.",
    ),
    th.Property(
        "consumer_secret",
        th.StringType,
        secret=True,
        title="Consumer secret",
        description="Second half of the merchant API's key.",
    ),
    th.Property(
        "client_id", th.StringType, secret=True, title="Client id", description="Application id for version 1."
    ),
    th.Property(
        "client_secret",
        th.StringType,
        secret=True,
        title="Client secret",
        description="Application secret for version 1.",
    ),
    th.Property(
        "token_cache",
        th.StringType,
        default="",
        title="Token cache",
        description="A private file (mode 600) that keeps the token of version 1 between runs. Without it, each "
        "run asks for the token once.",
    ),
    th.Property(
        "customers",
        th.CustomType({"type": ["string", "array", "null"], "items": {"type": ["string", "integer", "object"]}}),
        title="Customers",
        description="The customers to ask about, because no call lists them: phones, e-mail addresses or customer "
        "ids, in a list, or the path of a CSV or JSONL file.",
    ),
    th.Property(
        "country_code",
        th.StringType,
        default="91",
        title="Country code",
        description="Prefix for phone numbers given as ten digits; digits only.",
    ),
    th.Property(
        "phone_format",
        th.StringType(allowed_values=["national", "international", "as_given"]),
        default="national",
        title="Phone format",
        description="How phones are sent: ten digits (the samples), +91 in front (the dashboard's form), or as "
        "configured.",
    ),
    th.Property(
        "merchant_style",
        th.StringType(allowed_values=["query", "path"]),
        default="query",
        title="Address style",
        description="How merchant API addresses look: /apiv1/?q=my_offers (the samples) or /apiv1/my_offers (the "
        "README).",
    ),
    th.Property(
        "version_1_prefix",
        th.StringType,
        default=VERSION_1_PREFIX.value,
        title="Prefix of version 1",
        description="What stands in front of all paths of version 1. The vendor's page does not say: the default is a "
        "guess.",
    ),
    th.Property(
        "form",
        th.StringType(allowed_values=["urlencoded", "multipart"]),
        default="urlencoded",
        title="Form",
        description="How the form of check_history is encoded; the samples use multipart.",
    ),
    th.Property(
        "first_page",
        th.IntegerType(minimum=0, maximum=1),
        default=0,
        title="First page",
        description="Number of the first page of a history. With 0, servers that count from one are read completely "
        "too.",
    ),
    th.Property(
        "source_timezone",
        th.StringType,
        default="Asia/Kolkata",
        title="Time zone",
        description="Time zone of times that come without one.",
    ),
    th.Property(
        "realtime_max_seconds",
        th.NumberType(minimum=0),
        default=60,
        title="Feed: seconds",
        description="How long store_activity reads; 0 means no limit.",
    ),
    th.Property(
        "lookback_days",
        th.NumberType(minimum=0, maximum=36_500),
        default=7,
        title="Lookback",
        description="Days before the bookmark of which entries are emitted again, because some reach the server late, "
        "such as those of a till that was offline. It costs no request: all entries are read anyway.",
    ),
    th.Property(
        "realtime_max_messages",
        th.IntegerType(minimum=0),
        default=0,
        title="Feed: messages",
        description="How many activities store_activity reads; 0 means no limit.",
    ),
    guesses_setting(
        "endpoints",
        ENDPOINTS,
        title="Addresses",
        description="Paths that differ from the table of guesses, by name; always below api_url, with any prefix.",
    ),
    guesses_setting(
        "names",
        NAMES,
        title="Names",
        description="Names of parameters and members that differ from the table of guesses, by name.",
    ),
    api_url="https://dashboard.pegke.com",
    bounded="They bound the histories (`points_history`, `store_history`, `user_history`) by `created`, whose entries "
    "never change; the other streams are read whole.",
)


class PegkeSettings:
    """The settings as the streams need them.

    Args:
        config: The settings, defaults included.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = config

    def check(self) -> None:
        """Check what a schema cannot express.

        Raises:
            ConfigError: A setting makes no sense.
        """
        for pair in _CREDENTIALS:
            given = [name for name in pair if self._config.get(name)]
            missing = [name for name in pair if not self._config.get(name)]
            if given and missing:
                raise ConfigError(f"setting {missing[0]!r} is missing: {given[0]!r} is of no use without it")
        if not self._config["country_code"].isdecimal():
            raise ConfigError("setting 'country_code' must be digits, such as 91")
        prefix = self._config["version_1_prefix"]
        if prefix and (prefix.endswith("/") or not is_path(prefix)):
            raise ConfigError(
                "setting 'version_1_prefix' must begin with / and not end with it, such as /v1, or be empty"
            )
        for name in ENDPOINTS:
            if not is_path(self.endpoint(name), query=True):
                raise ConfigError(f"setting 'endpoints.{name}' must be a path below api_url, without spaces or braces")
        self.customers  # noqa: B018  a mistake in the list must show before anything is read

    @property
    def source_timezone(self) -> str:
        """The name of the zone of times without an offset.

        Raises:
            ConfigError: There is no such zone.
        """
        name: str = self._config["source_timezone"]
        try:
            zone(name)
        except ValueError as error:
            raise ConfigError(f"setting 'source_timezone': {error}") from None
        return name

    # Addresses and names

    def endpoint(self, name: str) -> str:
        """The path of a call, below ``api_url``."""
        given = self._config["endpoints"].get(name)
        if given:
            return "/" + str(given).lstrip("/")
        path = str(ENDPOINTS[name].value)
        if name in VERSION_1_CALLS:
            return str(self._config["version_1_prefix"]) + path
        return path.replace("?q=", "") if self._config["merchant_style"] == "path" and "/apiv1/" in path else path

    @cached_property
    def names(self) -> Mapping[str, str]:
        """What the API calls parameters and members of responses, by our names."""
        return {name: str(self._config["names"].get(name) or guess.value) for name, guess in NAMES.items()}

    # Customers

    @cached_property
    def customers(self) -> Sequence[Customer]:
        """The customers to ask about."""
        return read_customers(self._config.get("customers"), self._config["country_code"])

    @cached_property
    def customers_by_phone(self) -> Sequence[Customer]:
        """Those that the merchant API can be asked about."""
        return [customer for customer in self.customers if customer.kind == "mob"]

    def phone_to_send(self, customer: Customer) -> str:
        """A customer's phone as it is sent to the API."""
        match self._config["phone_format"]:
            case "national":
                return customer.value.removeprefix(f"+{self._config['country_code']}")
            case "as_given":
                return customer.given
            case _:
                return customer.value

    def state_key(self, account: str) -> str:
        """What keys the hashes of customers in the state."""
        secret = "consumer_secret" if account == MERCHANT else "client_secret"
        return str(self._config.get(secret) or "")
