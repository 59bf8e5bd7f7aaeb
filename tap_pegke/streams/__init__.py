"""The streams of Pegke, by the part of the API that they belong to."""

from __future__ import annotations

from tap_pegke.streams.dashboard import SystemStatus
from tap_pegke.streams.merchant import CustomerPoints, Customers, Offers, PointsHistory
from tap_pegke.streams.version1 import StoreActivity, StoreHistory, UserHistory, Users

__all__ = ["STREAMS"]

STREAMS = (
    SystemStatus,
    Offers,
    CustomerPoints,
    PointsHistory,
    Customers,
    StoreHistory,
    UserHistory,
    Users,
    StoreActivity,
)
"""In the order of reading: the feed, which may go on without end, comes last."""
