"""Verbs that ask a policy what Azure would answer: effective-rules, ip-flow-verify."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from nsgd.commands.common import (
    EXIT_FAILED,
    EXIT_OK,
    EXIT_USAGE,
    AddVerb,
    add_config,
    add_runtime_dir,
    add_service_tags,
    fail,
    load_config,
    show_error,
    show_problems,
)
from nsgd.commands.running import load_running

if TYPE_CHECKING:
    from nsgd.answers.batch import BatchVerifier
    from nsgd.answers.policy import QuestionedPolicy
    from nsgd.model.network import NetworkModel

# A question of each kind needs some options and goes with no other's.
_FLOW = ("direction", "protocol", "local", "remote")
_PATH = ("sender", "receiver", "protocol", "port")
_OPTIONS = {
    "nic": "--nic",
    "direction": "--direction",
    "protocol": "--protocol",
    "local": "--local",
    "remote": "--remote",
    "explain": "--explain",
    "sender": "--from",
    "receiver": "--to",
    "port": "--port",
    "source_port": "--source-port",
    "batch": "--batch",
}
_LINES_AT_ONCE = 1024


def add_verbs(verb: AddVerb) -> None:
    """Add the verbs and their options."""
    rules = verb("effective-rules", _effective_rules, "list a network interface's effective rules")
    _add_policy(rules)
    rules.add_argument("--nic", metavar="NAME", required=True, help="a declared network interface")

    flow = verb(
        "ip-flow-verify", _ip_flow_verify, "say whether a flow is allowed, and by which rule"
    )
    _add_policy(flow)
    flow.add_argument("--nic", metavar="NAME", help="where --local does not tell it")
    flow.add_argument("--direction", metavar="Inbound|Outbound", help="seen from --local")
    flow.add_argument("--protocol", help="TCP, UDP, ICMP, ESP, AH or a number")
    flow.add_argument("--local", metavar="IP[:PORT]", help="IPv6 as [IP]:PORT; '*' for its port")
    flow.add_argument("--remote", metavar="IP[:PORT]", help="the other end")
    flow.add_argument("--explain", action="store_true", help="each rule that was tried, and why")
    flow.add_argument(
        "--from", dest="sender", metavar="NIC|IP", help="with --to: both ends' groups"
    )
    flow.add_argument("--to", dest="receiver", metavar="NIC|IP", help="where the flow goes")
    flow.add_argument("--port", help="destination port of --from and --to")
    flow.add_argument("--source-port", help="source port of --from and --to (every port)")
    flow.add_argument("--batch", metavar="FILE", help="a question a line, as JSON; - is stdin")


def _add_policy(parser: argparse.ArgumentParser) -> None:
    add_config(parser, is_required=False)
    parser.add_argument(
        "--running", action="store_true", help="ask the running daemon's policy in force"
    )
    add_runtime_dir(parser)
    add_service_tags(parser)
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table")


def _effective_rules(args: argparse.Namespace) -> int:
    from nsgd.answers.text import effective_rules_as_text

    def answer(policy: QuestionedPolicy) -> int:
        found = policy.effective_rules(args.nic)
        if args.output == "json":
            print(json.dumps(found, indent=2))
        else:
            print(effective_rules_as_text(found, shutil.get_terminal_size().columns))
        return EXIT_OK

    return _ask(args, answer)


def _ip_flow_verify(args: argparse.Namespace) -> int:
    if args.batch is not None:
        wrong = _misfit(args, needed=("batch",), allowed=())
        return fail(wrong, EXIT_USAGE) if wrong else _ask(args, lambda policy: _batch(policy, args))
    if args.sender is not None or args.receiver is not None:
        needed = tuple(name for name in _PATH if name != "port" or _has_ports(args.protocol))
        wrong = _misfit(args, needed=needed, allowed=("port", "source_port"))
        return fail(wrong, EXIT_USAGE) if wrong else _ask(args, lambda policy: _path(policy, args))
    wrong = _misfit(args, needed=_FLOW, allowed=("nic", "explain"))
    return fail(wrong, EXIT_USAGE) if wrong else _ask(args, lambda policy: _flow(policy, args))


def _has_ports(protocol: str | None) -> bool:
    return protocol is None or protocol.lower() in ("tcp", "udp", "6", "17")


def _misfit(args: argparse.Namespace, needed: Iterable[str], allowed: Iterable[str]) -> str | None:
    """What the options of a question lack, or have too many; None where they fit."""
    needed, given = tuple(needed), [name for name in _OPTIONS if getattr(args, name)]
    missing = [_OPTIONS[name] for name in needed if name not in given]
    if missing:
        return (
            f"missing: {', '.join(missing)}; --direction, --local and --remote ask one end,"
            " --from and --to both"
        )
    extra = [_OPTIONS[name] for name in given if name not in (*needed, *allowed)]
    if extra:
        return f"{', '.join(extra)} does not go with {_OPTIONS[needed[0]]}"
    return None


def _flow(policy: QuestionedPolicy, args: argparse.Namespace) -> int:
    from nsgd.answers.diagnostics import explanation_as_json
    from nsgd.answers.ip_flow import flow_answer_as_json
    from nsgd.answers.question import read_question, split_endpoint
    from nsgd.answers.text import explanation_as_text, flow_answer_as_text

    local, local_port = split_endpoint("--local", args.local)
    remote, remote_port = split_endpoint("--remote", args.remote)
    question = read_question(args.direction, args.protocol, local, local_port, remote, remote_port)
    if args.explain:
        explanation = policy.explain(question, args.nic)
        as_json = explanation_as_json(explanation)
        text = explanation_as_text(explanation)
    else:
        answer = policy.ip_flow_verify(question, args.nic)
        as_json, text = flow_answer_as_json(answer), flow_answer_as_text(answer)
    print(json.dumps(as_json, indent=2) if args.output == "json" else text)
    return EXIT_OK


def _path(policy: QuestionedPolicy, args: argparse.Namespace) -> int:
    from nsgd.answers.path import PathQuestion, path_answer_as_json
    from nsgd.answers.text import path_as_text

    question = PathQuestion(
        args.sender, args.receiver, args.protocol, args.port, args.source_port or "*"
    )
    answer = policy.path(question)
    if args.output == "json":
        print(json.dumps(path_answer_as_json(answer), indent=2))
    else:
        print(path_as_text(answer))
    return EXIT_OK


def _batch(policy: QuestionedPolicy, args: argparse.Namespace) -> int:
    from nsgd.answers.batch import BatchVerifier

    verifier = BatchVerifier(policy)
    if args.batch == "-":
        return _answer_lines(verifier, sys.stdin.buffer)
    try:
        with Path(args.batch).open("rb") as lines:
            return _answer_lines(verifier, lines)
    except BrokenPipeError:
        raise  # of stdout
    except OSError as error:
        return fail(f"{args.batch}: {error.strerror}; check the path", EXIT_FAILED)


def _answer_lines(verifier: BatchVerifier, lines: Iterable[bytes]) -> int:
    # One write for each line would cost as much as the answer.
    code, answers, write = EXIT_OK, [], sys.stdout.write
    for line in lines:
        answer, is_answer = verifier.answer_line(line)
        answers.append(answer)
        if not is_answer:
            code = EXIT_FAILED
        if len(answers) == _LINES_AT_ONCE:
            write("\n".join(answers) + "\n")
            answers.clear()
    if answers:
        write("\n".join(answers) + "\n")
    return code


def _ask(args: argparse.Namespace, answer: Callable[[QuestionedPolicy], int]) -> int:
    """Load the policy that is asked, and answer; what refuses either is shown."""
    from nsgd.answers.policy import QuestionedPolicy
    from nsgd.answers.refused import QuestionRefused
    from nsgd.config.problem import ConfigRefused
    from nsgd.runtime.control_client import ControlError

    if args.running == bool(args.config):
        return fail("name either documents with --config or --running", EXIT_USAGE)
    if args.running and args.parameters:
        return fail("--parameters goes with --config: a daemon has its own", EXIT_USAGE)
    try:
        model = load_running(args).model if args.running else _model_of_documents(args)
        return answer(QuestionedPolicy(model))
    except ConfigRefused as refused:
        return show_problems(refused)
    except ControlError as error:
        return show_error(error)
    except QuestionRefused as refused:
        return fail(str(refused), EXIT_FAILED)


def _model_of_documents(args: argparse.Namespace) -> NetworkModel:
    return load_config(args, args.config).model
