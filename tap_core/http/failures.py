"""What went wrong with a request, in one line that names the host and nothing else of the URL."""

from __future__ import annotations

import socket

import pycurl

from tap_core.errors import ApiError, ConfigError, LastingError, NetworkError, TapError, UnreachableError
from tap_core.http.message import too_long

__all__ = ["translated"]

_REFUSED = 300
_PROXY_REFUSES = frozenset({401, 403, 407})
_REASONS = {
    pycurl.E_COULDNT_RESOLVE_HOST: "the name cannot be resolved",
    pycurl.E_COULDNT_RESOLVE_PROXY: "the name of the proxy cannot be resolved",
    pycurl.E_COULDNT_CONNECT: "no connection (refused or unreachable)",
    pycurl.E_SSL_CONNECT_ERROR: "the TLS connection broke",
    pycurl.E_PARTIAL_FILE: "the response is cut short",
    pycurl.E_GOT_NOTHING: "the connection broke before a response",
    pycurl.E_SEND_ERROR: "the connection broke before a response",
    pycurl.E_RECV_ERROR: "the connection broke before the response was complete",
    pycurl.E_UNSUPPORTED_PROTOCOL: "the response is not HTTP",
}


def translated(
    code: int, handle: pycurl.Curl, host: str, *, limit: int, is_connected: bool, was_reached: bool
) -> TapError:
    """Libcurl's error as ours. Its own text may contain more of the URL than the host.

    Args:
        code: The number of the error.
        handle: The handle that has failed.
        host: The host, for messages.
        limit: The longest response that is accepted, in bytes.
        is_connected: Whether the request could be sent.
        was_reached: Whether the host has answered in this run.
    """
    if code == pycurl.E_FILESIZE_EXCEEDED:
        return too_long(host, limit)
    if code == pycurl.E_SSL_CACERT_BADFILE:
        return ConfigError("REQUESTS_CA_BUNDLE or SSL_CERT_FILE does not name a certificate bundle")
    if code == pycurl.E_PEER_FAILED_VERIFICATION:
        return ApiError(f"the certificate of {host} is not trusted; put a private authority's bundle in SSL_CERT_FILE")
    proxy_status = handle.getinfo(pycurl.HTTP_CONNECTCODE)
    if proxy_status >= _REFUSED:
        reason = f"the proxy answers {proxy_status}"
    else:
        reason = _REASONS.get(code, f"the request failed (libcurl {code})")
    if not was_reached and (way_out := _way_out(code, proxy_status, handle, host)):
        return LastingError(f"{host}: {reason}; check {way_out}")
    return (NetworkError if is_connected else UnreachableError)(f"{host}: {reason}")


def _way_out(code: int, proxy_status: int, handle: pycurl.Curl, host: str) -> str | None:
    """What to check where no second try can help, if that is so."""
    if code == pycurl.E_COULDNT_RESOLVE_HOST and not _may_be_known(host):
        return "api_url"
    if code == pycurl.E_COULDNT_RESOLVE_PROXY or proxy_status in _PROXY_REFUSES:
        return "HTTPS_PROXY"
    if code == pycurl.E_SSL_CONNECT_ERROR and "wrong version number" in handle.errstr():
        return "api_url: there is no TLS at this port"
    return None


def _may_be_known(host: str) -> bool:
    """Whether a name could not be looked up just now; False where nobody knows it."""
    try:
        socket.getaddrinfo(host.partition(":")[0], None)
    except socket.gaierror as error:
        return error.errno == socket.EAI_AGAIN
    except (OSError, UnicodeError):
        return False
    return True
