"""What a call waits for, told apart from how it is waited for.

A call is a coroutine that awaits these steps. `alone` takes them one after the other and blocks; `tap_core.http.loop`
takes those of many calls side by side, in one thread. No lock may be held while a step is awaited.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

if TYPE_CHECKING:
    from tap_core.clock import Clock
    from tap_core.http.message import Request
    from tap_core.http.transport import Transport

__all__ = ["STOPPED", "Blocking", "Pause", "Sending", "Step", "Steps", "alone"]

T = TypeVar("T")

STOPPED = "the run was stopped during a request"


class Step(msgspec.Struct):
    """Something to wait for."""

    def __await__(self) -> Generator[Step, Any, Any]:
        """Hand it to whoever runs the call, who sends back what comes of it."""
        return (yield self)


Steps = Coroutine[Step, Any, T]
"""A call that waits for steps and ends with a value."""


class Sending(Step):
    """A request that is sent; comes back as its `Response`."""

    request: Request


class Pause(Step):
    """Some time, in the clock's seconds; shorter if the run ends."""

    seconds: float


class Blocking(Step):
    """Something that may take its time in a thread of its own, such as a login; comes back as its result."""

    call: Callable[[], Any]


def alone(steps: Steps[T], transport: Transport, clock: Clock) -> T:
    """Run a call to its end, here and now.

    Raises:
        TapError: What the call raises.
    """
    value: Any = None
    error: BaseException | None = None
    while True:
        try:
            step = steps.send(value) if error is None else steps.throw(error)
        except StopIteration as end:
            result: T = end.value
            return result
        value, error = None, None
        try:
            match step:
                case Sending():
                    value = transport.send(step.request, is_over=lambda: clock.stopped)
                case Pause():
                    clock.sleep(step.seconds)
                case Blocking():
                    value = step.call()
        except BaseException as raised:  # noqa: BLE001  the call sees what went wrong
            error = raised
