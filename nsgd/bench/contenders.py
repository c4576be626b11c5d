"""What is compared: each contender's ruleset as text, and how it is started in a gateway."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from nsgd.bench import queue_program
from nsgd.bench.flows import CLIENT_NETWORK, SERVER_NETWORK
from nsgd.bench.linear import linear_ruleset
from nsgd.bench.policies import DECIDED_BY, Size
from nsgd.kernel.table import NftTable
from nsgd.lab.netns import NetworkNamespace
from nsgd.lab.traffic import module_environment
from nsgd.ruleset.matches import MatchMark
from nsgd.ruleset.objects import BaseChain, Chain, Hook, NftRule, Ruleset
from nsgd.ruleset.statements import Accept, Queue, SetMark


class ContenderFailed(Exception):
    """A contender does not start or does not go on; the text says what it said."""

    def __init__(self, message: str, invalid_packets: int = 0) -> None:
        """*invalid_packets*: how many of the generator's conntrack called invalid."""
        super().__init__(message)
        self.invalid_packets = invalid_packets


@dataclass(slots=True)
class Running:
    """A contender at work; the lab ends its processes."""

    apply_s: float | None = None  # from the start to the first packet filtered
    processes: dict[str, int] = field(default_factory=dict)  # PID by what it is

    def reload_s(self) -> float | None:
        """How long one changed rule takes to be in force; None where there is nothing to reload."""
        return None

    def rule_hits(self) -> dict[str, dict[str, int]] | None:
        """Hits by rule by network security group; None for what has none."""
        return None

    def last_words(self) -> str:
        """The end of its log, on lines of their own."""
        return ""

    def check(self) -> None:
        """Raise ContenderFailed where a process has ended."""


Start = Callable[[NetworkNamespace, Path], Running]


class _RulesetText(Protocol):
    def __call__(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to filter."""

    name: str
    description: str
    ruleset: _RulesetText  # as nft text, for the reader
    start: Start
    rate_share: float = 1.0  # of the paced rate, for what could not keep up with it


_CONNTRACK_ONLY = """\
table inet bench {
	chain forward {
		type filter hook forward priority filter; policy drop;
		ct state new,established,related accept
	}
}
"""

_ONE_RULE = f"""\
table inet bench {{
	chain forward {{
		type filter hook forward priority filter; policy drop;
		ct mark and 0xffff != 0 accept
		ip saddr {CLIENT_NETWORK} ip daddr {SERVER_NETWORK} ct mark set ct mark or 0x1 accept
	}}
}}
"""


def queue_ruleset(*, native: bool) -> Ruleset:
    """Accept decided flows, queue the rest; what the program accepts becomes a decided flow."""
    decided = MatchMark("ct", 0xFFFF)
    undecided = MatchMark("ct", 0xFFFF, is_set=False)
    return Ruleset(
        counters=(),
        sets=(),
        base_chains=(
            BaseChain("hook_forward", Hook.FORWARD, 0),
            BaseChain("hook_forward_save", Hook.FORWARD, 5),
        ),
        chains=(
            Chain(
                "hook_forward",
                (
                    NftRule((decided, Accept())),
                    NftRule((Queue(queue_program.QUEUE_NUMBER, native),)),
                ),
            ),
            Chain("hook_forward_save", (NftRule((undecided, SetMark("ct", 0xFFFF0000, 1))),)),
        ),
    )


def _start_nothing(gateway: NetworkNamespace, directory: Path) -> Running:
    return Running()


def _start_nft(text: str) -> Start:
    def start(gateway: NetworkNamespace, directory: Path) -> Running:
        before = time.perf_counter()
        gateway.run(["nft", "-f", "-"], text_input=text)
        return Running(time.perf_counter() - before)

    return start


@dataclass(slots=True)
class _RunningProgram(Running):
    process: subprocess.Popen[Any] | None = None
    log: Path = Path()

    def check(self) -> None:
        if self.process is not None and self.process.poll() is not None:
            raise ContenderFailed(f"it has ended: {self.log.read_text(errors='replace').strip()}")


def _start_program(module: str) -> Start:
    def start(gateway: NetworkNamespace, directory: Path) -> Running:
        before = time.perf_counter()
        log = directory / "program.log"
        with log.open("wb") as errors:
            process = gateway.popen(
                [sys.executable, "-m", module],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=module_environment(),
            )
        running = _RunningProgram(None, {"program": process.pid}, process, log)
        assert process.stdout is not None
        if process.stdout.readline().strip() != queue_program.READY:
            process.wait()
            running.check()

        def install() -> None:
            with NftTable() as table:
                table.apply(queue_ruleset(native=table.has_queue_statement()))

        gateway.call(install)
        running.apply_s = time.perf_counter() - before
        return running

    return start


def _queue_text() -> str:
    return queue_ruleset(native=False).text()


NONE = Contender("none", "forwarding only, no firewall", lambda: "", _start_nothing)

PLAIN_CONTENDERS: tuple[Contender, ...] = (
    NONE,
    Contender(
        "conntrack",
        "a rule that needs conntrack and accepts",
        lambda: _CONNTRACK_ONLY,
        _start_nft(_CONNTRACK_ONLY),
    ),
    Contender(
        "one-rule",
        "one hand-written nft rule that saves a ct mark",
        lambda: _ONE_RULE,
        _start_nft(_ONE_RULE),
    ),
    Contender(
        "bare",
        "netfilterqueue in Python, accepts everything unseen",
        _queue_text,
        _start_program("nsgd.bench.queue_program"),
    ),
    Contender(
        "scapy",
        "netfilterqueue in Python, parses with scapy, accepts everything",
        _queue_text,
        _start_program("nsgd.bench.naive_scapy"),
        rate_share=0.1,
    ),
)


# Of the paced rate, by the number of rules in a group: a packet walks half of four groups. Rules
# with lists look into three sets each.
_LINEAR_SHARES = {10: 1.0, 100: 0.5, 1000: 0.1}
_LINEAR_LISTS_SHARES = {10: 0.5, 100: 0.1, 1000: 0.01}


def linear_contender(policy: str, size: Size) -> Contender:
    """The policy as a person would write it with nft, every rule in turn."""
    return Contender(
        f"linear-{policy}",
        f"nft rules one after another, {size.nics} NICs, 4 chains of {size.rules} rules:"
        f" {DECIDED_BY[policy]}",
        lambda: linear_ruleset(policy, size),
        lambda gateway, directory: _start_nft(linear_ruleset(policy, size))(gateway, directory),
        rate_share=(_LINEAR_LISTS_SHARES if policy == "lists" else _LINEAR_SHARES)[size.rules],
    )


def is_installed(contender: Contender) -> bool:
    """Tell whether the contender's library is there."""
    return contender.name != "scapy" or find_spec("scapy") is not None
