"""Which vendors there are: the packages in ``merchant_sandbox/vendors``. No other place lists them."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

import merchant_sandbox.vendors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from merchant_sandbox.vendor import Vendor

__all__ = ["vendors"]


@cache
def vendors() -> Mapping[str, type[Vendor]]:
    """The class of each vendor, ``VENDOR`` in the ``api`` of its package, by the package's name and in that order."""
    packages = sorted(module.name for module in iter_modules(merchant_sandbox.vendors.__path__))
    return {name: import_module(f"merchant_sandbox.vendors.{name}.api").VENDOR for name in packages}
