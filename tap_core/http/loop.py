"""Many calls side by side in one thread: while one waits for its response, others go on.

    loop = Loop(4, transport, clock, workers)
    task = loop.submit(stream.load, part, token)      the request goes out
    loop.wait([task], 0.25)                           until it is done, or a quarter of a second has passed
    page = task.result()

The loop runs only inside `Loop.submit` and `Loop.wait`. In between, responses arrive in the sockets' buffers.
"""

from __future__ import annotations

import math
import os
import select
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from tap_core.clock import real_seconds
from tap_core.errors import StoppedError
from tap_core.http.steps import STOPPED, Blocking, Pause, Sending

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from concurrent.futures import Future

    from tap_core.clock import Clock
    from tap_core.http.message import Response
    from tap_core.http.steps import Step, Steps
    from tap_core.http.transport import Exchange, Transport
    from tap_core.workers import Workers

__all__ = ["Loop", "Task"]

T = TypeVar("T")

_REDIRECTED: Final = 300
_LOOK_EVERY_S: Final = 0.25
"""Seconds between two looks at the clock, which someone may have stopped."""


class Task(Generic[T]):
    """A call in the loop."""

    def __init__(self, steps: Steps[T]) -> None:
        self.steps = steps
        self.is_wanted = True
        self.has_begun = False
        self.is_done = False
        self._result: Any = None
        self._error: BaseException | None = None

    def done(self) -> bool:
        """Whether it has come to its end."""
        return self.is_done

    def result(self) -> T:
        """What came of it, once it is done; raises what it raised."""
        if self._error is not None:
            raise self._error
        result: T = self._result
        return result

    def cancel(self) -> None:
        """Nobody wants the result any more. What has begun goes on to its end; what has not is not begun."""
        self.is_wanted = False
        if not self.has_begun:
            self.steps.close()

    def end(self, result: Any, error: BaseException | None = None) -> None:
        """Say what came of it."""
        self._result, self._error, self.is_done = result, error, True


class Loop:
    """Runs calls, at most ``count`` at a time.

    Args:
        count: How many calls may be under way.
        transport: Sends requests.
        clock: Tells the time; once it is stopped, all calls end.
        workers: Threads for what blocks.
    """

    def __init__(self, count: int, transport: Transport, clock: Clock, workers: Workers) -> None:
        self.count = count
        self._transport = transport
        self._clock = clock
        self._workers = workers
        self._waiting: deque[Task[Any]] = deque()
        self._under_way = 0
        self._sent: dict[Task[Any], Exchange] = {}
        self._arrived: dict[Task[Any], Response] = {}
        self._paused: dict[Task[Any], float] = {}
        self._blocked: dict[Task[Any], Future[Any]] = {}
        self._due: dict[Task[Any], float] = {}
        self._awaited: dict[Task[Any], list[tuple[int, int]]] = {}
        self._whose: dict[int, Task[Any]] = {}
        self._poll = select.poll()
        self._pipe: tuple[int, int] | None = None

    def submit(self, call: Callable[..., Steps[T]], *args: Any) -> Task[T]:
        """Begin a call. Its first request goes out at once, unless too many others are under way."""
        task = Task(call(*args))
        self._waiting.append(task)
        self._begin()
        return task

    def wait(self, tasks: Sequence[Task[Any]], seconds: float) -> Task[Any] | None:
        """Let the calls go on until one of these is done, and return it; None once this much real time has passed."""
        end = real_seconds() + seconds
        while (done := self._first_done(tasks)) is None:
            left = end - real_seconds()
            if left <= 0:
                return None
            self._turn(left, tasks)
            if self._waiting:
                self._begin()
        return done

    def advance(self, tasks: Collection[Task[Any]]) -> None:
        """Let those of these calls go on for which something has happened. Nothing is waited for."""
        self._turn(0, tasks)
        for task in tasks:
            if task in self._arrived:
                self._take_up(task)

    def _first_done(self, tasks: Sequence[Task[Any]]) -> Task[Any] | None:
        """The first of these calls that is done, now that someone waits for them."""
        for task in tasks:
            if task in self._arrived:
                self._take_up(task)
            if task.is_done:
                return task
        return None

    def _take_up(self, task: Task[Any]) -> None:
        """Let a call go on whose response has arrived, and others begin in its place."""
        self._resume(task, self._arrived.pop(task))
        if self._waiting:
            self._begin()

    @property
    def free(self) -> int:
        """How many more calls could begin at once."""
        return self.count - self._under_way - len(self._waiting)

    def _begin(self) -> None:
        while self._waiting:
            if self._under_way >= self.count:
                # A response that waits to be looked at makes room; one that nobody wants any more comes first.
                unwanted = (task for task in self._arrived if not task.is_wanted)
                arrived = next(unwanted, None) or next(iter(self._arrived), None)
                if arrived is None:
                    return
                self._resume(arrived, self._arrived.pop(arrived))
                continue
            task = self._waiting.popleft()
            if task.is_wanted:
                task.has_begun = True
                self._under_way += 1
                self._resume(task)

    def _resume(self, task: Task[Any], value: Any = None, error: BaseException | None = None) -> None:
        """Let a call go on to its next wait."""
        while True:
            try:
                step = task.steps.send(value) if error is None else task.steps.throw(error)
            except StopIteration as end:
                return self._end(task, end.value)
            except BaseException as raised:  # noqa: BLE001  raised where the result is asked for
                return self._end(task, None, raised)
            value, error = None, None
            try:
                value = self._enter(task, step)
            except BaseException as raised:  # noqa: BLE001  the call sees what went wrong
                error = raised
            if value is None and error is None:
                return None

    def _end(self, task: Task[Any], result: Any, error: BaseException | None = None) -> None:
        """A call has come to its end, and makes room for another."""
        self._under_way -= 1
        task.end(result, error)

    def _enter(self, task: Task[Any], step: Step) -> Response | None:
        """Begin to wait for a step; returns its outcome if that is there at once."""
        match step:
            case Sending():
                self._sent[task] = self._transport.begin(step.request)
                response = self._advance(task)
                return None if response is None or self._leave(task, response) else response
            case Pause():
                self._paused[task] = real_seconds() + step.seconds / self._clock.rate
            case Blocking():
                self._ends()
                future = self._workers.submit(step.call)
                self._blocked[task] = future
                future.add_done_callback(self._wake)
        return None

    def _advance(self, task: Task[Any]) -> Response | None:
        """The response to a call's request, if it is complete."""
        exchange = self._sent[task]
        try:
            response = exchange.go_on()
        except BaseException:
            self._forget(task).close()
            raise
        if response is not None:
            self._forget(task)
            return response
        descriptors, self._due[task] = exchange.awaited()
        if descriptors != (before := self._awaited.get(task)):
            if before:
                self._unwatch(task, before)
            self._awaited[task] = descriptors
            for descriptor, events in descriptors:
                self._poll.register(descriptor, events)
                self._whose[descriptor] = task
        return None

    def _forget(self, task: Task[Any]) -> Exchange:
        """Wait no longer for a call's request."""
        if awaited := self._awaited.pop(task, None):
            self._unwatch(task, awaited)
        self._due.pop(task, None)
        return self._sent.pop(task)

    def _unwatch(self, task: Task[Any], descriptors: Iterable[tuple[int, int]]) -> None:
        for descriptor, _ in descriptors:
            if self._whose.get(descriptor) is task:
                del self._whose[descriptor]
                self._poll.unregister(descriptor)

    def _turn(self, longest_s: float, wanted: Collection[Task[Any]]) -> None:
        """Wait until something happens, and let those calls go on that it concerns.

        What has arrived for others than those that are waited for stays where it is, if it can: responses that are
        read long before they are looked at would push each other out of the processor's cache.
        """
        soonest = min(self._due.values(), default=math.inf)
        if self._paused:
            soonest = min(soonest, *self._paused.values())
        longest_s = min(longest_s, _LOOK_EVERY_S, soonest - real_seconds()) if longest_s else 0
        ready = dict(self._poll.poll(longest_s * 1000 if longest_s > 0 else 0))
        now = real_seconds()
        if stopped := self._clock.stopped:
            self._stop()
        touched = {self._whose[descriptor]: None for descriptor in ready if descriptor in self._whose}
        if len(touched) > 1:
            touched = {task: None for task in touched if task in wanted} or touched
        if soonest <= now:
            touched |= {task: None for task, due in self._due.items() if due <= now}
        for task in touched:
            if task in self._sent:
                self._advance_or_fail(task)
        if self._paused:
            for task in [task for task, until in self._paused.items() if stopped or until <= now]:
                del self._paused[task]
                self._resume(task)
        if self._pipe is not None and (self._blocked or self._pipe[0] in ready):
            self._collect(self._pipe[0])

    def _stop(self) -> None:
        """End all requests that are under way."""
        while self._sent:
            task = next(reversed(self._sent))
            self._forget(task).close()
            self._resume(task, error=StoppedError(STOPPED))

    def _advance_or_fail(self, task: Task[Any]) -> None:
        try:
            response = self._advance(task)
        except BaseException as error:  # noqa: BLE001  the call sees what went wrong
            self._resume(task, error=error)
        else:
            if response is not None and not self._leave(task, response):
                self._resume(task, response)

    def _leave(self, task: Task[Any], response: Response) -> bool:
        """Let a good response lie until someone waits for it; decoded rows would take several times its place."""
        if response.status < _REDIRECTED and task.is_wanted:
            self._arrived[task] = response
            return True
        return False

    def _collect(self, pipe: int) -> None:
        """Let those calls go on whose blocking part is over."""
        with suppress(BlockingIOError):
            os.read(pipe, 4096)
        for task, future in [(task, future) for task, future in self._blocked.items() if future.done()]:
            del self._blocked[task]
            error = future.exception()
            if error is None:
                self._resume(task, future.result())
            else:
                self._resume(task, error=error)

    def _ends(self) -> tuple[int, int]:
        if self._pipe is None:
            self._pipe = os.pipe()
            os.set_blocking(self._pipe[0], False)
            self._poll.register(self._pipe[0], select.POLLIN)
        return self._pipe

    def _wake(self, _: Future[Any]) -> None:
        os.write(self._ends()[1], b"\0")

    def __del__(self) -> None:
        """Close the pipe."""
        for end in self._pipe or ():
            os.close(end)
