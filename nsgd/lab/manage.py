"""Uses and removes labs that stay up: the verbs exec, down and list."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nsgd.lab.candidates import GATEWAY
from nsgd.lab.exit import EXIT_FAILED, EXIT_OK, EXIT_PERMISSION, fail
from nsgd.lab.identity import boot_id
from nsgd.lab.kept import LabDirectory, LabRefused, kept_labs, namespace_name
from nsgd.lab.launch import write_identity
from nsgd.lab.names import NAMESPACE_DIRECTORY
from nsgd.lab.report import format_table

# As shells say it.
EXIT_CANNOT_RUN = 126
EXIT_NOT_FOUND = 127


def exec_inside(state: Path, name: str, host: str, argv: Sequence[str]) -> int:
    """Become a command inside a host of a lab; returns only where that fails."""
    try:
        directory = LabDirectory(state, name)
        record = directory.read()
        namespace = NAMESPACE_DIRECTORY / namespace_name(name, host)
        if host not in record.hosts and host != GATEWAY:
            hosts = ", ".join((GATEWAY, *record.hosts))
            return fail(f"lab {name} has no host {host}; it has {hosts}", EXIT_FAILED)
        if record.boot != boot_id() or not namespace.exists():
            way_out = f"nsgd lab down{directory.options}, and make it again"
            return fail(f"lab {name} is not up any more; {way_out}", EXIT_FAILED)
        _forget_ended(directory)
        write_identity(directory.process_file(str(os.getpid())))
    except LabRefused as refused:
        return fail(str(refused), EXIT_FAILED)
    except PermissionError as error:
        return fail(f"this needs root: {error}", EXIT_PERMISSION)
    if shutil.which(argv[0]) is None:
        return fail(f"{argv[0]}: command not found", EXIT_NOT_FOUND)
    sys.stdout.flush()
    command = ["nsenter", f"--net={namespace}", "--", *argv]
    try:
        os.execvp(command[0], command)  # noqa: S606 (the command is the user's)
    except OSError as error:
        return fail(f"{command[0]}: {error.strerror}", EXIT_CANNOT_RUN)


def _forget_ended(directory: LabDirectory) -> None:
    for path, identity in directory.processes().items():
        if identity is None or not identity.is_running:
            path.unlink(missing_ok=True)


def down(state: Path, name: str, output: str = "table") -> int:
    """Remove a lab, and say what was let alone."""
    try:
        directory = LabDirectory(state, name)
        left = directory.down()
    except LabRefused as refused:
        return fail(str(refused), EXIT_FAILED)
    except PermissionError as error:
        return fail(f"this needs root: {error}", EXIT_PERMISSION)
    if output == "json":
        print(json.dumps({"removed": name, "leftAlone": left}, indent=2))
        return EXIT_OK
    for line in left:
        print(f"left alone: {line}", file=sys.stderr)
    print(f"lab {name} is removed")
    return EXIT_OK


def show_labs(state: Path, output: str) -> int:
    """List the labs and their hosts."""
    try:
        labs = [_lab_as_json(directory) for directory in kept_labs(state)]
    except LabRefused as refused:
        return fail(str(refused), EXIT_FAILED)
    except PermissionError as error:
        return fail(f"this needs root: {error}", EXIT_PERMISSION)
    if output == "json":
        print(json.dumps(labs, indent=2))
    elif not labs:
        print(f"no lab in {state}")
    for lab in labs if output != "json" else ():
        print(f"{lab['name']}: {lab['state']}; {', '.join(lab['documents'])}")
        rows = [
            (f"  {host['name']}", ", ".join(host["addresses"]) or "-", host["namespace"])
            for host in lab["hosts"]
        ]
        print(format_table([("  Host", "Addresses", "Network namespace"), *rows]))
    return EXIT_OK


def _lab_as_json(directory: LabDirectory) -> dict[str, Any]:
    record = directory.read()
    if record.boot != boot_id():
        state = "gone with a reboot"
    elif not record.is_up:
        state = "being made, or its maker was killed"
    elif directory.is_daemon_running:
        state = "up"
    else:
        state = "up, its daemon has ended"
    hosts = {GATEWAY: list[str](), **record.hosts}
    return {
        "name": record.name,
        "state": state,
        "documents": record.documents,
        "directory": str(directory.path),
        "hosts": [
            {
                "name": host,
                "addresses": addresses,
                "namespace": namespace_name(record.name, host),
            }
            for host, addresses in hosts.items()
        ],
    }
