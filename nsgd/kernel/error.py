"""A refusal by the kernel, with what was asked."""

from __future__ import annotations

import errno
import os


class KernelError(Exception):
    """*operation* on *subject* failed with *number*, an errno."""

    def __init__(self, operation: str, subject: str, number: int) -> None:
        name = errno.errorcode.get(number, str(number))
        super().__init__(f"{operation} {subject}: {os.strerror(number)} ({name})")
        self.operation = operation
        self.subject = subject
        self.number = number


class UnansweredError(KernelError):
    """The kernel was asked and its answer is lost: what was asked for is done, or it is not."""
