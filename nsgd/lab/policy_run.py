"""``nsgd lab --config``: builds the lab of a policy, tries it, and removes it or leaves it up."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from nsgd.config.load import LoadedConfig
from nsgd.config.tag_catalogue import TagSource
from nsgd.lab.exit import EXIT_CONFIG, EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, fail
from nsgd.lab.from_policy import Drawn, Result, draw, try_policy
from nsgd.lab.interrupts import interrupts_deferred
from nsgd.lab.kept import DAEMON, LabDirectory, LabRefused, NamedLab
from nsgd.lab.lab_policy import CannotBuild
from nsgd.lab.netns import Lab, remove_leftovers
from nsgd.lab.policy_report import format_kept, format_result, result_as_json
from nsgd.lab.run import LAB_FAILURES, report_failure
from nsgd.lab.subject import NSGD, DaemonUnderTest
from nsgd.lab.topology import Topology

_POLICY = "policy.json"


def run(
    args: argparse.Namespace,
    loaded: LoadedConfig,
    nsgd: Sequence[str] = NSGD,
    *,
    tags: TagSource | None = None,
    service_tags: Path | None = None,
) -> int:
    """Run the lab and return the exit code: 0 where all is as the policy says.

    Args:
        args: The options of nsgd.commands.lab.
        loaded: The policy.
        nsgd: The command under test.
        tags: The service tags that the policy was loaded with.
        service_tags: Where they are, for the command under test.
    """
    try:
        return _run(args, loaded, nsgd, tags, service_tags)
    except KeyboardInterrupt:
        return fail("interrupted; the lab is removed", EXIT_INTERRUPTED)
    except CannotBuild as cannot:
        return fail("\n".join(cannot.reasons), EXIT_CONFIG)
    except LAB_FAILURES as failure:
        return report_failure(failure)
    except LabRefused as refused:
        return fail(str(refused), EXIT_FAILED)


def _run(
    args: argparse.Namespace,
    loaded: LoadedConfig,
    nsgd: Sequence[str],
    tags: TagSource | None,
    service_tags: Path | None,
) -> int:
    drawn = draw(loaded, tags, args.hosts, args.probes, args.seed)
    remove_leftovers()
    directory = LabDirectory(args.state, args.name) if args.keep else None
    if directory is None:
        result = run_once(drawn, nsgd, service_tags)
    else:
        result = run_and_keep(drawn, directory, list(map(str, args.config)), nsgd, service_tags)
    if args.output == "json":
        print(json.dumps(result_as_json(result, directory), indent=2))
    else:
        print(format_result(result, show_all=args.all))
        if directory is not None:
            print(f"\n{format_kept(directory, drawn)}")
    return EXIT_OK if result.disagreements == 0 else EXIT_FAILED


def run_once(drawn: Drawn, nsgd: Sequence[str] = NSGD, service_tags: Path | None = None) -> Result:
    """Build the lab, try the policy, remove the lab."""
    with tempfile.TemporaryDirectory(prefix="nsgd-lab-") as name, Lab() as lab:
        path = Path(name)
        (path / _POLICY).write_bytes(drawn.policy.document)
        topology = Topology(lab, drawn.choice.hosts)
        started: list[DaemonUnderTest] = []

        def start_daemon() -> DaemonUnderTest:
            started.append(
                DaemonUnderTest(topology.gateway, [path / _POLICY], path, nsgd, service_tags)
            )
            return started[0]

        result = try_policy(drawn, topology, start_daemon)
        started[0].stop()
        return result


def run_and_keep(
    drawn: Drawn,
    directory: LabDirectory,
    documents: Sequence[str],
    nsgd: Sequence[str] = NSGD,
    service_tags: Path | None = None,
) -> Result:
    """Build the lab under its name, try the policy, and leave all up. Raises LabRefused.

    Whatever else is raised, the lab is removed.
    """
    hosts = {host.name: host.addresses for host in drawn.choice.hosts}
    with interrupts_deferred():
        record = directory.create(documents, hosts)
    try:
        with directory.locked(), NamedLab(directory.name) as lab:
            (directory.path / _POLICY).write_bytes(drawn.policy.document)
            topology = Topology(lab, drawn.choice.hosts)
            directory.write(record)
            launcher = (
                sys.executable,
                "-m",
                "nsgd.lab.launch",
                str(directory.process_file(DAEMON)),
            )
            result = try_policy(
                drawn,
                topology,
                lambda: DaemonUnderTest(
                    topology.gateway,
                    [directory.path / _POLICY],
                    directory.path,
                    nsgd,
                    service_tags,
                    launcher,
                ),
            )
            with interrupts_deferred():
                record.is_up = True
                directory.write(record)
                lab.keep()
    finally:
        if not record.is_up:
            with interrupts_deferred():
                directory.down()
    return result
