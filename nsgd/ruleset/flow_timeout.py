"""A timeout that flows of one protocol can be given, as an object of nftables."""

from __future__ import annotations

from dataclasses import dataclass

from nsgd.model.packet import TCP, UDP

_PROTOCOL_NAMES = {TCP: "tcp", UDP: "udp"}


@dataclass(frozen=True, slots=True)
class FlowTimeout:
    """How long conntrack keeps a silent flow of TCP, once it is established, or of UDP."""

    protocol: int
    seconds: int

    @property
    def name(self) -> str:
        """Says all that it does, so that one of a name never changes."""
        return f"idle/{_PROTOCOL_NAMES[self.protocol]}/{self.seconds}"

    def text(self) -> str:
        """Its body as nft text."""
        states = ("established",) if self.protocol == TCP else ("unreplied", "replied")
        policy = ", ".join(f"{state} : {self.seconds}" for state in states)
        return f"protocol {_PROTOCOL_NAMES[self.protocol]}\n\t\tpolicy = {{ {policy} }}"
