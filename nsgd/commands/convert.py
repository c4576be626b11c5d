"""The verb convert: documents of any form, Azure's JSON included, printed as one document."""

from __future__ import annotations

import argparse
import json
import sys

from nsgd.commands.common import (
    EXIT_CONFIG,
    EXIT_OK,
    AddVerb,
    add_config,
    add_service_tags,
    fail,
    load_config,
    show_problems,
)


def add_verbs(verb: AddVerb) -> None:
    """Add the verb and its options."""
    convert = verb("convert", _convert, "print documents, Azure's JSON too, as one document")
    add_config(convert)
    add_service_tags(convert)
    convert.add_argument(
        "-o",
        "--output",
        choices=("yaml", "json", "arm"),
        default="yaml",
        help="a policy document in YAML or JSON, or resources as Azure's REST interface has them",
    )
    convert.add_argument(
        "--partial",
        action="store_true",
        help="with -o arm, leave out what Azure's JSON has no place for, even where it decides",
    )


def _convert(args: argparse.Namespace) -> int:
    from nsgd.azure.export import rest_resources
    from nsgd.azure.native import native_document
    from nsgd.azure.yaml_text import to_yaml
    from nsgd.config.problem import ConfigRefused
    from nsgd.model.settings import DaemonSettings

    try:
        loaded = load_config(args, args.config)
    except ConfigRefused as refused:
        return show_problems(refused)
    for note in (note for note in loaded.notes if note not in loaded.warnings):
        print(f"note: {note}", file=sys.stderr)
    if args.output == "arm":
        export = rest_resources(loaded.model)
        daemon = ["daemon"] if loaded.settings != DaemonSettings() else []
        for what in (*export.changes, *export.aside, *loaded.reading, *daemon):
            print(f"note: left out: {what}", file=sys.stderr)
        if export.changes and not args.partial:
            message = "Azure's JSON has no place for things that decide"
            return fail(f"{message}; print the rest with --partial, or use -o json", EXIT_CONFIG)
        print(json.dumps({"value": export.resources}, indent=2))
        return EXIT_OK
    document = native_document(loaded.model, loaded.settings, loaded.reading)
    if args.output == "json":
        print(json.dumps(document, indent=2))
    else:
        print(to_yaml(document), end="")
    return EXIT_OK
