"""The tap for Pegke: its settings, its two sets of credentials, its customers and its streams."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from singer_sdk import typing as th
from typing_extensions import override

from tap_core.auth import Auth, BearerAuth, NoAuth
from tap_core.errors import ConfigError
from tap_core.settings import config_schema, is_path
from tap_core.tap import CoreTap
from tap_core.timestamps import zone
from tap_pegke.client import PegkeClient, PegkeToken
from tap_pegke.customers import Customer, read_customers
from tap_pegke.guesses import ENDPOINTS, NAMES, Fact
from tap_pegke.streams import STREAMS

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["TapPegke"]

CREDENTIALS = (("consumer_code", "consumer_secret"), ("client_id", "client_secret"))


def _table(name: str, title: str, facts: dict[str, Fact], what: str) -> th.Property[Any]:
    members = [
        th.Property(key, th.StringType, description=f"{fact.note}; {'documented' if fact.documented else 'inferred'}")
        for key, fact in facts.items()
    ]
    return th.Property(
        name,
        th.ObjectType(*members, additional_properties=False),
        default={},
        title=title,
        description=f"{what} that differ from the table of guesses, by name.",
    )


class TapPegke(CoreTap):
    """Singer tap for the Pegke loyalty API: the merchant API, version 1, and the realtime feed."""

    name = "tap-pegke"
    stream_types = STREAMS

    config_jsonschema = config_schema(
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
            description="Whom to ask about, for no call lists customers: phones, e-mail addresses or customer ids, in "
            "a list, or the path of a CSV or JSONL file.",
        ),
        th.Property(
            "country_code",
            th.StringType,
            default="91",
            title="Country code",
            description="What a phone of ten digits begins with; digits alone.",
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
            description="Number of the first page of a history. With 0, servers that count from one are read whole "
            "too.",
        ),
        th.Property(
            "source_timezone",
            th.StringType,
            default="Asia/Kolkata",
            title="Time zone",
            description="Zone of times that come without one.",
        ),
        th.Property(
            "realtime_max_seconds",
            th.NumberType(minimum=0),
            default=60,
            title="Feed: seconds",
            description="How long store_activity reads; 0 has no end.",
        ),
        th.Property(
            "realtime_max_messages",
            th.IntegerType(minimum=0),
            default=0,
            title="Feed: messages",
            description="How many activities store_activity reads; 0 is any number.",
        ),
        _table("endpoints", "Addresses", dict(ENDPOINTS), "Paths below api_url"),
        _table("names", "Names", dict(NAMES), "Names of parameters and members"),
        api_url="https://dashboard.pegke.com",
    )

    @override
    def check_settings(self) -> None:
        super().check_settings()
        for pair in CREDENTIALS:
            given = [name for name in pair if self.config.get(name)]
            missing = [name for name in pair if not self.config.get(name)]
            if given and missing:
                raise ConfigError(f"setting {missing[0]!r} is missing: {given[0]!r} is of no use without it")
        try:
            zone(self.config["source_timezone"])
        except ValueError as error:
            raise ConfigError(f"setting 'source_timezone': {error}") from None
        if not self.config["country_code"].isdecimal():
            raise ConfigError("setting 'country_code' must be digits, such as 91")
        for name in ENDPOINTS:
            if not is_path(self.endpoint(name), query=True):
                raise ConfigError(f"setting 'endpoints.{name}' must be a path below api_url, without blanks and braces")
        self.customers  # noqa: B018  a mistake in the list must show before anything is read

    # Addresses and names

    def endpoint(self, name: str) -> str:
        """The path of a call, below ``api_url``."""
        given = self.config["endpoints"].get(name)
        if given:
            return "/" + str(given).lstrip("/")
        path = ENDPOINTS[name].value
        return path.replace("?q=", "") if self.config["merchant_style"] == "path" and "/apiv1/" in path else path

    def api_name(self, name: str) -> str:
        """A parameter or a member of answers."""
        return str(self.config["names"].get(name) or NAMES[name].value)

    # Customers

    @cached_property
    def customers(self) -> Sequence[Customer]:
        """Whom to ask about."""
        return read_customers(self.config.get("customers"), self.config["country_code"])

    @cached_property
    def customers_by_phone(self) -> Sequence[Customer]:
        """Those that the merchant API can be asked about."""
        found = [customer for customer in self.customers if customer.kind == "mob"]
        if len(found) < len(self.customers):
            self.warn_once(
                f"{len(self.customers) - len(found):,} customers are named by e-mail or id; the merchant API takes "
                "phones only, so they are left out there"
            )
        return found

    def phone_to_send(self, customer: Customer) -> str:
        """A customer's phone as the API is asked about it."""
        match self.config["phone_format"]:
            case "national":
                return customer.value.removeprefix(f"+{self.config['country_code']}")
            case "as_given":
                return customer.given
            case _:
                return customer.value

    def state_key(self, account: str) -> str:
        """What keys the hashes of customers in the state."""
        secret = "consumer_secret" if account == "merchant" else "client_secret"
        return str(self.config.get(secret) or "")

    # Credentials

    @override
    def make_auth(self) -> Auth:
        return NoAuth()

    def _client(self, auth: Auth) -> PegkeClient:
        return PegkeClient(transport=self.transport, auth=auth, clock=self.clock, retry=self.retry_policy)

    @cached_property
    def public(self) -> PegkeClient:
        """Calls without credentials."""
        return self._client(NoAuth())

    @cached_property
    def merchant(self) -> PegkeClient:
        """Calls of the merchant API."""
        key = f"{self.config['consumer_code']}.{self.config['consumer_secret']}"
        return self._client(BearerAuth(key, settings="consumer_code and consumer_secret"))

    @cached_property
    def version1(self) -> PegkeClient:
        """Calls of version 1: one token for all streams and threads."""
        cache, base = self.config.get("token_cache"), str(self.config["api_url"]).rstrip("/")
        settings = "client_id and client_secret, and at the vendor whether the application's token has expired"
        return self._client(
            PegkeToken(
                client=self._client(NoAuth(settings)),
                token_url=base + self.endpoint("token"),
                refresh_url=base + self.endpoint("refresh"),
                client_id=self.config["client_id"],
                client_secret=self.config["client_secret"],
                clock=self.clock,
                settings=settings,
                cache_file=Path(cache).expanduser() if cache else None,
                hide=self.redactor.add,
            )
        )
