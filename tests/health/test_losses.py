"""What is counted as lost unseen."""

from __future__ import annotations

from nsgd.health.losses import losses
from tests.web.fake import status


def test_nothing() -> None:
    """Everything that may be lost is listed, with none of it."""
    found = losses(status())
    assert len(found) >= 7
    assert not any(loss.count for loss in found)


def test_losses_are_counted_apart() -> None:
    """What left the queue without a verdict is what it got, less the decided and the waiting."""
    found = status()
    found["packets"]["queued"] = 160
    found["packets"]["notAdmitted"] = {"sourceRate": 3, "sources": 4}
    assert {loss.name: loss.count for loss in losses(found) if loss.count} == {
        "packets that left the queue without a verdict": 13,
        "first packets not admitted to the queue": 7,
    }
    found["queue"] = None
    assert losses(found)[0].count is None


def test_readings_of_one_moment_may_differ() -> None:
    """A verdict that was counted before its packet is no negative loss."""
    found = status()
    found["packets"]["queued"] = 1
    assert losses(found)[0].count == 0
