"""What becomes of a flow that the operator cut: it does not go on, and may be opened anew.

Its mark is none of a decision, so the rule that passes decided flows does not know it, and pays
nothing for it.
"""

from __future__ import annotations

from collections.abc import Iterator

from nsgd.ruleset.branches import MatchValue
from nsgd.ruleset.keys import ct_mark_key
from nsgd.ruleset.marks import MarkLayout
from nsgd.ruleset.matches import MatchCtReply, MatchTcpFlags
from nsgd.ruleset.objects import NftRule, nft_rule
from nsgd.ruleset.statements import Accept, Count, Drop, Goto, Jump
from nsgd.wire.packet import FIN_SYN_RST_ACK, SYN

CUT_FLOW = "cut_flow"
COUNTER = "cut"


def to_cut_flow(layout: MarkLayout) -> NftRule:
    """Send packets of cut flows to their chain; those that may open a flow come back."""
    key = ct_mark_key(layout.mask)
    return nft_rule(MatchValue(key, layout.cut, layout.cut), Jump(CUT_FLOW), comment="cut")


def opening(layout: MarkLayout, queueing: str) -> Iterator[NftRule]:
    """The chain for a SYN under an entry that has seen an answer; *queueing* has it judged."""
    yield to_cut_flow(layout)
    yield nft_rule(Goto(queueing))


def cut_flow(deny: Accept | Drop) -> Iterator[NftRule]:
    """The chain: answers, and the middle of TCP connections, are over."""
    yield nft_rule(MatchCtReply(), Count(COUNTER), deny)
    # A connection that its initiator opens anew begins with a SYN alone. What has no connections,
    # such as UDP, begins with any packet of the initiator.
    yield nft_rule(MatchTcpFlags(FIN_SYN_RST_ACK, SYN, inverted=True), Count(COUNTER), deny)
