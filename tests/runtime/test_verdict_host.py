"""A worker of a machine that guards its own interfaces only: one end, by the side of its link."""

from __future__ import annotations

import json
import random

from nsgd.config.load import Document, load_documents
from nsgd.model.packet import TCP, PacketHeader
from nsgd.model.rule import Access
from nsgd.model.settings import DaemonRole, DaemonSettings
from nsgd.policy.compile import compile_policy
from nsgd.policy.evaluate import consulted_tables_of_host, decide
from nsgd.policy.numbers import DecisionNumbers
from nsgd.ruleset.marks import FIRST_RULE_NUMBER, NO_TABLE, MarkLayout
from nsgd.runtime.counters import SharedCounters
from nsgd.runtime.verdict import VerdictPath
from nsgd.runtime.worker_policy import WorkerPolicy

from .test_verdict_agreement import linked_document, to_bytes

SETTINGS = DaemonSettings(roles=frozenset({DaemonRole.HOST}))
LAYOUT = MarkLayout(SETTINGS.mark_mask)


def test_agreement() -> None:
    """The same packet at either hook and by any link, and the answers to it; remembered or not."""
    draw = random.Random(1)
    denied = 0
    for _ in range(20):
        document = linked_document(draw)
        # The machine's own, of which one is known by its address only.
        del document["networkInterfaces"][3]["link"]
        model = load_documents([Document("drawn.json", json.dumps(document).encode())]).model
        policy = compile_policy(model)
        numbers = DecisionNumbers().extended(policy, FIRST_RULE_NUMBER, LAYOUT.capacity)
        counters = SharedCounters.create(LAYOUT.capacity)
        built = WorkerPolicy.build(1, policy, numbers, SETTINGS)
        path = VerdictPath(WorkerPolicy.from_bytes(built.to_bytes()), counters)
        for _ in range(300):
            source, destination = draw.sample(range(4, 8), 2)
            header = PacketHeader(
                4,
                TCP,
                (10 << 24) + source,
                (10 << 24) + destination,
                draw.choice((1, 100, 250, 300)),
                draw.choice((80, 443)),
                False,
            )
            link = draw.choice(("eth4", "eth5", "eth9"))
            for in_link, out_link in ((link, None), (None, link)):
                expected = decide(policy, header, in_link, out_link, consulted_tables_of_host)
                mark = path.judge(to_bytes(header), 0, in_link, out_link)
                denied += mark is None
                assert (mark is None) is (expected.access is Access.DENY)
                answer = to_bytes(header.reversed())
                request = LAYOUT.is_reply | LAYOUT.is_open
                assert path.judge(answer, request, out_link, in_link) == mark
                if mark is not None:
                    outbound, inbound = LAYOUT.numbers(mark)
                    assert (outbound if in_link else inbound) == NO_TABLE
        counters.close()
    assert denied > 100


def test_a_link_that_is_gone() -> None:
    """Nobody knows which end is the machine's: both are asked, by their addresses."""
    draw = random.Random(2)
    document = linked_document(draw)
    model = load_documents([Document("drawn.json", json.dumps(document).encode())]).model
    policy = compile_policy(model)
    header = PacketHeader(4, TCP, (10 << 24) + 4, (10 << 24) + 5, 1, 80, False)
    of_either = decide(policy, header, None, None, consulted_tables_of_host)
    assert of_either == decide(policy, header, None, None)
    unknown = header._replace(source=8 << 24)
    assert decide(policy, unknown, None, "eth9", consulted_tables_of_host).access is None
