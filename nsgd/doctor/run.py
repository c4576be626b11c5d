"""The whole examination: documents, the running daemon, this host, and the judgement."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nsgd.config.load import load_documents
from nsgd.config.problem import ConfigRefused
from nsgd.config.tag_catalogue import TagSource
from nsgd.doctor.check import Check
from nsgd.doctor.checks import judge
from nsgd.doctor.facts import Policy, TagFileSeen
from nsgd.doctor.gather import gather
from nsgd.runtime.control_client import ControlError, ControlErrorKind, request
from nsgd.runtime.documents import read_documents, read_linked
from nsgd.runtime.tag_report import file_statuses
from nsgd.runtime.tag_store import TagFile, TagStore

_STATUS_TIMEOUT_S = 5.0


def examine(
    config: Sequence[Path],
    socket_path: Path,
    tags: TagStore | TagFile,
    parameters: Sequence[Path] = (),
) -> tuple[Check, ...]:
    """Examine this host; with documents also what they name, *tags* where they name some.

    *parameters* are files with values for templates among the documents.
    """
    policy, problems = _load(config, parameters, tags) if config else (None, ())
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
            service_tags=[
                TagFileSeen(
                    file.cloud,
                    None if file.catalogue is None else file.catalogue.change_number,
                    file.age_s or 0.0,
                    file.problem or "",
                    file.is_previous,
                )
                for file in file_statuses(tags)
            ],
        )
    )


def _load(
    config: Sequence[Path], parameters: Sequence[Path], tags: TagSource
) -> tuple[Policy | None, tuple[str, ...]]:
    try:
        documents = read_documents(config, parameters)
        loaded = load_documents(documents, tags=tags, read_linked=read_linked)
    except ConfigRefused as refused:
        return None, tuple(str(each) for each in refused.problems)
    return Policy(loaded.model, loaded.settings), ()
