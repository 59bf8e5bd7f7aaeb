"""``merchant-webhooks`` and ``python -m merchant_webhooks``."""

import faulthandler
import os
import signal
import sys
from typing import NoReturn

__all__ = ["main"]


def main() -> NoReturn:
    """Run the command."""
    if sys.stderr is not None:
        faulthandler.enable()
    signal.signal(signal.SIGINT, lambda number, _: os._exit(128 + number))
    from merchant_webhooks.cli import run  # noqa: PLC0415  signals are handled before the imports that take time

    code = run()
    if sys.stderr is not None:
        try:
            sys.stderr.flush()
        except OSError:  # what could not be said changes no exit code, so Python must not try it again at its end
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    sys.exit(code)


if __name__ == "__main__":
    main()
