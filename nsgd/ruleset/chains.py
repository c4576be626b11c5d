"""The chains of the gateway role, and what the host role has in common with it, rule by rule."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nsgd.model.address import IP_VERSIONS
from nsgd.model.packet import AH, ICMP, ICMPV6, TCP
from nsgd.model.settings import DaemonRole, DaemonSettings, Mode, UnmanagedTraffic
from nsgd.ruleset import admission, cut
from nsgd.ruleset.admission import AdmissionRules
from nsgd.ruleset.failsafe import failsafe_rules
from nsgd.ruleset.guarded import Guarded
from nsgd.ruleset.host_chains import host_chains, own_ends
from nsgd.ruleset.idle_timeouts import IdleTimeouts
from nsgd.ruleset.marks import ADOPTED, ALL_BITS, MarkLayout
from nsgd.ruleset.matches import (
    CtState,
    MatchAddress,
    MatchCtReply,
    MatchCtState,
    MatchFamily,
    MatchLink,
    MatchLinkAddress,
    MatchMark,
    MatchProtocol,
    MatchTcpFlags,
    MatchTransportByte,
    Side,
)
from nsgd.ruleset.objects import Chain, NftRule, nft_rule
from nsgd.ruleset.queues import QueueRule
from nsgd.ruleset.save import save_chains
from nsgd.ruleset.sources import Sources
from nsgd.ruleset.statements import (
    Accept,
    Count,
    Drop,
    Goto,
    SetMark,
    Statement,
)
from nsgd.wire.packet import FIN_SYN_RST_ACK, SYN

COUNTERS: tuple[str, ...] = (
    "queued",
    "spoofed",
    "invalid",
    "related_undecided",
    "unmanaged_accepted",
    "unmanaged_dropped",
    "foreign_mark",
    "failsafe",
    "adopted",
    "undecided_passed",
    *admission.COUNTERS,
    cut.COUNTER,
)

ASK = "ask"
_ICMP_REDIRECTS = ((ICMP, 5), (ICMPV6, 137))  # protocol and type
_SIDES: tuple[Side, Side] = ("source", "destination")


def drop_everything(guarded: Guarded) -> Iterator[Chain]:
    """The entries when nothing may pass that is guarded; *unmanaged_dropped* counts it."""
    drop = (NftRule((Count("unmanaged_dropped"), Drop()), "no policy"),)
    if DaemonRole.GATEWAY in guarded.roles:
        yield Chain("hook_forward", (*failsafe_rules(guarded.failsafe), *drop))
    if DaemonRole.HOST in guarded.roles:
        by_link = DaemonRole.GATEWAY not in guarded.roles and bool(guarded.links)
        yield from host_chains(guarded.failsafe, drop, drop, by_link=by_link)


@dataclass(frozen=True, slots=True)
class Gateway:
    """What the chains depend on, and the chains."""

    settings: DaemonSettings
    queue_rule: QueueRule
    has_links: bool
    has_forwarders: bool
    knows_inward: bool
    is_adopting: bool
    idle: IdleTimeouts
    first_rules: tuple[NftRule, ...] = ()  # of the kernel engine, for first packets
    sent_rules: tuple[NftRule, ...] = ()  # the same of the machine's own, where they are others

    @property
    def _layout(self) -> MarkLayout:
        return MarkLayout(self.settings.mark_mask)

    @property
    def _queueing(self) -> str:
        """The chain that hands a packet to the worker; the kernel engine decides most before."""
        return ASK if self.first_rules else "decide"

    @property
    def _others(self) -> int:
        return ~self.settings.mark_mask & ALL_BITS

    @property
    def _has_decision(self) -> tuple[Statement, Statement]:
        """Both halves hold a number: a stray bit of another tool is no decision."""
        layout = self._layout
        return MatchMark("ct", layout.outbound_decided), MatchMark("ct", layout.inbound_decided)

    @property
    def _deny(self) -> Accept | Drop:
        """Audit mode counts what it would drop, and lets it pass without a decision."""
        return Accept() if self.settings.mode is Mode.AUDIT else Drop()

    @property
    def _sources(self) -> Sources:
        return Sources(
            is_gateway=self.settings.is_gateway,
            has_links=self.has_links,
            has_forwarders=self.has_forwarders,
            knows_inward=self.knows_inward,
            deny=self._deny,
        )

    def chains(self) -> Iterator[Chain]:
        """All of them, the entries first; of the host role's hooks too, where they are guarded."""
        settings, sources = self.settings, self._sources
        by_link = self.has_links and settings.is_host_only
        if settings.is_host:
            received = *sources.rules(), nft_rule(Goto("managed"))
            sent = (nft_rule(Goto("managed_sent" if self.sent_rules else "managed")),)
            yield from host_chains(settings.failsafe, received, sent, by_link=by_link)
        for name, rules in (
            *((("hook_forward", self._gateway()),) if settings.is_gateway else ()),
            *sources.chains(),
            ("managed", self._managed("new_flow")),
            ("new_flow", self._new_flow(self.first_rules)),
            *(
                (
                    ("managed_sent", self._managed("new_flow_sent")),
                    ("new_flow_sent", self._new_flow(self.sent_rules)),
                )
                if self.sent_rules
                else ()
            ),
            ("opening", cut.opening(self._layout, self._queueing)),
            ("icmp_error", self._icmp_error()),
            (cut.CUT_FLOW, cut.cut_flow(self._deny)),
            (self._queueing, self._decide()),
            ("decide_each", self._decide_each()),
        ):
            yield Chain(name, tuple(rules))
        yield from self.idle.chains()
        yield from AdmissionRules(settings).chains()
        yield from self.queue_rule.chains(bypass=self.settings.lets_undecided_pass)
        yield from save_chains(
            self._layout,
            forwards=settings.is_gateway,
            has_links=self.has_links,
            own_ends=own_ends(by_link=by_link) if settings.is_host else (),
            is_fail_open=settings.lets_undecided_pass,
            noting=tuple(AdmissionRules(settings).noting()),
        )

    def _gateway(self) -> Iterator[NftRule]:
        """Tell what touches a declared resource from what does not, and where it must come from."""
        yield from failsafe_rules(self.settings.failsafe)
        yield from self._sources.rules()
        if self.has_links:
            yield nft_rule(MatchLink("destination", "links"), Goto("managed"))
        for version in IP_VERSIONS:
            destination = MatchAddress(version, "destination", f"managed{version}")
            yield nft_rule(destination, Goto("managed"))
        if self.settings.unmanaged_traffic is UnmanagedTraffic.ACCEPT:
            yield nft_rule(Count("unmanaged_accepted"), Accept())
        else:
            yield nft_rule(Count("unmanaged_dropped"), self._deny)

    def _managed(self, new_flow: str) -> Iterator[NftRule]:
        """Pass what is decided, drop what can never be, and have the rest decided."""
        layout = self._layout
        # A decision's pattern in the packet mark can only come from another tool that uses our
        # bits; the save chain must not take it for the worker's answer.
        yield nft_rule(
            MatchMark("meta", layout.outbound_decided),
            MatchMark("meta", layout.inbound_decided),
            Count("foreign_mark"),
            SetMark("meta", self._others),
        )
        # conntrack looks through AH on IPv6 and rules do not: the flow that it shows is another
        # one, whose decision says nothing of this packet, nor this one's of that flow.
        yield nft_rule(MatchFamily(6), MatchProtocol(AH), Goto("decide_each"), comment="AH")
        yield from self.idle.entry()
        if self.has_forwarders:
            # Each packet in transit is judged below, whatever the mark says.
            yield cut.to_cut_flow(layout)
            # A flow through a forwarding NIC crosses the gateway twice with the same conntrack
            # entry; a decision made on one crossing says nothing of the other's tables.
            for version in IP_VERSIONS:
                for side in _SIDES:
                    yield nft_rule(
                        MatchCtState(CtState.NEW | CtState.ESTABLISHED),
                        MatchLink(side, "forwarders"),
                        MatchLinkAddress(version, side, f"own{version}", inverted=True),
                        Goto(self._queueing),
                        comment="transit of a forwarding NIC",
                    )
        yield nft_rule(MatchCtState(CtState.NEW), Goto(new_flow))
        # An opening segment is a new connection, whatever conntrack holds under its tuple: after a
        # server's RST, or in an adopted flow, that is an entry with a decision.
        opening = MatchTcpFlags(FIN_SYN_RST_ACK, SYN)
        established = MatchCtState(CtState.ESTABLISHED)
        yield nft_rule(opening, established, Goto("opening"), comment="SYN")
        # A related packet carries its master's mark, so the state is part of the question.
        yield nft_rule(
            established,
            *self._has_decision,
            Accept(),
            comment="decided flow",
        )
        yield cut.to_cut_flow(layout)
        yield nft_rule(MatchCtState(CtState.INVALID), Count("invalid"), self._deny)
        for protocol in (ICMP, ICMPV6):
            yield nft_rule(
                MatchCtState(CtState.RELATED), MatchProtocol(protocol), Goto("icmp_error")
            )
        yield nft_rule(Goto(self._queueing))

    def _new_flow(self, first_rules: tuple[NftRule, ...]) -> Iterator[NftRule]:
        """What conntrack calls new: a first packet, or a further one without an answer so far."""
        layout = self._layout
        # An opening segment is a new connection, as above.
        not_opening = (
            MatchProtocol(TCP, inverted=True),
            MatchTcpFlags(FIN_SYN_RST_ACK, SYN, inverted=True),
        )
        for match in not_opening:
            yield nft_rule(match, *self._has_decision, Accept(), comment="decided flow")
        yield cut.to_cut_flow(layout)
        if self.is_adopting:
            yield nft_rule(
                MatchTcpFlags(SYN, 0),
                SetMark("ct", self._others, layout.outbound(ADOPTED) | layout.inbound(ADOPTED)),
                Count("adopted"),
                Accept(),
                comment="open before the first start",
            )
        if first_rules:
            yield from first_rules
        else:
            yield nft_rule(Goto(self._queueing))

    def _icmp_error(self) -> Iterator[NftRule]:
        """Pass an ICMP error about a decided flow; conntrack shows that flow's mark."""
        for protocol, redirect in _ICMP_REDIRECTS:
            yield nft_rule(
                MatchProtocol(protocol),
                MatchTransportByte(redirect),
                Count("related_undecided"),
                self._deny,
                comment="a redirect is not an error",
            )
        yield nft_rule(*self._has_decision, Accept(), comment="error of a decided flow")
        yield nft_rule(Count("related_undecided"), self._deny)

    def _decide(self) -> Iterator[NftRule]:
        """Tell the worker what conntrack knows, in packet mark bits, and queue."""
        layout = self._layout
        yield nft_rule(SetMark("meta", self._others))
        yield nft_rule(MatchCtReply(), _request(layout.is_reply))
        yield nft_rule(MatchCtState(CtState.ESTABLISHED), _request(layout.is_open))
        # A helper's expected flow inherits its master's mark, which decides nothing about it.
        yield nft_rule(MatchCtState(CtState.RELATED), SetMark("ct", self._others))
        yield nft_rule(*self._has_decision, _request(layout.is_decided))
        yield nft_rule(MatchCtState(CtState.UNTRACKED), _request(layout.is_each))
        yield from self._queue()

    def _decide_each(self) -> Iterator[NftRule]:
        """Queue a packet that is judged by itself and leaves no decision."""
        layout = self._layout
        yield nft_rule(SetMark("meta", self._others, layout.is_each))
        yield nft_rule(MatchCtReply(), _request(layout.is_reply))
        yield from self._queue()

    def _queue(self) -> Iterator[NftRule]:
        yield from AdmissionRules(self.settings).asking()
        yield from self.queue_rule.ending(bypass=self.settings.lets_undecided_pass)


def _request(bits: int) -> SetMark:
    return SetMark("meta", ~bits & ALL_BITS, bits)
