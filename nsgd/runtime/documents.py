"""Reads documents from files, and tells every file that is not one."""

from __future__ import annotations

import errno
import os
import posixpath
import stat
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

from nsgd.config.document import Document, Role
from nsgd.config.problem import ConfigRefused, Problem, Refusal

MAXIMUM_DOCUMENT_BYTES = 64 << 20
_AT_ONCE = 1 << 16  # stays in the processor's cache, and its memory is taken again and again
DOCUMENT_SUFFIXES = (".yaml", ".yml", ".json")

_WAYS_OUT = {
    errno.ENOENT: "check the path",
    errno.ENOTDIR: "check the path",
    errno.EACCES: "let the user that runs nsgd read it",
    errno.EPERM: "let the user that runs nsgd read it",
}


def read_documents(
    paths: Sequence[Path], parameters: Sequence[Path] = (), known: Mapping[str, bytes] | None = None
) -> list[Document]:
    """Read all files, in the order given; of a directory, its documents by name.

    Args:
        paths: The documents.
        parameters: Files with values for the parameters of templates.
        known: What files held when they were last read, by the names of their documents. Where
            that is still so the document has this very object: memory is not taken again, nor is
            what is the same hashed again.

    Raises:
        ConfigRefused: With one problem for each file that cannot be read, is not a regular file
            or is longer than MAXIMUM_DOCUMENT_BYTES.
    """
    documents: list[Document] = []
    problems: list[Problem] = []
    known = known or {}
    files = chain(
        ((path, Role.POLICY) for path in _expand(paths, problems)),
        ((path, Role.PARAMETERS) for path in parameters),
    )
    for path, role in files:
        name = str(path)
        try:
            documents.append(Document(name, _read(path, known.get(name)), role))
        except OSError as error:
            problems.append(Problem(name, "", None, *_reason(error)))
        except _Unsuitable as unsuitable:
            problems.append(Problem(name, "", None, *unsuitable.args))
    if problems:
        raise ConfigRefused(tuple(problems))
    return documents


def read_linked(template: str, relative: str) -> Document | None:
    """Read a template that another one links to, as nsgd.config.document.ReadLinked says.

    Only what lies in the directory of *template* or below is read, links of the file system
    followed.
    """
    name = posixpath.join(posixpath.dirname(template), relative)
    try:
        directory = Path(template).parent.resolve()
        path = (directory / relative).resolve(strict=True)
        if not path.is_relative_to(directory):
            raise Refusal(f"leads out of {directory}", "put the file itself there")
        return Document(name, _read(path), Role.LINKED)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, RuntimeError) as error:  # RuntimeError is a circle of links
        raise Refusal(*_reason(error)) from error
    except _Unsuitable as unsuitable:
        raise Refusal(*unsuitable.args) from unsuitable


def _reason(error: OSError | RuntimeError) -> tuple[str, str]:
    """Message and way out."""
    if isinstance(error, RuntimeError):
        return f"cannot be read: {error}", "check the links of the file system"
    reason = (error.strerror or str(error)).lower()
    way_out = _WAYS_OUT.get(error.errno or 0, "check the file and its file system")
    return f"cannot be read: {reason}", way_out


def _expand(paths: Sequence[Path], problems: list[Problem]) -> Iterator[Path]:
    """Directories become the documents in them, hidden files left out."""
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        try:
            found = [
                path / name
                for name in sorted(os.listdir(path))
                if Path(name).suffix in DOCUMENT_SUFFIXES and not name.startswith(".")
            ]
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            problems.append(
                Problem(str(path), "", None, f"cannot be read: {reason}", "check its permissions")
            )
            continue
        if not found:
            suffixes = ", ".join(DOCUMENT_SUFFIXES)
            problems.append(
                Problem(str(path), "", None, "has no documents in it", f"name them {suffixes}")
            )
        yield from found


class _Unsuitable(Exception):
    """Message and way out."""


def _read(path: Path, known: bytes | None = None) -> bytes:
    # Before opening, which some devices take as a request.
    _require_regular(os.stat(path).st_mode)
    # It may be another file by now, and opening a pipe would wait for its writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        state = os.fstat(descriptor)
        _require_regular(state.st_mode)
        if known is not None and state.st_size == len(known) and _has(descriptor, known):
            return known
        content = _read_all(descriptor, state.st_size)
    finally:
        os.close(descriptor)
    if len(content) > MAXIMUM_DOCUMENT_BYTES:
        raise _Unsuitable(
            f"is longer than {MAXIMUM_DOCUMENT_BYTES >> 20} MiB", "split it into several documents"
        )
    return content


def _has(descriptor: int, known: bytes) -> bool:
    """Whether a file holds these bytes; if not, it is at its beginning again.

    All of it is read and compared. That times and sizes are the same would not do: a program that
    writes to memory which is the file changes no times, and on some file systems nor do two writes
    in the same second.
    """
    at = 0
    while part := os.read(descriptor, _AT_ONCE):
        if not known.startswith(part, at):
            os.lseek(descriptor, 0, os.SEEK_SET)
            return False
        at += len(part)
    if at != len(known):
        os.lseek(descriptor, 0, os.SEEK_SET)
        return False
    return True


def _read_all(descriptor: int, size: int) -> bytes:
    """A file to its end, or one byte more than a document may have.

    *size* is what it had a moment ago: it may have grown. With room for that and no more, a
    directory of many files is read in half the time.
    """
    parts: list[bytes] = []
    left = MAXIMUM_DOCUMENT_BYTES + 1
    wanted = min(size + 1, left)
    while wanted and (part := os.read(descriptor, wanted)):
        parts.append(part)
        left -= len(part)
        wanted = min(max(wanted - len(part), 1 << 16), left)
    return b"".join(parts)


def _require_regular(mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise _Unsuitable("is a directory", "name the files in it")
    if not stat.S_ISREG(mode):
        raise _Unsuitable("is not a regular file", "copy it to one: a reload reads it again")
