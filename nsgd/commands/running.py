"""The policy that a running daemon has in force, loaded from the documents that it tells."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from nsgd.runtime.control_wire import SOCKET_NAME

if TYPE_CHECKING:
    from nsgd.config.load import LoadedConfig

_POLICY_TIMEOUT_S = 60.0  # its documents may be many megabytes


def load_running(args: argparse.Namespace) -> LoadedConfig:
    """Load the documents that the running daemon has accepted last.

    Raises:
        ControlError: No daemon answers, or with no policy.
        ConfigRefused: This nsgd refuses what the daemon's took.
    """
    from nsgd import __version__
    from nsgd.config.load import load_documents
    from nsgd.runtime.control_client import ControlError, ControlErrorKind, request
    from nsgd.runtime.policy_in_force import PolicyAnswerError, read_told_policy

    try:
        told = read_told_policy(
            request(args.runtime_dir / SOCKET_NAME, "policy", _POLICY_TIMEOUT_S)
        )
    except PolicyAnswerError as error:
        raise ControlError(ControlErrorKind.NO_ANSWER, str(error)) from error
    if told.version != __version__:
        print(
            f"warning: the daemon is nsgd {told.version}, and this is {__version__}: it may judge"
            " otherwise",
            file=sys.stderr,
        )
    return load_documents(told.documents, tags=told)
