"""What conntrack keeps of a flow beside its addresses: state, age, time to live, counts."""

from __future__ import annotations

from dataclasses import dataclass

from nsgd.wire.netlink import split_attributes

_STATUS, _PROTOCOL_INFO, _TIMEOUT, _ORIGINAL_COUNTS, _REPLY_COUNTS, _TIMESTAMP = 3, 4, 7, 9, 10, 20
_SEEN_REPLY = 2
_TCP = 1
# include/uapi/linux/netfilter/nf_conntrack_tcp.h, in its order; LISTEN is SYN_SENT2 by now.
_TCP_STATES = (
    "NONE",
    "SYN_SENT",
    "SYN_RECV",
    "ESTABLISHED",
    "FIN_WAIT",
    "CLOSE_WAIT",
    "LAST_ACK",
    "TIME_WAIT",
    "CLOSE",
    "SYN_SENT2",
)


@dataclass(frozen=True, slots=True)
class FlowCounts:
    """Of the original direction and of the answers; bytes with IP headers."""

    packets: int
    bytes: int
    reply_packets: int
    reply_bytes: int


@dataclass(frozen=True, slots=True)
class FlowDetail:
    """None where the kernel does not say: it keeps counts and times only where it is told to."""

    is_answered: bool
    tcp_state: str | None  # of TCP only
    expires_s: int | None  # after so many seconds without a packet
    counts: FlowCounts | None
    started_ns: int | None  # unix time, in nanoseconds


def parse_detail(payload: bytes) -> FlowDetail:
    """Read the attributes of a dumped entry; what is malformed is as what is absent."""
    attributes = split_attributes(payload)
    tcp = split_attributes(split_attributes(attributes.get(_PROTOCOL_INFO, b"")).get(_TCP, b""))
    state = tcp.get(1, b"")
    original = _counts(attributes.get(_ORIGINAL_COUNTS, b""))
    reply = _counts(attributes.get(_REPLY_COUNTS, b""))
    return FlowDetail(
        bool((_number(attributes.get(_STATUS), 4) or 0) & _SEEN_REPLY),
        _TCP_STATES[state[0]] if len(state) == 1 and state[0] < len(_TCP_STATES) else None,
        _number(attributes.get(_TIMEOUT), 4),
        None if original is None or reply is None else FlowCounts(*original, *reply),
        _number(split_attributes(attributes.get(_TIMESTAMP, b"")).get(1), 8),
    )


def _counts(payload: bytes) -> tuple[int, int] | None:
    attributes = split_attributes(payload)
    packets, octets = (_number(attributes.get(kind), 8) for kind in (1, 2))
    return None if packets is None or octets is None else (packets, octets)


def _number(data: bytes | None, length: int) -> int | None:
    return int.from_bytes(data, "big") if data is not None and len(data) == length else None
