"""What nsgd's rules can do with a packet, each as nft text and as netlink expressions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nsgd.model.address import IPVersion
from nsgd.ruleset.branches import Branch, BranchBy, CountIn, LimitBy, MatchValue, MatchValues
from nsgd.ruleset.flow_timeout import FlowTimeout
from nsgd.ruleset.local_matches import MatchLoopback, MatchTranslatedToLocal
from nsgd.ruleset.matches import (
    MatchAddress,
    MatchCtReply,
    MatchCtState,
    MatchFamily,
    MatchLink,
    MatchLinkAddress,
    MatchMark,
    MatchNoReversePath,
    MatchPorts,
    MatchProtocol,
    MatchTcpFlags,
    MatchTransportByte,
    address_text,
    load_address,
    load_family,
)
from nsgd.wire import expressions as x
from nsgd.wire import hand_out

_MARKS = {
    "meta": (x.meta_load(x.META_MARK), x.meta_set(x.META_MARK)),
    "ct": (x.ct_load(x.CT_MARK), x.ct_set(x.CT_MARK)),
}
_RETURN = x.verdict(x.NFT_RETURN)


@dataclass(frozen=True, slots=True)
class SetMark:
    """Keep *keep* of the packet or conntrack mark and set *bits*; they do not overlap."""

    where: Literal["meta", "ct"]
    keep: int
    bits: int = 0

    def text(self) -> str:
        if self.keep | self.bits == 0xFFFFFFFF:
            change = f"| {self.bits:#010x}"
        else:
            change = f"& {self.keep:#010x}" + (f" | {self.bits:#010x}" if self.bits else "")
        return f"{self.where} mark set {self.where} mark {change}"

    def encode(self) -> list[bytes]:
        change = x.bitwise32(self.keep & ~self.bits & 0xFFFFFFFF, self.bits)
        load, store = _MARKS[self.where]
        return [load, change, store]


@dataclass(frozen=True, slots=True)
class SaveMark:
    """The conntrack mark becomes the packet mark's bits of *mask*; its other bits are cleared."""

    mask: int

    def text(self) -> str:
        return f"ct mark set meta mark & {self.mask:#010x}"

    def encode(self) -> list[bytes]:
        return [x.meta_load(x.META_MARK), x.bitwise32(self.mask), x.ct_set(x.CT_MARK)]


@dataclass(frozen=True, slots=True)
class Count:
    """Add the packet to a named counter."""

    counter: str

    def text(self) -> str:
        return f'counter name "{self.counter}"'

    def encode(self) -> list[bytes]:
        return [x.count(self.counter)]


@dataclass(frozen=True, slots=True)
class SetFlowTimeout:
    """Give the packet's flow a timeout; nothing happens to one that conntrack has confirmed."""

    timeout: FlowTimeout

    def text(self) -> str:
        return f'ct timeout set "{self.timeout.name}"'

    def encode(self) -> list[bytes]:
        return [x.flow_timeout(self.timeout.name)]


@dataclass(frozen=True, slots=True)
class Limit:
    """Go on with the rule only while a named limit's rate is not used up."""

    limit: str

    def text(self) -> str:
        return f'limit name "{self.limit}"'

    def encode(self) -> list[bytes]:
        return [x.limit(self.limit)]


@dataclass(frozen=True, slots=True)
class MatchSource:
    """The source is in a set that UpdateSource fills without a rate."""

    version: IPVersion
    set_name: str

    def text(self) -> str:
        return f"{_source_text(self.version)} @{self.set_name}"

    def encode(self) -> list[bytes]:
        return [*_load_source(self.version), x.lookup(self.set_name)]


@dataclass(frozen=True, slots=True)
class UpdateSource:
    """Put the source into a set; go on where it is in, and beyond *rate* where there is one.

    The rate is packets a second and burst. Of IPv6 the source is its /64.
    """

    version: IPVersion
    set_name: str
    rate: tuple[int, int] | None = None

    def text(self) -> str:
        source = _source_text(self.version)
        if self.rate is not None:
            per_second, burst = self.rate
            source += f" limit rate over {per_second}/second burst {burst} packets"
        return f"update @{self.set_name} {{ {source} }}"

    def encode(self) -> list[bytes]:
        return [*_load_source(self.version), x.update_set(self.set_name, self.rate)]


def _source_text(version: IPVersion) -> str:
    return address_text(version, "source") + (" & ffff:ffff:ffff:ffff::" if version == 6 else "")


def _load_source(version: IPVersion) -> list[bytes]:
    mask = [x.bitwise(b"\xff" * 8 + bytes(8))] if version == 6 else []
    return [*load_family(version), load_address(version, "source"), *mask]


@dataclass(frozen=True, slots=True)
class Log:
    """Hand the packet's first bytes to the listener of an NFLOG group."""

    group: int
    snap_bytes: int

    def text(self) -> str:
        return f"log group {self.group} snaplen {self.snap_bytes}"

    def encode(self) -> list[bytes]:
        return [hand_out.log(self.group, self.snap_bytes)]


@dataclass(frozen=True, slots=True)
class Accept:
    """Leave this base chain; later base chains of the hook still see the packet."""

    def text(self) -> str:
        return "accept"

    def encode(self) -> list[bytes]:
        return [x.verdict(x.NF_ACCEPT)]


@dataclass(frozen=True, slots=True)
class Drop:
    """Free the packet; an unconfirmed conntrack entry goes with it."""

    def text(self) -> str:
        return "drop"

    def encode(self) -> list[bytes]:
        return [x.verdict(x.NF_DROP)]


@dataclass(frozen=True, slots=True)
class Return:
    """Go back to the calling chain."""

    def text(self) -> str:
        return "return"

    def encode(self) -> list[bytes]:
        return [_RETURN]


@dataclass(frozen=True, slots=True)
class Jump:
    """Go on in another chain and come back."""

    chain: str

    def text(self) -> str:
        return f"jump {self.chain}"

    def encode(self) -> list[bytes]:
        return [x.verdict(x.NFT_JUMP, self.chain)]


@dataclass(frozen=True, slots=True)
class Goto:
    """Go on in another chain and do not come back."""

    chain: str

    def text(self) -> str:
        return f"goto {self.chain}"

    def encode(self) -> list[bytes]:
        return [x.verdict(x.NFT_GOTO, self.chain)]


@dataclass(frozen=True, slots=True)
class Queue:
    """Hand the packet to the worker.

    *native* tells nftables' queue statement from the xtables target; nft lists both alike and
    cannot load either back on a kernel that has only the target.
    """

    number: int
    native: bool
    bypass: bool = False

    def text(self) -> str:
        return f"queue num {self.number}" + (" bypass" if self.bypass else "")

    def encode(self) -> list[bytes]:
        if self.native:
            return [hand_out.queue_statement(self.number, bypass=self.bypass)]
        return [hand_out.queue_target(self.number, bypass=self.bypass)]


Statement = (
    MatchValue
    | MatchValues
    | Branch
    | BranchBy
    | CountIn
    | Limit
    | LimitBy
    | SetFlowTimeout
    | MatchSource
    | UpdateSource
    | Log
    | MatchLink
    | MatchAddress
    | MatchLinkAddress
    | MatchLoopback
    | MatchNoReversePath
    | MatchCtState
    | MatchCtReply
    | MatchFamily
    | MatchMark
    | MatchProtocol
    | MatchPorts
    | MatchTcpFlags
    | MatchTransportByte
    | MatchTranslatedToLocal
    | SetMark
    | SaveMark
    | Count
    | Accept
    | Drop
    | Return
    | Jump
    | Goto
    | Queue
)
