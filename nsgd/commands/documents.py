"""Verbs about documents alone: check, schema."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nsgd.commands.common import (
    EXIT_CONFIG,
    EXIT_OK,
    AddVerb,
    add_output,
    add_parameters,
    add_service_tags,
    load_and_name,
    plural,
    say,
    show_problems,
    tag_source,
)

if TYPE_CHECKING:
    from nsgd.config.problem import Problem


def add_verbs(verb: AddVerb) -> None:
    """Add the verbs and their options."""
    check = verb("check", _check, "check documents and say what they declare")
    check.add_argument("files", metavar="PATH", type=Path, nargs="+", help="loaded as one")
    check.add_argument(
        "--notes",
        action="store_true",
        help="also tell what was left aside, and what denies Azure's platform",
    )
    add_output(check)
    add_parameters(check)
    add_service_tags(check)

    verb("schema", _schema, "print the JSON Schema of policy documents")


def _check(args: argparse.Namespace) -> int:
    from nsgd.config.problem import ConfigRefused
    from nsgd.policy.platform_notes import platform_notes
    from nsgd.policy.runnable import what_cannot_run

    try:
        loaded, name = load_and_name(args.files, args.parameters, tag_source(args))
    except ConfigRefused as refused:
        if args.output == "json":
            print(json.dumps({"problems": [_as_json(each) for each in refused.problems]}, indent=2))
            return EXIT_CONFIG
        return show_problems(refused)
    model = loaded.model
    if args.notes:
        for note in (*loaded.notes, *platform_notes(model)):
            if note not in loaded.warnings:  # those were told by load_config()
                print(f"note: {note}", file=sys.stderr)
    unfit = what_cannot_run(model, is_gateway=loaded.settings.is_gateway)
    for warning in unfit:
        print(f"warning: {warning}; 'nsgd run' refuses this", file=sys.stderr)
    rules = sum(len(group.security_rules) for group in model.network_security_groups)
    admin_rules = model.security_admin_rules
    machine = "virtual machine" if model.dialect.attaches_to_machines else "network interface"
    counts = (
        (len(model.virtual_networks), "virtual network"),
        (len(model.network_interfaces), machine),
        *([(len(model.cloud_services), "cloud service")] if model.cloud_services else []),
        *([(len(model.scale_sets), "scale set")] if model.scale_sets else []),
        (len(model.network_security_groups), "network security group"),
        (len(model.application_security_groups), "application security group"),
        (rules, "security rule"),
        *([(admin_rules, "security admin rule")] if admin_rules else []),
    )
    summary = ", ".join(plural(number, noun) for number, noun in counts)
    hint = f" ({plural(len(loaded.notes), 'note')}: --notes)" if loaded.notes else ""
    result = {
        "problems": [],
        "policyHash": name,
        "declares": {_key(noun): number for number, noun in counts},
        "warnings": list(map(str, loaded.warnings)),
        "notes": [str(note) for note in (*loaded.notes, *platform_notes(model))],
        "cannotRun": list(map(str, unfit)),
    }
    line = f"{plural(len(args.files), 'document')}: {summary}{hint}"
    say(args, result, f"{line}\n{name} is what nsgd status calls them once they are in force")
    return EXIT_OK


def _key(noun: str) -> str:
    """``virtualNetworks`` for a virtual network."""
    first, *rest = noun.split()
    return first + "".join(word.capitalize() for word in rest) + "s"


def _as_json(problem: Problem) -> dict[str, Any]:
    return {
        "document": problem.document,
        "line": problem.line,
        "path": problem.path,
        "message": problem.message,
        "wayOut": problem.way_out,
    }


def _schema(args: argparse.Namespace) -> int:
    from nsgd.config.json_schema import document_schema

    print(json.dumps(document_schema(), indent=2))
    return EXIT_OK
