"""The whole ruleset of a machine in its roles: forwarded traffic, its own, or both.

docs/packet-path.md follows a packet through these chains.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator

from nsgd.model.address import IP_VERSIONS, IPVersion
from nsgd.model.network import NetworkInterface, NetworkModel
from nsgd.model.settings import DaemonRole, DaemonSettings, Failsafe
from nsgd.policy.address_set import AddressSet
from nsgd.ruleset import chains
from nsgd.ruleset.admission import AdmissionRules
from nsgd.ruleset.chains import Gateway
from nsgd.ruleset.dispatch import KernelRuleset
from nsgd.ruleset.failsafe import failsafe_set
from nsgd.ruleset.guarded import Guarded
from nsgd.ruleset.idle_timeouts import IdleTimeouts
from nsgd.ruleset.objects import (
    AddressRangeSet,
    AnySet,
    BaseChain,
    Chain,
    Hook,
    LinkAddressSet,
    LinkSet,
    Ruleset,
    no_counters,
)
from nsgd.ruleset.physical import EPOCHS, with_physical_sets
from nsgd.ruleset.queues import QueueRule
from nsgd.ruleset.telling import ALL_DENIALS

# Other filters run at 0: what they drop is not worth a copy to the worker. A decision is saved
# by a base chain of its own, since an accept verdict from the queue ends the one that queued.
DECIDE_PRIORITY = 10
SAVE_PRIORITY = 15
# Ahead of conntrack (-200), where packets that conntrack drops can still be counted.
PREROUTING_PRIORITY = -250

# All hooks that any role needs, from the first start on: a base chain is never deleted, since
# that drops every packet waiting in every queue of the network namespace.
BASE_CHAINS: tuple[BaseChain, ...] = (
    BaseChain("hook_prerouting", Hook.PREROUTING, PREROUTING_PRIORITY),
    BaseChain("hook_input", Hook.INPUT, DECIDE_PRIORITY),
    BaseChain("hook_input_save", Hook.INPUT, SAVE_PRIORITY),
    BaseChain("hook_forward", Hook.FORWARD, DECIDE_PRIORITY),
    BaseChain("hook_forward_save", Hook.FORWARD, SAVE_PRIORITY),
    BaseChain("hook_output", Hook.OUTPUT, DECIDE_PRIORITY),
    BaseChain("hook_output_save", Hook.OUTPUT, SAVE_PRIORITY),
)


def gateway_ruleset(
    model: NetworkModel,
    settings: DaemonSettings,
    queue_rule: QueueRule,
    *,
    inward_links: Collection[str] | None = None,
    adopting: bool = False,
    kernel: KernelRuleset | None = None,
    epoch: str = EPOCHS[0],
    spare_counters: Callable[[], Collection[str]] = no_counters,
) -> Ruleset:
    """The desired ruleset for the hooks of the roles.

    Args:
        model: The loaded networks.
        settings: Failure mode, audit, failsafe and marks.
        queue_rule: How packets reach the workers.
        inward_links: Links that routes to declared networks use, default routes apart; None while
            nobody follows the routes.
        adopting: Pass and mark mid-stream TCP, in the learning window of the first start.
        kernel: What decides first packets, where the settings have the kernel engine.
        epoch: In which the names of sets are given.
        spare_counters: Counters of interfaces that stay, where they are there, though *kernel*
            does not count in them.
    """
    bound = [interface for interface in model.network_interfaces if interface.link]
    links = LinkSet("links", tuple(i.link for i in bound if i.link))
    forwarders = LinkSet(
        "forwarders", tuple(i.link for i in bound if i.link and i.enable_ip_forwarding)
    )
    managed = managed_addresses(model)
    declared = AddressSet.of_prefixes(
        prefix for network in model.virtual_networks for prefix in network.address_space
    )
    admission = AdmissionRules(settings)
    inward = LinkSet("inward", tuple(sorted(inward_links or ())))
    sets: list[AnySet] = [links, forwarders, inward, *queue_rule.sets(), *admission.sets()]
    for version in IP_VERSIONS:
        sets += [
            AddressRangeSet(f"managed{version}", version, managed.ranges(version)),
            AddressRangeSet(f"declared{version}", version, declared.ranges(version)),
            LinkAddressSet(f"own{version}", version, tuple(_own_addresses(bound, version))),
        ]
    idle = IdleTimeouts(model.virtual_networks)
    sets += [*_failsafe_sets(settings.failsafe), *idle.sets()]
    gateway = Gateway(
        settings,
        queue_rule,
        has_links=bool(links.links),
        # A forwarding NIC of this machine itself is at no end of what it forwards.
        has_forwarders=bool(forwarders.links) and settings.is_gateway,
        knows_inward=inward_links is not None,
        is_adopting=adopting,
        first_rules=() if kernel is None else kernel.first_rules,
        sent_rules=() if kernel is None else kernel.sent_rules,
        idle=idle,
    )
    made = _with_unused_chains(gateway.chains())
    if kernel is None:
        limits = tuple(admission.limits())
        objects = idle.objects()
        plain = Ruleset(
            chains.COUNTERS,
            tuple(sets),
            BASE_CHAINS,
            made,
            limits,
            timeouts=objects,
            spare_counters=spare_counters,
        )
        return with_physical_sets(plain, epoch)
    ruleset = Ruleset(
        kernel.counters,
        (*sets, *kernel.sets),
        BASE_CHAINS,
        made,
        (ALL_DENIALS, *admission.limits()),
        kernel.groups,
        idle.objects(),
        spare_counters,
    )
    return with_physical_sets(ruleset, epoch, kernel.chains)


def _with_unused_chains(chains: Iterable[Chain]) -> tuple[Chain, ...]:
    """With those base chains, empty, whose hooks no role guards."""
    made = tuple(chains)
    names = {chain.name for chain in made}
    return (*(Chain(base.name) for base in BASE_CHAINS if base.name not in names), *made)


def managed_addresses(model: NetworkModel) -> AddressSet:
    """The addresses of all declared subnets."""
    return AddressSet.of_prefixes(
        prefix
        for network in model.virtual_networks
        for subnet in network.subnets
        for prefix in subnet.address_prefixes
    )


def fail_closed_ruleset(guarded: Guarded | None = None, epoch: str = EPOCHS[0]) -> Ruleset:
    """What is loaded at boot where the documents are refused: what was guarded last is dropped.

    Of a host that is what its declared interfaces receive and send, but for loopback, neighbour
    discovery and DHCP; of a gateway all that is forwarded. Failsafe traffic passes.
    """
    guarded = guarded or Guarded()
    sets: list[AnySet] = [*_failsafe_sets(guarded.failsafe)]
    if DaemonRole.HOST in guarded.roles:
        managed = AddressSet.of_prefixes(guarded.prefixes)
        sets.append(LinkSet("links", guarded.links))
        sets += [
            AddressRangeSet(f"managed{version}", version, managed.ranges(version))
            for version in IP_VERSIONS
        ]
    made = _with_unused_chains(chains.drop_everything(guarded))
    return with_physical_sets(Ruleset(chains.COUNTERS, tuple(sets), BASE_CHAINS, made), epoch)


def _failsafe_sets(entries: Iterable[Failsafe]) -> Iterator[AddressRangeSet]:
    for index, failsafe in enumerate(entries):
        sources = AddressSet.of_prefixes(failsafe.sources)
        for version in IP_VERSIONS:
            if sources.ranges(version):
                name = failsafe_set(index, version)
                yield AddressRangeSet(name, version, sources.ranges(version))


def _own_addresses(
    bound: Iterable[NetworkInterface], version: IPVersion
) -> Iterator[tuple[str, int]]:
    for interface in bound:
        if interface.link is not None:
            for address in interface.private_ip_addresses:
                if address.version == version:
                    yield interface.link, address.value
