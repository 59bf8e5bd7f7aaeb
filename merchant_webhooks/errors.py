"""What goes wrong with the command, in one line for its user."""

from __future__ import annotations

__all__ = ["WebhooksError"]


class WebhooksError(Exception):
    """The command cannot do what it is asked to. The message holds no secret.

    Args:
        message: One line that names the setting or the file, and the way out.
        code: The exit code.
    """

    def __init__(self, message: str, code: int = 2) -> None:
        super().__init__(message)
        self.code = code
