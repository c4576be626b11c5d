"""The verb lab: a policy in network namespaces, tried with real packets, kept for use, removed."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from nsgd.commands.common import (
    EXIT_USAGE,
    AddVerb,
    add_config,
    add_service_tags,
    load_config,
    show_problems,
    tag_source,
)

# As nsgd.lab.kept has them, which imports the kernel's libraries.
_STATE = Path("/run/nsgd-lab")
_NAME = "lab"
_MINIMUM_HOSTS = 2


def add_verbs(verb: AddVerb) -> None:
    """Add the verb, its options and its own verbs."""
    lab = verb("lab", _lab, "try a policy with real packets in network namespaces")
    add_options(lab)
    lab.set_defaults(usage_error=lab.error)
    verbs = lab.add_subparsers(dest="lab_verb", metavar="VERB", required=False)

    inside = verbs.add_parser(
        "exec", help="run a command in a host of a lab that is up, without a shell"
    )
    _add_place(inside, argparse.SUPPRESS, argparse.SUPPRESS)
    inside.add_argument("host", metavar="HOST", help="as --keep and lab list name it, or gateway")
    inside.add_argument("command", metavar="CMD", nargs=argparse.REMAINDER)
    inside.set_defaults(run=_exec, usage_error=inside.error)

    down = verbs.add_parser("down", help="end and remove a lab")
    _add_place(down, argparse.SUPPRESS, argparse.SUPPRESS)
    down.add_argument("-o", "--output", choices=("table", "json"), default="table")
    down.set_defaults(run=_down)

    listing = verbs.add_parser("list", help="list the labs and their hosts")
    listing.add_argument(
        "--state", metavar="DIR", type=Path, default=argparse.SUPPRESS, help=_STATE_HELP
    )
    listing.add_argument("-o", "--output", choices=("table", "json"), default="table")
    listing.set_defaults(run=_list)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of a lab that is made."""
    add_config(parser, is_required=False)
    add_service_tags(parser)
    parser.add_argument(
        "--expected",
        metavar="PATH",
        type=Path,
        help="what must pass and what must not, by hand; without, what the policy says is tried",
    )
    parser.add_argument(
        "--only-failures", action="store_true", help="with --expected: show mismatches only"
    )
    parser.add_argument(
        "--hosts",
        metavar="N",
        type=partial(_number, _MINIMUM_HOSTS),
        default=24,
        help="build at most so many hosts (%(default)s)",
    )
    parser.add_argument(
        "--probes",
        metavar="N",
        type=partial(_number, 0),
        default=800,
        help="send at most so many probes (%(default)s)",
    )
    parser.add_argument(
        "--seed", metavar="N", type=int, default=1, help="which probes are drawn (%(default)s)"
    )
    parser.add_argument("--all", action="store_true", help="show all probes, not only mismatches")
    parser.add_argument(
        "--keep", action="store_true", help="leave the lab up, with the daemon in its gateway"
    )
    _add_place(parser, _NAME, _STATE)
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table")


_STATE_HELP = f"where labs that are up are written down ({_STATE})"


def _add_place(parser: argparse.ArgumentParser, name: str, state: Path | str) -> None:
    parser.add_argument(
        "--name", metavar="NAME", default=name, help=f"which of several labs ({_NAME})"
    )
    parser.add_argument("--state", metavar="DIR", type=Path, default=state, help=_STATE_HELP)


def _number(minimum: int, text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if number < minimum:
        raise argparse.ArgumentTypeError(f"{number} is less than {minimum}")
    return number


def _lab(args: argparse.Namespace) -> int:
    from nsgd.config.problem import ConfigRefused

    if not args.config:
        args.usage_error("the following arguments are required: --config")
    source = tag_source(args)
    if args.expected is not None:
        if args.keep:
            args.usage_error("--keep is for labs without --expected")
        from nsgd.lab import run

        load = partial(load_config, args)
        return run.run(args, load=load, service_tags=source.path)
    try:
        loaded = load_config(args, args.config)
    except ConfigRefused as refused:
        return show_problems(refused)
    from nsgd.lab import policy_run

    return policy_run.run(args, loaded, tags=source, service_tags=source.path)


def _exec(args: argparse.Namespace) -> int:
    from nsgd.lab.manage import exec_inside

    if not args.command:
        args.usage_error("the following arguments are required: CMD")
        return EXIT_USAGE
    return exec_inside(args.state, args.name, args.host, args.command)


def _down(args: argparse.Namespace) -> int:
    from nsgd.lab.manage import down

    return down(args.state, args.name, args.output)


def _list(args: argparse.Namespace) -> int:
    from nsgd.lab.manage import show_labs

    return show_labs(args.state, args.output)
