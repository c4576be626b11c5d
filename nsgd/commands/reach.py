"""The verb reach: who reaches whom, and whether what is asserted of that holds."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nsgd.commands.analysis import add_budget
from nsgd.commands.common import (
    EXIT_CONFIG,
    EXIT_FAILED,
    EXIT_OK,
    EXIT_UNDETERMINED,
    EXIT_USAGE,
    AddVerb,
    add_parameters,
    add_service_tags,
    fail,
    load_paths,
    show_problems,
    tag_source,
)

if TYPE_CHECKING:
    from nsgd.analysis.assertions import Assertion
    from nsgd.analysis.ends import End, Ends, Published
    from nsgd.analysis.policy import AnalysedPolicy
    from nsgd.policy.address_set import AddressSet

_EXIT_CODES = """\
exit codes:
  0  answered; what is asserted or expected holds
  1  something that is asserted or expected does not hold
  2  wrong usage
  3  documents or assertions refused
  6  some flows are too much for --budget, and nothing else was found wrong
"""
_LEVELS = ("nic", "subnet", "tag")


def add_verbs(verb: AddVerb) -> None:
    """Add the verb and its options."""
    reach = verb("reach", _reach, "say who reaches whom on what, and check what must hold of that")
    reach.epilog = _EXIT_CODES
    reach.add_argument("files", metavar="PATH", type=Path, nargs="+", help="loaded as one")
    add_parameters(reach)
    add_service_tags(reach)
    for side, dest, what in (("--from", "senders", "senders"), ("--to", "receivers", "receivers")):
        reach.add_argument(
            side,
            dest=dest,
            metavar="END",
            action="append",
            default=[],
            help=f"only these {what}: a network interface, scale set, NETWORK/SUBNET, network,"
            " application security group, service tag, prefix, address or '*'; may be repeated",
        )
    reach.add_argument("--protocol", help="Tcp, Udp, Icmp, Esp, Ah, a number or '*' (every one)")
    reach.add_argument(
        "--port", metavar="PORT", action="append", default=[], help="a port or range; repeatable"
    )
    reach.add_argument(
        "--source-port", metavar="PORT", action="append", default=[], help="the same of the source"
    )
    reach.add_argument(
        "--level",
        choices=_LEVELS,
        default="nic",
        help="what is told: single resources, subnets, or tags and groups as named (%(default)s)",
    )
    reach.add_argument("--denied", action="store_true", help="tell what is denied too, by what")
    reach.add_argument(
        "--rules", action="store_true", help="tell flows apart by the rules that decide"
    )
    reach.add_argument("--witness", action="store_true", help="a packet for each line of the table")
    reach.add_argument(
        "--expect", choices=("Allow", "Deny"), help="1 unless all these flows have this verdict"
    )
    reach.add_argument(
        "--assert",
        dest="assertions",
        metavar="FILE",
        type=Path,
        nargs="+",
        action="extend",
        default=[],
        help="check the assertions of a file instead",
    )
    add_budget(reach)
    reach.add_argument("-o", "--output", choices=("table", "json"), default="table")


def _misfit(args: argparse.Namespace) -> str | None:
    questions = (args.senders, args.receivers, args.protocol, args.port, args.source_port)
    if args.assertions and (any(questions) or args.expect or args.level != "nic" or args.denied):
        return "--assert has its questions in the file: leave the others out"
    if args.expect and not (args.senders and args.receivers):
        return "--expect needs --from and --to"
    if args.denied and args.level != "nic":
        return "--denied goes with --level nic: of several resources, other rules deny"
    return None


def _reach(args: argparse.Namespace) -> int:
    from nsgd.analysis.ends import Ends
    from nsgd.analysis.own_flows import not_enforced
    from nsgd.analysis.policy import AnalysedPolicy
    from nsgd.answers.refused import QuestionRefused
    from nsgd.config.problem import ConfigRefused

    wrong = _misfit(args)
    if wrong:
        return fail(wrong, EXIT_USAGE)
    try:
        loaded = load_paths(args.files, args.parameters, tag_source(args))
        if not loaded.model.virtual_networks:
            return fail(
                "the documents declare no virtual network, so nobody reaches anybody", EXIT_CONFIG
            )
        for note in not_enforced(loaded.settings):
            print(f"note: {note}", file=sys.stderr)
        policy = AnalysedPolicy(loaded.model)
        ends = Ends(policy, _published(args, loaded.reading))
        if args.assertions or args.expect:
            return _check(args, policy, _assertions(args, ends))
        return _tell(args, policy, ends)
    except ConfigRefused as refused:
        return show_problems(refused)
    except QuestionRefused as refused:
        return fail(str(refused), EXIT_USAGE)


def _published(args: argparse.Namespace, reading: Mapping[str, Mapping[str, Any]]) -> Published:
    """Tags that no rule names, from the file that rules' tags are from."""

    def find(name: str) -> tuple[str, AddressSet] | None:
        from nsgd.config.rule_tags import DEFAULT_CLOUD
        from nsgd.policy.address_set import AddressSet

        cloud = reading.get("serviceTags", {}).get("cloud") or DEFAULT_CLOUD
        catalogue = tag_source(args).catalogue(cloud)
        spelled = None if catalogue is None else catalogue.find(name)
        if catalogue is None or spelled is None:
            return None
        return spelled, AddressSet.of_prefixes(catalogue.prefixes(spelled))

    return find


def _tell(args: argparse.Namespace, policy: AnalysedPolicy, ends: Ends) -> int:
    from nsgd.analysis.asked_flows import read_flows
    from nsgd.analysis.reach import Reach
    from nsgd.analysis.reach_rows import rows_of_resources
    from nsgd.analysis.reach_summary import rows_of_ends
    from nsgd.analysis.reach_text import reach_as_json, reach_as_text
    from nsgd.analysis.reach_told import Asked
    from nsgd.spaces.budget import Budget

    flows = read_flows(args.protocol, args.port, args.source_port)
    pairs = _asked_ends(args, ends)
    named = list(dict.fromkeys(end for pair in pairs for end in pair))
    reach = Reach(policy, named, Budget(args.budget), is_by_rule=args.rules)
    asked = Asked(pairs, reach.flows.of_box(flows, True, False), args.denied)
    told = (rows_of_resources if args.level == "nic" else rows_of_ends)(reach, asked)
    if args.output == "json":
        print(json.dumps(reach_as_json(told), indent=2))
    else:
        names = policy.names(policy.subjects[0]) if policy.subjects else {}
        text = reach_as_text(
            told,
            names,
            shows_denied=args.denied,
            shows_rules=args.rules,
            shows_packets=args.witness,
        )
        print(text or "no such flow passes")
    return EXIT_UNDETERMINED if told.undetermined else EXIT_OK


def _asked_ends(args: argparse.Namespace, ends: Ends) -> list[tuple[End, End]]:
    """Pairs of what --from and --to name, or of all that there is at the level."""
    if args.level == "nic":
        every = [ends.resources(), ends.internet()]
    elif args.level == "subnet":
        every = [*ends.subnets(), ends.internet()]
    else:
        every = list(ends.named_by_rules())
    senders = [ends.find(text) for text in args.senders] or every
    receivers = [ends.find(text) for text in args.receivers] or every
    return [(one, other) for one in senders for other in receivers]


def _assertions(args: argparse.Namespace, ends: Ends) -> tuple[Assertion, ...]:
    from nsgd.analysis.asked_flows import read_flows
    from nsgd.analysis.assertions import Assertion, read_assertions
    from nsgd.runtime.documents import read_documents

    if args.assertions:
        found = [read_assertions(each, ends) for each in read_documents(args.assertions)]
        return tuple(assertion for of_file in found for assertion in of_file)
    senders = tuple(ends.find(text) for text in args.senders)
    receivers = tuple(ends.find(text) for text in args.receivers)
    flows = read_flows(args.protocol, args.port, args.source_port)
    name = f"{', '.join(args.senders)} to {', '.join(args.receivers)}"
    return (Assertion(name, None, senders, receivers, flows, args.expect == "Allow", True),)


def _check(
    args: argparse.Namespace, policy: AnalysedPolicy, assertions: tuple[Assertion, ...]
) -> int:
    from nsgd.analysis.assertion_check import Outcome, check, checked_as_json, checked_as_text
    from nsgd.analysis.reach import Reach
    from nsgd.spaces.budget import Budget

    ends = dict.fromkeys(
        end for each in assertions for side in (each.senders, each.receivers) for end in side
    )
    checked = list(check(Reach(policy, list(ends), Budget(args.budget)), assertions))
    if args.output == "json":
        print(json.dumps(checked_as_json(checked), indent=2))
    else:
        print(checked_as_text(checked))
    outcomes = {each.outcome for each in checked}
    if Outcome.FAILS in outcomes:
        return EXIT_FAILED
    return EXIT_UNDETERMINED if Outcome.UNDETERMINED in outcomes else EXIT_OK
