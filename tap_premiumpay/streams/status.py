"""The calls about the server itself, which are made once per run."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from typing_extensions import override

from tap_core import codec
from tap_core.errors import ApiError
from tap_core.http.message import Request
from tap_core.http.steps import Blocking
from tap_core.reading.fetch import Slice
from tap_core.reading.pages import Page
from tap_core.records.fields import FromContext
from tap_core.timestamps import text_of
from tap_premiumpay.streams.base import PremiumpayStream

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tap_core.records.field import Context, Field
    from tap_premiumpay.guesses import Endpoint

__all__ = ["ServerStatus"]


class ServerStatus(PremiumpayStream):
    """The call budget and the version of the API, as reported by the run's one status call."""

    name = "server_status"
    reads_ahead = False
    primary_keys = ("_read_at",)
    snapshot = False
    fields: ClassVar[Sequence[Field]] = (FromContext(("_read_at",)),)

    @property
    @override
    def endpoint(self) -> Endpoint:
        return self.settings.endpoints["status"]

    @override
    def record_context(self, part: Slice) -> Context:
        return {"_read_at": text_of(self.session.clock.now())}

    @override
    async def load(self, part: Slice, token: Any) -> Page:
        status, version = await Blocking(self.status), await Blocking(self.version)
        return Page([msgspec.Raw(codec.encode({**version, **status}))])

    @property
    @override
    def calls_per_page(self) -> int:
        return sum(bool(self.settings.endpoints[name].path) for name in ("status", "version"))

    def status(self) -> Mapping[str, Any]:
        """The response to the status call, which is made once per run.

        Raises:
            TapError: It failed; the same each time.
        """
        return self._once("status")

    def version(self) -> Mapping[str, Any]:
        """The response to the version call, which is made once per run.

        Raises:
            TapError: It failed; the same each time.
        """
        return self._once("version")

    @cached_property
    def _answers(self) -> dict[str, Mapping[str, Any] | ApiError]:
        """The responses to the calls that are made once."""
        return {}

    def _once(self, name: str) -> Mapping[str, Any]:
        if name not in self._answers:
            try:
                self._answers[name] = self._ask(name)
            except ApiError as error:
                self._answers[name] = error
        answer = self._answers[name]
        if isinstance(answer, ApiError):
            raise answer
        return answer

    def _ask(self, name: str) -> Mapping[str, Any]:
        endpoint = self.settings.endpoints[name]
        if not endpoint.path:
            return {}
        headers = {**self.http_headers, "Content-Type": "application/json"}
        body = b"{}" if endpoint.method == "POST" else None
        request = Request(endpoint.method, self.url(endpoint.path), headers, body)
        what = f"{self.name}: {endpoint.method} {endpoint.path}"
        answer = self.client(Slice()).call(request, parse=codec.decode, meter=self.meter, what=what)
        if not isinstance(answer, dict):
            raise ApiError(f"{what}: the response is not an object")
        return answer
