"""The settings of a tap that reads deliveries of webhooks from the spools of receivers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from singer_sdk import typing as th

from tap_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["WEBHOOKS", "check_followed"]

WEBHOOKS: Final[Sequence[th.Property[Any]]] = (
    th.Property(
        "webhooks_spools",
        th.ArrayType(th.StringType),
        default=[],
        title="Spools of webhooks",
        description="The files in which receivers (merchant-webhooks serve) keep deliveries; several receivers have "
        "one each. They switch the stream of deliveries on.",
    ),
    th.Property(
        "webhooks_follow",
        th.BooleanType,
        default=False,
        title="Follow webhooks",
        description="Once everything is read, stay and load deliveries within seconds, until a signal comes.",
    ),
    th.Property(
        "confirm",
        th.BooleanType,
        default=True,
        title="Confirm deliveries",
        description="Ask the API for what a delivery names, because anybody may post one. If false, deliveries are "
        "stored as they came, and change nothing else.",
    ),
    th.Property(
        "webhooks_reader",
        th.StringType,
        title="Reader of webhooks",
        description="Whom the spools are read for; by default the tap, by its name. Where several environments read "
        "one account's deliveries from one spool, give each its own, or what one has read is removed before the others "
        "see it.",
    ),
)


def check_followed(config: Mapping[str, Any], *, endless: bool) -> None:
    """Check that a run that is to follow deliveries reads some.

    Args:
        config: The settings.
        endless: Whether one of the streams that are going to be read goes on until a signal comes.

    Raises:
        ConfigError: It does not.
    """
    if config["webhooks_follow"] and not endless:
        raise ConfigError(
            "setting 'webhooks_follow' has nothing to follow: set webhooks_spools, and select the stream of deliveries"
        )
