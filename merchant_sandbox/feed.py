"""A realtime feed: one text frame for each activity and, on demand, everything that can go wrong on a WebSocket.

Activities are numbered. What happens while nobody is connected is lost: nothing is replayed. `Feed.sent` has the
numbers that went out whole on an open connection.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from merchant_sandbox.vendor import Switch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["FEED_SWITCHES", "Feed"]

FEED_SWITCHES = (
    Switch("feed_interval_ms", 20, "Milliseconds of real time between two activities on the feed."),
    Switch("feed_limit", 0, "Number of the activity before which the feed falls silent; 0: never."),
    Switch("feed_ping_every", 0, "A ping after every n-th activity; the connection is cut if no pong comes."),
    Switch("feed_double_every", 0, "Every n-th activity is sent twice."),
    Switch("feed_malformed_every", 0, "Malformed frames after every n-th activity."),
    Switch("feed_malformed", "text", "What is malformed: the JSON text, or the frame itself.", ("text", "frame")),
    Switch("feed_drop_every", 0, "The connection is dropped after every n-th activity."),
    Switch("feed_drop", "cut", "How it is dropped: cut, or closed with code 1001.", ("cut", "close")),
    Switch("feed_gap", 3, "Activities that are lost for good while the connection is down."),
    Switch("feed_overlap", 0, "Activities that are sent again after reconnecting."),
)

_NOT_JSON = ('{"id":"act-', "not json", "[1,2]", '"text"', "null", "")
_BAD_FRAME = b"\xff\x03abc"


class Feed:
    """The feed of one world, for one reader at a time.

    Args:
        switches: The vendor's switches, `FEED_SWITCHES` among them, as they stand at each moment.
        message: Makes the message of an activity.
    """

    def __init__(self, switches: Mapping[str, Any], message: Callable[[int], dict[str, Any]]) -> None:
        self._switches, self._message = switches, message
        self._position = 0
        self.sent: list[int] = []

    async def run(self, receive: Any, send: Any, connection: Any) -> None:
        """Serve one reader until it goes or is dropped.

        Args:
            receive: ASGI receive.
            send: ASGI send.
            connection: The protocol underneath, for pings and cuts.
        """
        await receive()
        await send({"type": "websocket.accept"})
        gone = asyncio.ensure_future(_until_gone(receive))
        try:
            await self._repeat_last(send)
            await self._stream(send, connection, gone)
        except OSError:
            pass
        finally:
            gone.cancel()

    async def _repeat_last(self, send: Any) -> None:
        """After a lost connection, some servers repeat what they sent last."""
        for number in self.sent[len(self.sent) - min(self._switches["feed_overlap"], len(self.sent)) :]:
            await self._send(send, number)

    async def _stream(self, send: Any, connection: Any, gone: asyncio.Future[None]) -> None:
        switches = self._switches
        while not gone.done():
            limit = switches["feed_limit"]
            if limit and self._position >= limit:
                await gone
                return
            number = self._position
            await self._send(send, number)
            self.sent.append(number)
            self._position += 1
            count = number + 1
            if _due("feed_double_every", count, switches):
                await self._send(send, number)
            if _due("feed_malformed_every", count, switches):
                if switches["feed_malformed"] == "frame":
                    connection.raw(_BAD_FRAME)
                    await gone
                    self._position += switches["feed_gap"]
                    return
                await send({"type": "websocket.send", "text": _NOT_JSON[count % len(_NOT_JSON)]})
                await send({"type": "websocket.send", "bytes": b"\x00\x01"})
            if _due("feed_ping_every", count, switches):
                await connection.ping(str(number).encode())
            if _due("feed_drop_every", count, switches):
                self._position += switches["feed_gap"]
                if switches["feed_drop"] == "close":
                    await send({"type": "websocket.close", "code": 1001})
                else:
                    connection.cut()
                await gone
                return
            await asyncio.wait([gone], timeout=switches["feed_interval_ms"] / 1000)

    async def _send(self, send: Any, number: int) -> None:
        text = msgspec.json.encode(self._message(number)).decode()
        await send({"type": "websocket.send", "text": text})


def _due(switch: str, count: int, switches: Mapping[str, Any]) -> bool:
    every = switches[switch]
    return bool(every) and count % every == 0


async def _until_gone(receive: Any) -> None:
    while (await receive())["type"] != "websocket.disconnect":
        pass
