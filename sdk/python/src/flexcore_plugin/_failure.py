"""Why something could not be done."""

from __future__ import annotations

from typing import Literal

FailureClass = Literal["configuration", "data", "network", "cancelled", "internal"]


class Failure(Exception):
    """Why a call or an initialization failed.

    The message is read by people: what went wrong, where, and what to do; without secrets. The
    class is read by the retry policy of the step:

    * ``configuration``: the settings or parameters are wrong; another try ends the same.
    * ``data``: the data is wrong; another try ends the same.
    * ``network``: another system could not be reached; another try may succeed.
    * ``cancelled``: the host asked to stop.
    * ``internal``: a mistake in the plugin. Any other exception is taken for one.
    """

    def __init__(self, failure_class: FailureClass, message: str) -> None:
        super().__init__(message)
        self.failure_class: FailureClass = failure_class
        self.message = message


class Cancelled(Failure):
    """The host asked to stop. Raised by taking and sending records."""

    def __init__(self, reason: str) -> None:
        super().__init__("cancelled", f"stopped: {reason}")
