"""Makes a response's body readable, in one place.

A body that a strict decoder accepts is used as it is. Where the decoder fails, what servers are known to get wrong is
repaired: a byte-order mark, text in the charset that the response names where it is not UTF-8, NaN and Infinity (null),
lone surrogates (U+FFFD). Everything else, every digit of a number, stays as it came.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

import msgspec

from tap_core import codec
from tap_core.errors import ApiError, TransientError, WrongKindError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_core.http.message import Response

__all__ = ["read_body"]

T = TypeVar("T")

_check = msgspec.json.Decoder(msgspec.Raw).decode
_BOM = b"\xef\xbb\xbf"
_MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+")
_CHARSET = re.compile(r"""charset=["']?([\w.:-]+)""", re.IGNORECASE)


def read_body(
    response: Response, parse: Callable[[bytes], T], quick: Callable[[bytes], T | None] = lambda _body: None
) -> T:
    """What a decoder makes of a response's body.

    Args:
        response: The response.
        parse: The decoder. It is given JSON in UTF-8 without line breaks, and may raise what `tap_core.codec` raises.
        quick: A decoder that is given the body as it came, and gives None for one that is not exactly as it expects.

    Raises:
        TransientError: The body is empty, HTML, cut short or not JSON for another reason.
        WrongKindError: It is JSON, but not of the expected kind.
        ApiError: It is nested too deeply.
    """
    try:
        if (found := quick(response.body)) is not None:
            return found
        try:
            return parse(codec.one_line(response.body))
        except codec.NOT_JSON:
            mended = _mended(response)
        try:
            return parse(codec.one_line(mended))
        except codec.NOT_JSON:
            raise WrongKindError("the response is JSON, but not of the expected kind") from None
    except RecursionError:
        raise ApiError("the response is nested too deeply to be read") from None


def _mended(response: Response) -> bytes:
    """The body as JSON that a strict decoder accepts; the same object if there is nothing to repair."""
    body = response.body
    if _is_json(body):
        return body
    text = _text(response).removeprefix("\ufeff")
    mended = _TOKEN.sub(_mend, text).encode()
    if _is_json(mended):
        return mended
    raise TransientError(_what_it_is(response))


def _is_json(body: bytes) -> bool:
    """Whether a body is sound; numbers may be of any size, because they are not looked at here."""
    try:
        codec.check_text(body)
        _check(body)
    except codec.NOT_JSON:
        return False
    return True


_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|-?\b(?:NaN|Infinity)\b', re.DOTALL)
_ESCAPE = re.compile(
    r"\\(?:(u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)


def _mend(token: re.Match[str]) -> str:
    text = token[0]
    if not text.startswith('"'):
        return "null"
    if "\\u" not in text:
        return text
    return _ESCAPE.sub(lambda escape: "\ufffd" if escape[2] else escape[0], text)


def _text(response: Response) -> str:
    try:
        return response.body.decode()
    except UnicodeDecodeError:
        label = _CHARSET.search(response.headers.get("Content-Type", ""))
        try:
            return response.body.decode(label[1] if label else "ascii")
        except (UnicodeError, LookupError):
            raise TransientError(_cut_off(response) or "the response is not UTF-8 text") from None


def _what_it_is(response: Response) -> str:
    body = response.body.removeprefix(_BOM).strip()
    if not body:
        return f"the response is empty where JSON is expected (status {response.status})"
    if body.startswith(b"<"):
        return "the response is an HTML page, not JSON"
    label = _MEDIA_TYPE.match(response.headers.get("Content-Type", ""))
    kind = label[0] if label else "no content type"
    return _cut_off(response) or f"the response is not JSON ({len(response.body)} bytes, {kind})"


def _cut_off(response: Response) -> str | None:
    """That the JSON lacks its end, which may be in the middle of a character; None if it does not."""
    body = response.body.removeprefix(_BOM).strip()
    if body[:1] in b"[{" and body[-1:] not in b"]}":
        return f"the response is cut off after {len(response.body)} bytes of JSON"
    return None
