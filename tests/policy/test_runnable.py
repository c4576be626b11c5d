"""What a gateway refuses to run although questions may be asked of it."""

from __future__ import annotations

from dataclasses import replace

from nsgd.model.network import NetworkModel, Peering, VirtualNetwork
from nsgd.policy.runnable import what_cannot_run
from tests.models import SMALL, prefixes


def test_the_small_model_runs() -> None:
    """Forwarding with a link is fine."""
    assert what_cannot_run(SMALL) == []


def test_forwarding_needs_a_link() -> None:
    """Without one, what is forwarded looks like its senders' own traffic."""
    router = SMALL.network_interfaces[2]
    unbound = replace(SMALL, network_interfaces=(replace(router, link=None),))
    (problem,) = what_cannot_run(unbound)
    assert "network interface router forwards and has no link" in problem
    assert what_cannot_run(unbound, is_gateway=False) == []


def test_overlapping_networks() -> None:
    """Sharing one address is enough; next to one another is not."""
    first = VirtualNetwork("first", prefixes("10.0.0.0/16", "fd00:1::/48"))
    inside = VirtualNetwork("inside", prefixes("192.168.0.0/16", "fd00:1:0:1::/64"))
    beside = VirtualNetwork("beside", prefixes("10.1.0.0/16", "fd00:2::/48"))
    assert what_cannot_run(NetworkModel((first, beside))) == []
    (problem,) = what_cannot_run(NetworkModel((first, inside, beside)))
    assert problem.startswith("virtual networks first and inside overlap")


def test_a_one_sided_peering_does_not_help() -> None:
    """It connects nothing, so the networks are as strange to one another as before."""
    first = VirtualNetwork("first", prefixes("10.0.0.0/16"), peerings=(Peering("second"),))
    second = VirtualNetwork("second", prefixes("10.0.0.0/16"))
    assert len(what_cannot_run(NetworkModel((first, second)))) == 1
