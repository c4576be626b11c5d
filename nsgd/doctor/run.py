"""The whole examination: documents, the running daemon, this host, and the judgement."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nsgd.config.load import load_documents
from nsgd.config.problem import ConfigRefused
from nsgd.doctor.check import Check
from nsgd.doctor.checks import judge
from nsgd.doctor.facts import Policy
from nsgd.doctor.gather import gather
from nsgd.runtime.control_client import ControlError, ControlErrorKind, request
from nsgd.runtime.documents import read_documents

_STATUS_TIMEOUT_S = 5.0


def examine(config: Sequence[Path], socket_path: Path) -> tuple[Check, ...]:
    """Examine this host; with documents also what they name."""
    policy, problems = _load(config) if config else (None, ())
    status, error, is_absent = None, "", False
    try:
        status = request(socket_path, "status", _STATUS_TIMEOUT_S)
    except ControlError as refused:
        error = str(refused)
        is_absent = refused.kind is ControlErrorKind.UNREACHABLE
    return judge(
        gather(
            policy=policy,
            policy_problems=problems,
            status=status,
            status_error=error,
            is_daemon_absent=is_absent,
        )
    )


def _load(config: Sequence[Path]) -> tuple[Policy | None, tuple[str, ...]]:
    try:
        loaded = load_documents(read_documents(config))
    except ConfigRefused as refused:
        return None, tuple(str(each) for each in refused.problems)
    return Policy(loaded.model, loaded.settings), ()
