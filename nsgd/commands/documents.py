"""Verbs about documents alone: check, schema."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from nsgd.commands.common import (
    EXIT_OK,
    AddVerb,
    add_service_tags,
    plural,
    show_problems,
    tag_source,
)


def add_verbs(verb: AddVerb) -> None:
    """Add the verbs and their options."""
    check = verb("check", _check, "check documents and say what they declare")
    check.add_argument("files", metavar="PATH", type=Path, nargs="+", help="loaded as one")
    check.add_argument(
        "--notes", action="store_true", help="also tell what was left aside in Azure's JSON"
    )
    add_service_tags(check)

    verb("schema", _schema, "print the JSON Schema of policy documents")


def _check(args: argparse.Namespace) -> int:
    from nsgd.config.load import load_documents
    from nsgd.config.problem import ConfigRefused
    from nsgd.policy.runnable import what_cannot_run
    from nsgd.runtime.documents import read_documents

    try:
        loaded = load_documents(read_documents(args.files), tags=tag_source(args))
    except ConfigRefused as refused:
        return show_problems(refused)
    model = loaded.model
    if args.notes:
        for note in loaded.notes:
            print(f"note: {note}", file=sys.stderr)
    for warning in what_cannot_run(model):
        print(f"warning: {warning}; 'nsgd run' refuses this", file=sys.stderr)
    rules = sum(len(group.security_rules) for group in model.network_security_groups)
    counts = (
        (len(model.virtual_networks), "virtual network"),
        (len(model.network_interfaces), "network interface"),
        *([(len(model.scale_sets), "scale set")] if model.scale_sets else []),
        (len(model.network_security_groups), "network security group"),
        (len(model.application_security_groups), "application security group"),
        (rules, "security rule"),
    )
    summary = ", ".join(plural(number, noun) for number, noun in counts)
    hint = f" ({plural(len(loaded.notes), 'note')}: --notes)" if loaded.notes else ""
    print(f"{plural(len(args.files), 'document')}: {summary}{hint}")
    return EXIT_OK


def _schema(args: argparse.Namespace) -> int:
    from nsgd.config.json_schema import document_schema

    print(json.dumps(document_schema(), indent=2))
    return EXIT_OK
