"""Which certificates are trusted, in HTTP and in WebSockets alike.

The bundle that ``REQUESTS_CA_BUNDLE`` or ``SSL_CERT_FILE`` names, a file or a directory of hashed certificates; without
either, the one of certifi and the machine's own store.
"""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from pathlib import Path

import certifi

from tap_core.errors import ConfigError

__all__ = ["Trust", "tls_context", "trust"]


@dataclass(frozen=True, slots=True)
class Trust:
    """Where trusted certificates are.

    Attributes:
        file: A file of certificates, or None.
        directory: A directory of certificates by their hashes, or None.
    """

    file: str | None
    directory: str | None


def trust() -> Trust:
    """What the environment says about trusted certificates.

    Raises:
        ConfigError: A variable names something that cannot be read.
    """
    for variable in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        if bundle := os.environ.get(variable):
            if not os.access(bundle, os.R_OK):
                raise ConfigError(f"{variable} does not name a readable certificate bundle")
            return Trust(None, bundle) if Path(bundle).is_dir() else Trust(bundle, None)
    return Trust(certifi.where(), ssl.get_default_verify_paths().capath)


def tls_context() -> ssl.SSLContext:
    """The same for Python's own TLS.

    Raises:
        ConfigError: A variable names something that is not a bundle of certificates.
    """
    found = trust()
    try:
        return ssl.create_default_context(cafile=found.file, capath=found.directory)
    except (OSError, ssl.SSLError):
        raise ConfigError("REQUESTS_CA_BUNDLE or SSL_CERT_FILE does not name a certificate bundle") from None
