"""Any bytes as what the kernel tells over netlink: every decoder, and what is made of its values.

Nothing raises but a KernelError where the message tells of an error; what was read can be written
down again, as a request about it or a line for people.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from nsgd.kernel.error import KernelError
from nsgd.kernel.flow_events import _dumped
from nsgd.kernel.nflog import DenialReceiver
from nsgd.kernel.ruleset_monitor import RulesetMonitor, _Found
from nsgd.model.address import Address, IPVersion
from nsgd.model.packet import PacketHeader
from nsgd.model.settings import DaemonSettings
from nsgd.ruleset.marks import MarkLayout
from nsgd.runtime.loop import Loop
from nsgd.runtime.told_denials import ToldDenials
from nsgd.wire import netlink, nflog, nft_events
from nsgd.wire.conntrack import flow_header, mark_update, parse_entry
from nsgd.wire.conntrack_detail import parse_detail
from nsgd.wire.flow_events import FLOW_ENDED, FLOW_TOLD, look_up_request, parse_flow
from nsgd.wire.flow_layouts import FlowReader
from nsgd.wire.nft_events import NftEvent, NftGeneration
from tests.wire.flow_messages import flow_message, flow_tuple, pair

LONGEST_BYTES = 4096
_LOGGED = "4500001c000040004011000001020304050607080001000200080000"  # an empty UDP datagram
_LAYOUT = MarkLayout(DaemonSettings().mark_mask)


def test_one_input(data: bytes) -> None:
    """The first byte chooses a decoder, the rest is the message or datagram."""
    if data:
        _DECODERS[data[0] % len(_DECODERS)](data[1:])


def _framing(data: bytes) -> None:
    for _, _, payload in netlink.split_messages(data):
        netlink.error_number(payload)
        for kind, inner in netlink.iterate_attributes(netlink.generic_payload(payload)):
            again = netlink.attribute(kind, inner)
            if netlink.split_attributes(again) != {kind: inner}:
                raise AssertionError(f"attribute {kind} is not what was written: {inner!r}")
    messages = list(nft_events.iterate_messages(data))
    # Who must miss nothing is told of a rest; the other reader stops there.
    read = [(one.kind, one.payload) for one in messages if one is not None]
    if read != [(kind, payload) for kind, _, payload in netlink.split_messages(data)]:
        raise AssertionError("two readers of one datagram differ")


def _events(data: bytes) -> None:
    for event in nft_events.parse_events(data):
        if isinstance(event, NftGeneration) and not event.program.isprintable():
            raise AssertionError(f"not printable: {event.program!r}")
        if isinstance(event, NftEvent) and event.table.encode(errors="surrogateescape") == b"":
            raise AssertionError("a table without a name")


def _monitored(data: bytes) -> None:
    monitor = RulesetMonitor.__new__(RulesetMonitor)
    monitor._unfinished, monitor._base_chains, monitor._is_behind = {}, set(), False
    found = _Found()
    events = list(nft_events.parse_events(data))
    for event in events:
        monitor._note(event, 5, found)
    if None in events and not found.is_unknown:
        raise AssertionError("a change that was not understood is passed over")


def _logged(data: bytes) -> None:
    packet = nflog.parse_logged(data)
    if packet is None:
        return
    if not packet.payload or "\0" in packet.prefix:
        raise AssertionError(f"no packet: {packet}")
    _TOLD._denial(packet)


def _log_datagram(data: bytes) -> None:
    receiver = DenialReceiver.__new__(DenialReceiver)
    receiver._next_sequence = receiver._missing = receiver._overflows = 0
    found: list[nflog.LoggedPacket] = []
    receiver._collect(data, found)
    if receiver.lost < 0:
        raise AssertionError(f"{receiver.lost} were lost")


def _flow(data: bytes) -> None:
    flow = parse_flow(data)
    if flow is None:
        return
    _check_header(flow.header)
    if flow.start_ms < 0 or flow.time_ms < 0 or (flow.counts and min(flow.counts) < 0):
        raise AssertionError(f"less than nothing: {flow}")
    look_up_request(flow.key, flow.header.version, 1)


def _flow_dump(data: bytes) -> None:
    try:
        flows, _ = _dumped(data, 4, _READER)
    except KernelError as error:
        if error.number == 0:
            raise AssertionError("an error without a number") from error
        return
    for flow in flows:
        _check_header(flow.header)
    slowly = [
        (kind == FLOW_ENDED, told)
        for kind, _, payload in netlink.split_messages(data)
        if kind in (FLOW_TOLD, FLOW_ENDED) and (told := parse_flow(payload)) is not None
    ]
    # The reader goes by layouts of whatever came before.
    if _READER.read(message for _, _, message in netlink.whole_messages(data)) != slowly:
        raise AssertionError("a layout has read something else")


def _entry(version: IPVersion) -> Callable[[bytes], None]:
    def read(data: bytes) -> None:
        detail = parse_detail(data)
        if detail.expires_s is not None and detail.expires_s < 0:
            raise AssertionError(f"less than nothing: {detail}")
        entry = parse_entry(version, data)
        if entry is None:
            return
        _check_header(entry.header)
        _LAYOUT.numbers(entry.mark)
        again = parse_entry(version, mark_update(entry, entry.mark, 0xFFFFFFFF))
        # Of both tuples the request names one; the kernel finds the entry by it.
        if again is not None:
            raise AssertionError("a request that reads as an entry")
        original = netlink.split_attributes(entry.key)[1]
        if flow_header(version, original, original) is None and not original:
            raise AssertionError("a key that names nothing")

    return read


def _check_header(header: PacketHeader) -> None:
    for address in (header.source, header.destination):
        str(Address(header.version, address))
    if not (
        0 <= header.protocol < 256
        and 0 <= header.source_port < 65536
        and 0 <= header.destination_port < 65536
    ):
        raise AssertionError(f"out of range: {header}")


_READER = FlowReader()
_TOLD = ToldDenials(Loop(), lambda group: None)
_DECODERS: tuple[Callable[[bytes], None], ...] = (
    _framing,
    _events,
    _monitored,
    _logged,
    _log_datagram,
    _flow,
    _flow_dump,
    _entry(4),
    _entry(6),
)


def seeds() -> Iterator[bytes]:
    """Messages in the kernel's layout, for each decoder that reads such."""
    of_flows = list(_flow_messages())
    logged = bytes(4) + b"".join(
        (
            netlink.be32(2, 0x00010000),
            netlink.be32(4, 2),
            netlink.be32(5, 3),
            netlink.text(10, "web"),
            netlink.be32(12, 5),
            netlink.attribute(9, bytes.fromhex(_LOGGED)),
        )
    )
    events = [
        netlink.message(netlink.nft_message_type(command), 0, 7, 1, b"".join(attributes))
        for command, attributes in (
            (0, (netlink.text(1, "nsgd"),)),
            (
                3,
                (
                    netlink.text(1, "nsgd"),
                    netlink.be64(2, 9),
                    netlink.text(3, "forward"),
                    netlink.nested(4, netlink.be32(1, 2)),
                ),
            ),
            (5, (netlink.text(1, "filter"), netlink.be64(2, 9), netlink.text(3, "INPUT"))),
            (15, (netlink.be32(1, 4), netlink.be32(2, 77), netlink.text(3, "nft"))),
        )
    ]
    for decoder, bodies in enumerate(
        (
            events,
            [*events, b"".join(events)],
            [b"".join(events), b"".join(reversed(events)), events[1] + events[2] + events[3]],
            [logged],
            [netlink.message(nflog.LOG_PACKET, 0, 0, 0, logged[4:]) * 2],
            of_flows,
            [netlink.message(FLOW_TOLD, 0, 4, 2, body[4:]) * 2 for body in of_flows],
            [body[4:] for body in of_flows],
            [body[4:] for body in of_flows],
        )
    ):
        for body in bodies:
            yield bytes([decoder]) + body


def _flow_messages() -> Iterable[bytes]:
    more = pair(9, 10, 1000) + pair(10, 9, 900) + pair(20, 10**18, 10**18 + 5)
    more += netlink.be32(3, 10) + netlink.be32(7, 120) + netlink.attribute(18, b"\0\1")
    more += netlink.nested(4, netlink.nested(1, netlink.attribute(1, b"\3")))
    for version, one, other in ((4, "198.51.100.9", "10.0.1.4"), (6, "2600:1f00::1", "fd00::4")):
        for protocol in (6, 17, 1 if version == 4 else 58, 47):
            ports: tuple[int, ...] = {6: (40000, 80), 17: (40000, 53), 47: ()}.get(protocol, (9,))
            answer = ports[::-1]
            yield flow_message(
                flow_tuple(1, one, other, protocol, *(ports if len(ports) != 0 else (0, 0))),
                flow_tuple(2, other, one, protocol, *(answer if len(answer) != 0 else (0, 0))),
                version=version,
                more=more,
            )


def flow_bodies() -> list[bytes]:
    """The attributes of flows of both families, as a dump has them."""
    return [message[4:] for message in _flow_messages()]
