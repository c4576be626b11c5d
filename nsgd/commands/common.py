"""What verbs share: exit codes, options that several have, and how errors are shown.

Modules are imported by the verb that needs them: checking documents needs neither the kernel's
libraries nor those for metrics.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nsgd.commands.progress import progress

if TYPE_CHECKING:
    from nsgd.config.load import LoadedConfig
    from nsgd.config.problem import ConfigRefused
    from nsgd.config.tag_catalogue import TagSource
    from nsgd.runtime.control_client import ControlError
    from nsgd.runtime.tag_store import TagFile, TagStore

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_CONFIG = 3
EXIT_UNREACHABLE = 4
EXIT_PERMISSION = 5
EXIT_UNDETERMINED = 6

EXIT_CODES = """\
exit codes:
  0  done
  1  failed
  2  wrong usage
  3  documents refused
  4  no daemon can be reached
  5  permission denied
  6  undetermined in part (diff, lint, reach)
"""

REQUEST_TIMEOUT_S = 10.0
_UNKNOWN_VERB = "the verb is none of"  # as a daemon says it that lacks one

# A verb's name, its function and one line of help; the parser to add its options to.
AddVerb = Callable[[str, Callable[[argparse.Namespace], int], str], argparse.ArgumentParser]


def verb_adder(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> AddVerb:
    """A function that adds verbs to *verbs*, each with its help and the exit codes."""

    def add(
        name: str, run: Callable[[argparse.Namespace], int], help_text: str
    ) -> argparse.ArgumentParser:
        added = verbs.add_parser(
            name,
            help=help_text,
            description=f"{help_text[0].upper()}{help_text[1:]}.",
            epilog=EXIT_CODES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        added.set_defaults(run=run)
        return added

    return add


def add_config(parser: argparse.ArgumentParser, *, is_required: bool = True) -> None:
    parser.add_argument(
        "--config",
        metavar="PATH",
        type=Path,
        nargs="+",
        action="extend",
        required=is_required,
        help="documents and directories of documents, loaded as one",
    )
    add_parameters(parser)


def add_parameters(parser: argparse.ArgumentParser) -> None:
    """The option that goes with every option or argument that names documents."""
    parser.add_argument(
        "--parameters",
        metavar="FILE",
        type=Path,
        nargs="+",
        action="extend",
        default=[],
        help="values for the parameters of templates: NAME.parameters.json for NAME.json alone,"
        " any other file for all templates that have such parameters",
    )


def load_config(args: argparse.Namespace, paths: Sequence[Path]) -> LoadedConfig:
    """Load documents as the options say, and tell what must not go unsaid. Raises ConfigRefused."""
    return load_paths(paths, args.parameters, tag_source(args))


def load_paths(
    paths: Sequence[Path],
    parameters: Sequence[Path],
    tags: TagSource | None,
    *,
    keep_places: bool = False,
) -> LoadedConfig:
    """As load_config(), with what its options would say."""
    return load_and_name(paths, parameters, tags, keep_places=keep_places)[0]


def load_and_name(
    paths: Sequence[Path],
    parameters: Sequence[Path],
    tags: TagSource | None,
    *,
    keep_places: bool = False,
) -> tuple[LoadedConfig, str]:
    """As load_paths(), and the hash that ``nsgd status`` has once these are in force."""
    from hashlib import sha256

    from nsgd.config.fingerprint import documents_hash
    from nsgd.config.load import load_documents
    from nsgd.runtime.documents import read_documents, read_linked

    with progress("loading documents"):
        documents = read_documents(paths, parameters)
        loaded = load_documents(
            documents, tags=tags, read_linked=read_linked, keep_places=keep_places
        )
    for warning in loaded.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    contents = (document.content for document in (*documents, *loaded.linked))
    digests = [sha256(content).digest() for content in contents]
    return loaded, documents_hash(digests, loaded.model.service_tags)


def add_runtime_dir(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--runtime-dir",
        metavar="DIR",
        type=Path,
        default=directory("RUNTIME_DIRECTORY", "/run/nsgd"),
        help="where the daemon's control socket is (%(default)s)",
    )


def add_state_dir(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--state-dir",
        metavar="DIR",
        type=Path,
        default=directory("STATE_DIRECTORY", "/var/lib/nsgd"),
        help="where decision numbers and installed service tags are kept (%(default)s)",
    )


def add_service_tags(parser: argparse.ArgumentParser) -> None:
    """Options of every verb that loads documents: tag_source() makes use of them."""
    add_state_dir(parser)
    parser.add_argument(
        "--service-tags",
        metavar="PATH",
        type=Path,
        help="Microsoft's service tags: a file, or a directory of installed ones"
        " (service-tags in the state directory)",
    )


def tag_source(args: argparse.Namespace) -> TagStore | TagFile:
    """The service tags that the options name; nothing is read before it is asked."""
    from nsgd.runtime.tag_store import DIRECTORY_NAME, TagStore, open_tags

    if args.service_tags is not None:
        return open_tags(args.service_tags)
    return TagStore(args.state_dir / DIRECTORY_NAME)


# Of flows, and of decisions about them: option, what its value is called, and what is meant.
_FILTERS = (
    ("--nsg", "NAME", "{} that a rule of this network security group made"),
    ("--rule", "NAME", "{} that a rule of this name made"),
    ("--direction", "DIRECTION", "Inbound or Outbound: {} that a rule of it made"),
    ("--nic", "NAME", "{} with this network interface, or scale set, at either end"),
    ("--source", "PREFIX", "{} whose initiator is there"),
    ("--destination", "PREFIX", "{} whose other end is there"),
    ("--protocol", "PROTOCOL", "Tcp, Udp, Icmp, Esp, Ah, or a number"),
)
_FILTER_NAMES = ("nsg", "rule", "direction", "nic", "source", "destination", "protocol", "port")


def add_filters(parser: argparse.ArgumentParser, things: str) -> None:
    """Options that say which flows are meant, or which decisions; filters_of() reads them."""
    for option, metavar, text in _FILTERS:
        words = text.format(things)
        if things == "flows":
            words = words.replace(" made", " allowed")
        parser.add_argument(option, metavar=metavar, help=words)
    parser.add_argument("--port", metavar="PORT", type=int, help=f"{things} to this port")


def filters_of(args: argparse.Namespace) -> dict[str, Any]:
    """What the daemon is asked for."""
    return {name: value for name in _FILTER_NAMES if (value := getattr(args, name)) is not None}


def add_output(parser: argparse.ArgumentParser) -> None:
    """For people, or for programs; say() makes use of it."""
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table")


def say(args: argparse.Namespace, result: Mapping[str, Any], text: str) -> None:
    """Print what was done, as the option says."""
    print(json.dumps(result, indent=2) if args.output == "json" else text)


def directory(variable: str, default: str) -> Path:
    # systemd sets the variable, with several directories after one another where a unit has them.
    return Path(os.environ.get(variable, "").partition(":")[0] or default)


def show_problems(refused: ConfigRefused) -> int:
    for problem in refused.problems:
        print(problem, file=sys.stderr)
    documents = len({problem.document for problem in refused.problems})
    problems = plural(len(refused.problems), "problem")
    print(f"{problems} in {plural(documents, 'document')}", file=sys.stderr)
    return EXIT_CONFIG


def show_error(error: ControlError) -> int:
    codes = {
        "unreachable": EXIT_UNREACHABLE,
        "noAnswer": EXIT_UNREACHABLE,
        "permission": EXIT_PERMISSION,
        "usage": EXIT_USAGE,
    }
    text = str(error)
    if error.kind.value == "usage" and text.startswith(_UNKNOWN_VERB):
        text = f"the daemon does not know this: it is of another version; restart it ({text})"
    return fail(text, codes.get(error.kind.value, EXIT_FAILED))


def show_refusal(error: ControlError) -> int:
    """As show_error(), and why the daemon did not do it."""
    if not error.problems:
        return show_error(error)
    return fail("; ".join((str(error), *error.problems)), EXIT_FAILED)


def fail(message: str, code: int) -> int:
    print(f"nsgd: {message}", file=sys.stderr)
    return code


def plural(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
