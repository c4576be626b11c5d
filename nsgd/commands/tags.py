"""Verbs about Microsoft's service tags: tags update, show, find, list, status."""

from __future__ import annotations

import argparse
import errno
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from nsgd.commands.common import (
    EXIT_CONFIG,
    EXIT_FAILED,
    EXIT_OK,
    EXIT_PERMISSION,
    EXIT_USAGE,
    AddVerb,
    add_service_tags,
    add_state_dir,
    fail,
    show_problems,
    tag_source,
    verb_adder,
)

if TYPE_CHECKING:
    from nsgd.config.tag_catalogue import TagCatalogue
    from nsgd.runtime.tag_report import FileStatus

_INSTALL = "download Microsoft's file and install it: nsgd tags update FILE"


def add_verbs(verb: AddVerb) -> None:
    """Add the verb, its own verbs and their options."""
    tags = verb("tags", _no_verb, "install Microsoft's service tags, and look into them")
    verbs = tags.add_subparsers(dest="tags_verb", metavar="VERB", required=True)
    add = verb_adder(verbs)
    update = add("update", _update, "install a service tags file, if it is a good successor")
    update.add_argument("file", metavar="FILE", type=Path, help="the .json file from Microsoft")
    update.add_argument(
        "--force",
        action="store_true",
        help="also an older or much shorter file; never one that lacks a tag in use",
    )
    update.add_argument("--cloud", metavar="NAME", help="the cloud that the file must be of")
    add_state_dir(update)
    _add_output(update)

    show = add("show", _show, "print the address prefixes of a service tag")
    show.add_argument("name", metavar="NAME", help="such as Storage.WestEurope, in any case")
    _add_source(show)
    find = add("find", _find, "print the service tags that hold an address")
    find.add_argument("address", metavar="ADDRESS", help="IPv4 or IPv6")
    _add_source(find)
    _add_source(add("list", _list, "print the names of all service tags"))
    status = add("status", _status, "say which files are installed, and how old they are")
    add_service_tags(status)
    _add_output(status)


def _add_source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cloud", metavar="NAME", help="the cloud (Public, or that of the only file)"
    )
    add_service_tags(parser)
    _add_output(parser)


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table")


def _no_verb(args: argparse.Namespace) -> int:
    return fail("tags needs a verb; see nsgd tags --help", EXIT_USAGE)


def _update(args: argparse.Namespace) -> int:
    from nsgd.config.tag_catalogue import TagFileRefused
    from nsgd.runtime.tag_install import UpdateRefused, install
    from nsgd.runtime.tag_report import installation_lines
    from nsgd.runtime.tag_store import read_bytes
    from nsgd.runtime.tags_in_use import TagsInUseError

    kept = "the installed file stays"
    try:
        content, _ = read_bytes(args.file.resolve())
    except TagFileRefused as refused:
        return fail(f"{args.file}: {refused}; {kept}", EXIT_CONFIG)
    except OSError as error:
        return fail(f"{args.file}: cannot be read: {_reason(error)}; check the path", EXIT_CONFIG)
    try:
        done = install(args.state_dir, content, cloud=args.cloud, force=args.force)
    except TagFileRefused as refused:
        return fail(f"{args.file}: {refused}; {kept}", EXIT_CONFIG)
    except UpdateRefused as update_refused:
        for problem in update_refused.problems:
            print(f"nsgd: {args.file}: {problem}", file=sys.stderr)
        return fail(kept, EXIT_CONFIG)
    except TagsInUseError as unknown:
        return fail(f"{unknown}; {kept}", EXIT_FAILED)
    except BlockingIOError:
        return fail(f"{args.state_dir}: another update is under way; try again", EXIT_FAILED)
    except OSError as error:
        is_denied = error.errno in (errno.EACCES, errno.EPERM, errno.EROFS)
        way_out = "be root, or name another --state-dir" if is_denied else "check its file system"
        return fail(
            f"{error.filename or args.state_dir}: cannot be written: {_reason(error)}; {way_out}",
            EXIT_PERMISSION if is_denied else EXIT_FAILED,
        )
    lines = list(installation_lines(done))
    if args.output == "json":
        new, old = done.catalogue, done.before
        print(
            json.dumps(
                _about(new)
                | {
                    "isNew": done.is_new,
                    "file": str(done.path),
                    "tags": len(new.names()),
                    "prefixes": new.prefix_count,
                    "changeNumberBefore": None if old is None else old.change_number,
                    "said": lines,
                },
                indent=2,
            )
        )
    else:
        print("\n".join(lines))
    return EXIT_OK


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _catalogue(args: argparse.Namespace) -> TagCatalogue | int:
    """The catalogue that the options name, or the exit code where there is none."""
    from nsgd.config.problem import ConfigRefused
    from nsgd.runtime.tag_store import TagFile

    source = tag_source(args)
    try:
        if isinstance(source, TagFile):
            return source.read(args.cloud).catalogue
        clouds = source.clouds()
        cloud = args.cloud or (clouds[0] if len(clouds) == 1 else "Public")
        found = source.catalogue(cloud)
    except ConfigRefused as refused:
        return show_problems(refused)
    if found is None:
        where = f"{source.path}: no service tags file of the cloud {cloud} is installed"
        has_others = f"; installed are {', '.join(clouds)}" if clouds else ""
        return fail(f"{where}{has_others}; {_INSTALL}", EXIT_FAILED)
    return found


def _show(args: argparse.Namespace) -> int:
    from nsgd.config.wording import closest, show

    catalogue = _catalogue(args)
    if isinstance(catalogue, int):
        return catalogue
    name = catalogue.find(args.name)
    if name is None:
        meant = closest(args.name, catalogue.names())
        way_out = f"did you mean {show(meant)}?" if meant else "see nsgd tags list"
        of_file = f"{catalogue.cloud} {catalogue.change_number}"
        return fail(f"{of_file} has no service tag {show(args.name)}; {way_out}", EXIT_FAILED)
    prefixes = [str(prefix) for prefix in catalogue.prefixes(name)]
    if args.output == "json":
        print(json.dumps(_about(catalogue) | {"name": name, "addressPrefixes": prefixes}, indent=2))
        return EXIT_OK
    count = "1 prefix" if len(prefixes) == 1 else f"{len(prefixes)} prefixes"
    print(f"{name}, {catalogue.cloud} {catalogue.change_number}: {count}")
    print("\n".join(prefixes))
    return EXIT_OK


def _find(args: argparse.Namespace) -> int:
    from nsgd.config.wording import show
    from nsgd.model.address import Address
    from nsgd.observe.text import format_table

    try:
        address = Address.parse(args.address)
    except ValueError:
        return fail(f"{show(args.address)} is no address; write 10.0.0.1 or fd00::1", EXIT_USAGE)
    catalogue = _catalogue(args)
    if isinstance(catalogue, int):
        return catalogue
    found = [(name, str(prefix)) for name, prefix in catalogue.tags_of(address)]
    if args.output == "json":
        tags = [{"name": name, "addressPrefix": prefix} for name, prefix in found]
        print(json.dumps(_about(catalogue) | {"address": str(address), "tags": tags}, indent=2))
    elif found:
        print(format_table([("Prefix", "Service tag"), *(pair[::-1] for pair in found)], right=()))
    if not found:
        of_file = f"{catalogue.cloud} {catalogue.change_number}"
        return fail(
            f"no service tag of {of_file} holds {address}; Internet and VirtualNetwork may, which"
            " are computed",
            EXIT_FAILED,
        )
    return EXIT_OK


def _list(args: argparse.Namespace) -> int:
    from nsgd.observe.text import format_table

    catalogue = _catalogue(args)
    if isinstance(catalogue, int):
        return catalogue
    counts = [(catalogue.count(name), name) for name in catalogue.names()]
    if args.output == "json":
        tags = [{"name": name, "prefixes": count} for count, name in counts]
        print(json.dumps(_about(catalogue) | {"tags": tags}, indent=2))
    else:
        print(format_table([("Prefixes", "Service tag"), *counts]))
    return EXIT_OK


def _about(catalogue: TagCatalogue) -> dict[str, object]:
    return {"cloud": catalogue.cloud, "changeNumber": catalogue.change_number}


def _status(args: argparse.Namespace) -> int:
    from nsgd.observe.text import format_table
    from nsgd.runtime.tag_report import age_text, file_statuses

    files = file_statuses(tag_source(args))
    if args.output == "json":
        print(json.dumps([_file_as_json(file) for file in files], indent=2))
    elif files:
        rows: list[tuple[object, ...]] = [("Cloud", "Change", "Tags", "Prefixes", "Age", "File")]
        for file in files:
            known = file.catalogue
            numbers: tuple[object, ...] = ("-", "-", "-")
            if known is not None:
                numbers = (known.change_number, len(known.names()), known.prefix_count)
            age = "-" if file.age_s is None else age_text(file.age_s)
            rows.append((file.cloud, *numbers, age, file.path))
        print(format_table(rows, right=(1, 2, 3)))
    if not files:
        return fail(f"no service tags file is installed; {_INSTALL}", EXIT_FAILED)
    damaged = [file.problem for file in files if file.problem is not None]
    for problem in damaged:
        print(f"nsgd: {problem}", file=sys.stderr)
    return EXIT_FAILED if damaged else EXIT_OK


def _file_as_json(file: FileStatus) -> dict[str, object]:
    known = file.catalogue
    return {
        "cloud": file.cloud,
        "file": file.path,
        "changeNumber": None if known is None else known.change_number,
        "tags": None if known is None else len(known.names()),
        "prefixes": None if known is None else known.prefix_count,
        "ageSeconds": None if file.age_s is None else int(file.age_s),
        "problem": file.problem,
        "isPrevious": file.is_previous,
    }
