"""Verbs about documents alone: check, schema."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from nsgd.commands.common import (
    EXIT_OK,
    AddVerb,
    add_parameters,
    add_service_tags,
    load_config,
    plural,
    show_problems,
)


def add_verbs(verb: AddVerb) -> None:
    """Add the verbs and their options."""
    check = verb("check", _check, "check documents and say what they declare")
    check.add_argument("files", metavar="PATH", type=Path, nargs="+", help="loaded as one")
    check.add_argument(
        "--notes",
        action="store_true",
        help="also tell what was left aside, and what denies Azure's platform",
    )
    add_parameters(check)
    add_service_tags(check)

    verb("schema", _schema, "print the JSON Schema of policy documents")


def _check(args: argparse.Namespace) -> int:
    from nsgd.config.problem import ConfigRefused
    from nsgd.policy.platform_notes import platform_notes
    from nsgd.policy.runnable import what_cannot_run

    try:
        loaded = load_config(args, args.files)
    except ConfigRefused as refused:
        return show_problems(refused)
    model = loaded.model
    if args.notes:
        for note in (*loaded.notes, *platform_notes(model)):
            if note not in loaded.warnings:  # those were told by load_config()
                print(f"note: {note}", file=sys.stderr)
    for warning in what_cannot_run(model, is_gateway=loaded.settings.is_gateway):
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
    print(f"{plural(len(args.files), 'document')}: {summary}{hint}")
    return EXIT_OK


def _schema(args: argparse.Namespace) -> int:
    from nsgd.config.json_schema import document_schema

    print(json.dumps(document_schema(), indent=2))
    return EXIT_OK
