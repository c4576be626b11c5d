"""Packets that no honest host sends."""

from __future__ import annotations

from tests.faults.fault import BOTH, Fault, Section

_ODD = "tests/kernel/test_odd_packets.py"
_FLOWS = "tests/kernel/test_flows.py"
_CHAINS = "nsgd/ruleset/chains.py"

PACKETS = Section(
    "Packets",
    (
        Fault(
            "malformed",
            "Malformed packets: IHL, version, lengths, checksums, headers cut short, options,"
            " sources, fragments that make no whole, chains of headers without an end",
            "dropped, though all show an allowed port: by the kernel's IP ahead of every rule, by"
            " its reassembly, or by nsgd",
            '`nsgd_denied_packets_total{reason="invalid"}`, `{reason="spoofed"}`,'
            " `nsgd_unparsable_packets_total`; the kernel's own `InHdrErrors`, `InTruncatedPkts`,"
            " `ReasmFails`",
            "none",
            f"{_ODD}::test_malformed_packets",
            _CHAINS,
            "Gateway._managed",
            'yield nft_rule(MatchCtState(CtState.INVALID), Count("invalid"), self._deny)',
            engines=BOTH,
            modes="closed",
        ),
        Fault(
            "headers-cut-by-copy",
            "More IPv6 extension headers than the worker reads of a packet",
            "denied: what is not read is not believed",
            '`nsgd_unparsable_packets_total{reason="extension-header"}`',
            "none",
            f"{_ODD}::test_malformed_packets",
            "nsgd/wire/packet.py",
            "_walk_extensions",
            "if offset + _EXTENSION_UNIT_BYTES > end:",
            "if False:",
            engines=BOTH,
            modes="closed",
        ),
        Fault(
            "tricks",
            "Tricks with fragments and headers: a first fragment of 8 bytes, an allowed port and"
            " another one over it, fragments backwards, atomic ones, empty datagrams, routing"
            " headers, thirty options headers",
            "nothing gets to a denied port; the same to an allowed port is judged as any packet",
            "`nsgd_rule_hits_total`",
            "none",
            f"{_ODD}::test_tricks_with_fragments_and_headers",
            "nsgd/wire/packet.py",
            "_walk_extensions",
            "protocol = following",
            engines=BOTH,
            modes="closed",
        ),
        Fault(
            "port-scan",
            "A port scan: SYN, FIN, null, xmas, FIN and ACK, ACK, and datagrams, in both families",
            "the two open ports are reached and no other one; each packet is counted",
            "`nsgd_denied_packets_total`",
            "none",
            f"{_ODD}::test_a_port_scan",
            "nsgd/runtime/packet_handler.py",
            "packet_handler.handle",
            "outcomes[outcome] += 1",
            engines=BOTH,
            modes="closed",
        ),
        Fault(
            "parser-any-bytes",
            "Any bytes at all, to the parser",
            "never an exception: what cannot be read is denied, and counted by what is at fault",
            "`nsgd_unparsable_packets_total`",
            "none",
            "tests/wire/test_packet.py::test_any_bytes",
            "nsgd/wire/packet.py",
            "parse_fields",
            "if given < _IPV4_HEADER_BYTES:",
            "if False:",
        ),
        Fault(
            "spoofed",
            "Sources that are another's, from the outside and from a NIC's link",
            "denied, ahead of the test for decided flows",
            '`nsgd_denied_packets_total{reason="spoofed"}`',
            "none",
            f"{_FLOWS}::test_spoofed_sources_are_dropped",
            "nsgd/ruleset/sources.py",
            "Sources._bound",
            'yield nft_rule(Count("spoofed"), self.deny,'
            ' comment="not an address of the link\'s NIC")',
            engines="queue",
        ),
        Fault(
            "redirects",
            "An ICMP redirect about a decided flow",
            "denied: it changes the receiver's routes",
            '`nsgd_denied_packets_total{reason="relatedUndecided"}`',
            "none",
            f"{_FLOWS}::test_a_redirect_about_a_flow_is_dropped",
            _CHAINS,
            "",
            "_ICMP_REDIRECTS = ((ICMP, 5), (ICMPV6, 137))  # protocol and type",
            "_ICMP_REDIRECTS = ()",
            engines="queue",
        ),
    ),
)
