"""The command ``nsgd``: one verb each, what it prints, and its exit code.

Modules are imported by the verb that needs them: checking documents needs neither the kernel's
libraries nor those for metrics.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nsgd import __version__

if TYPE_CHECKING:
    from nsgd.config.problem import ConfigRefused
    from nsgd.runtime.control_client import ControlError

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_CONFIG = 3
EXIT_UNREACHABLE = 4
EXIT_PERMISSION = 5

SOCKET_NAME = "nsgd.sock"
_EPILOG = """\
exit codes:
  0  done
  1  failed
  2  wrong usage
  3  documents refused
  4  no daemon can be reached
  5  permission denied
"""
_REQUEST_TIMEOUT_S = 10.0
_RELOAD_TIMEOUT_S = 300.0
_STOP_TIMEOUT_S = 30.0


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit code. Raises SystemExit for wrong usage."""
    words = list(sys.argv[1:] if argv is None else argv)
    args = _parser(words).parse_args(words)
    try:
        code: int = args.run(args)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of a pipe has seen enough; nothing more must be written at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    return code


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nsgd",
        description="Azure network security groups, enforced on plain Linux.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"nsgd {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)

    def verb(name: str, run: Any, help_text: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(
            name,
            help=help_text,
            description=f"{help_text[0].upper()}{help_text[1:]}.",
            epilog=_EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        added.set_defaults(run=run)
        return added

    run = verb("run", _run, "run the daemon in the foreground")
    _add_config(run)
    _add_runtime_dir(run)
    run.add_argument(
        "--state-dir",
        metavar="DIR",
        type=Path,
        default=_directory("STATE_DIRECTORY", "/var/lib/nsgd"),
        help="where decision numbers are kept (%(default)s)",
    )

    check = verb("check", _check, "check documents and say what they declare")
    check.add_argument("files", metavar="PATH", type=Path, nargs="+", help="loaded as one")

    status = verb("status", _status, "show what a running daemon decides and counts")
    _add_runtime_dir(status)
    status.add_argument("-o", "--output", choices=("table", "json"), default="table")
    status.add_argument("--all", action="store_true", help="in the table, also what is zero")

    boot = verb("boot", _boot, "load a policy's rules without a daemon: new flows wait for one")
    _add_config(boot)

    reload = verb("reload", _reload, "have the daemon read its documents again, and wait")
    reload.add_argument(
        "--reevaluate",
        action="store_true",
        help="judge every open flow again, and cut those that are denied now",
    )
    _add_runtime_dir(reload)

    stop = verb("stop", _stop, "stop the daemon; its rules stay in place")
    stop.add_argument(
        "--remove-rules",
        action="store_true",
        help="remove the rules too, also those that a daemon left behind: all traffic then passes",
    )
    _add_runtime_dir(stop)

    doctor = verb("doctor", _doctor, "say what this host offers, what is missing, and the way out")
    _add_config(doctor, is_required=False)
    _add_runtime_dir(doctor)
    doctor.add_argument("-o", "--output", choices=("table", "json"), default="table")

    verb("schema", _schema, "print the JSON Schema of policy documents")

    lab = verb("lab", _in_namespaces, "try a policy with real packets in network namespaces")
    bench = verb("bench", _in_namespaces, "measure nsgd beside other ways to filter")
    # Their options are in modules that import the kernel's libraries.
    chosen = next((word for word in words if not word.startswith("-")), None)
    if chosen in ("lab", "bench"):
        import_module(f"nsgd.{chosen}.run").add_arguments(lab if chosen == "lab" else bench)
    return parser


def _add_config(parser: argparse.ArgumentParser, *, is_required: bool = True) -> None:
    parser.add_argument(
        "--config",
        metavar="PATH",
        type=Path,
        nargs="+",
        action="extend",
        required=is_required,
        help="documents and directories of documents, loaded as one",
    )


def _add_runtime_dir(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--runtime-dir",
        metavar="DIR",
        type=Path,
        default=_directory("RUNTIME_DIRECTORY", "/run/nsgd"),
        help="where the daemon's control socket is (%(default)s)",
    )


def _directory(variable: str, default: str) -> Path:
    # systemd sets the variable, with several directories after one another where a unit has them.
    return Path(os.environ.get(variable, "").partition(":")[0] or default)


def _run(args: argparse.Namespace) -> int:
    from nsgd import daemon

    return daemon.run(args.config, args.runtime_dir, args.state_dir)


def _boot(args: argparse.Namespace) -> int:
    from nsgd import daemon

    return daemon.boot(args.config)


def _check(args: argparse.Namespace) -> int:
    from nsgd.config.load import load_documents
    from nsgd.config.problem import ConfigRefused
    from nsgd.policy.runnable import what_cannot_run
    from nsgd.runtime.documents import read_documents

    try:
        model = load_documents(read_documents(args.files)).model
    except ConfigRefused as refused:
        return _show_problems(refused)
    for warning in what_cannot_run(model):
        print(f"warning: {warning}; 'nsgd run' refuses this", file=sys.stderr)
    rules = sum(len(group.security_rules) for group in model.network_security_groups)
    counts = (
        (len(model.virtual_networks), "virtual network"),
        (len(model.network_interfaces), "network interface"),
        (len(model.network_security_groups), "network security group"),
        (len(model.application_security_groups), "application security group"),
        (rules, "security rule"),
    )
    summary = ", ".join(_plural(number, noun) for number, noun in counts)
    print(f"{_plural(len(args.files), 'document')}: {summary}")
    return EXIT_OK


def _status(args: argparse.Namespace) -> int:
    from nsgd.observe.text import format_status
    from nsgd.runtime.control_client import ControlError, request

    try:
        status = request(args.runtime_dir / SOCKET_NAME, "status", _REQUEST_TIMEOUT_S)
    except ControlError as error:
        return _show_error(error)
    if args.output == "json":
        print(json.dumps(status, indent=2))
    else:
        print(format_status(status, show_all=args.all))
    return EXIT_OK


def _doctor(args: argparse.Namespace) -> int:
    from nsgd.doctor.check import State
    from nsgd.doctor.report import checks_as_json, checks_as_text, worst
    from nsgd.doctor.run import examine

    checks = examine(args.config or (), args.runtime_dir / SOCKET_NAME)
    print(checks_as_json(checks) if args.output == "json" else checks_as_text(checks))
    return EXIT_FAILED if worst(checks) is State.PROBLEM else EXIT_OK


def _schema(args: argparse.Namespace) -> int:
    from nsgd.config.json_schema import document_schema

    print(json.dumps(document_schema(), indent=2))
    return EXIT_OK


def _reload(args: argparse.Namespace) -> int:
    from nsgd.runtime.control_client import ControlError, ControlErrorKind, request

    try:
        result = request(
            args.runtime_dir / SOCKET_NAME, "reload", _RELOAD_TIMEOUT_S, reevaluate=args.reevaluate
        )
    except ControlError as error:
        if error.kind is not ControlErrorKind.REFUSED:
            return _show_error(error)
        for problem in error.problems:
            print(problem, file=sys.stderr)
        problems = _plural(len(error.problems), "problem")
        return _fail(f"{error}, {problems}; the policy in force stays", EXIT_CONFIG)
    print(f"policy {result['generation']} in force")
    return EXIT_OK


def _stop(args: argparse.Namespace) -> int:
    from nsgd.runtime.control_client import ControlError, ControlErrorKind, DaemonProcess, request

    path = args.runtime_dir / SOCKET_NAME
    try:
        with DaemonProcess(path) as process:
            answer = request(path, "stop", _REQUEST_TIMEOUT_S, removeRules=args.remove_rules)
            has_ended = process.wait(_STOP_TIMEOUT_S)
    except ControlError as error:
        if error.kind is ControlErrorKind.UNREACHABLE and args.remove_rules:
            return _remove_orphaned_rules()
        return _show_error(error)
    if has_ended is False:
        return _fail(f"the daemon still runs after {_STOP_TIMEOUT_S:g} s", EXIT_FAILED)
    print(f"{'stopped' if has_ended else 'stopping'}; {answer['rules']}")
    return EXIT_OK


def _remove_orphaned_rules() -> int:
    from nsgd import daemon

    try:
        was_there = daemon.remove_rules()
    except Exception as error:
        # A refusal by the kernel; its class is known to the daemon's module only.
        number = getattr(error, "number", None)
        if not isinstance(number, int):
            raise
        if number not in (errno.EPERM, errno.EACCES):
            return _fail(str(error), EXIT_FAILED)
        hint = "this needs CAP_NET_ADMIN, and no running daemon may own the table"
        return _fail(f"{error}; {hint}", EXIT_PERMISSION)
    if was_there:
        print("no daemon runs; the rules it left are removed: traffic passes unfiltered")
    else:
        print("no daemon runs, and there are no rules to remove")
    return EXIT_OK


def _in_namespaces(args: argparse.Namespace) -> int:
    code: int = import_module(f"nsgd.{args.verb}.run").run(args)
    return code


def _show_problems(refused: ConfigRefused) -> int:
    for problem in refused.problems:
        print(problem, file=sys.stderr)
    documents = len({problem.document for problem in refused.problems})
    problems = _plural(len(refused.problems), "problem")
    print(f"{problems} in {_plural(documents, 'document')}", file=sys.stderr)
    return EXIT_CONFIG


def _show_error(error: ControlError) -> int:
    codes = {
        "unreachable": EXIT_UNREACHABLE,
        "noAnswer": EXIT_UNREACHABLE,
        "permission": EXIT_PERMISSION,
        "usage": EXIT_USAGE,
    }
    return _fail(str(error), codes.get(error.kind.value, EXIT_FAILED))


def _fail(message: str, code: int) -> int:
    print(f"nsgd: {message}", file=sys.stderr)
    return code


def _plural(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
