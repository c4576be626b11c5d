"""Checks of what nsgd is built on: the kernel's nftables and queues, and two libraries."""

from __future__ import annotations

import re
from collections.abc import Iterator

from nsgd.doctor.check import Check, ok, problem, unknown, warning
from nsgd.doctor.facts import Facts

# Sets of links joined with addresses came with 5.6, owned tables with 5.12, persistent ones with
# 6.9.
OLDEST_KERNEL = (5, 12)
OLDEST_NFT = (1, 0, 6)


def kernel_checks(facts: Facts) -> Iterator[Check]:
    """From the kernel's version to the nft command."""
    yield _version(facts)
    yield _capability(facts)
    nftables = facts.nftables
    if nftables is None:
        name = "nftables"
        if facts.has_net_admin is False:
            yield unknown(name, "cannot be tried without CAP_NET_ADMIN", "run this as root")
        else:
            yield problem(name, facts.nftables_error, "load it: modprobe nf_tables")
    else:
        yield ok("nftables", "rules can be written over netlink")
    yield _queues(facts)
    yield _queue_rule(facts)
    yield _flow_hash(facts)
    yield _ownership(facts)
    yield _netfilterqueue(facts)
    yield _nft(facts)


def _version(facts: Facts) -> Check:
    name = "kernel"
    found = re.match(r"(\d+)\.(\d+)", facts.kernel_release)
    if found is None:
        return unknown(name, f"{facts.kernel_release or 'no version'} is not a Linux release")
    if (int(found[1]), int(found[2])) < OLDEST_KERNEL:
        oldest = ".".join(map(str, OLDEST_KERNEL))
        return problem(name, facts.kernel_release, f"run Linux {oldest} or newer")
    return ok(name, facts.kernel_release)


def _capability(facts: Facts) -> Check:
    name = "CAP_NET_ADMIN"
    if facts.has_net_admin is None:
        return unknown(name, "cannot be seen")
    if facts.has_net_admin:
        return ok(name, "effective")
    return problem(name, "not effective", "run as root, or by nsgd.service, which grants it")


def _queues(facts: Facts) -> Check:
    name = "nfnetlink_queue"
    if facts.nftables is None:
        return unknown(name, "not tried")
    if facts.nftables.has_queues:
        return ok(name, "the kernel hands packets to processes")
    return problem(
        name,
        "the kernel hands no packets to processes",
        "modprobe nfnetlink_queue (CONFIG_NETFILTER_NETLINK_QUEUE)",
    )


def _queue_rule(facts: Facts) -> Check:
    name = "queue rule"
    if facts.nftables is None:
        return unknown(name, "not tried")
    if facts.nftables.has_queue_statement:
        return ok(name, "nftables' own queue statement")
    if facts.nftables.has_queue_target:
        return ok(name, "xtables' NFQUEUE target; nft cannot load its own listing of such a rule")
    return problem(
        name,
        "neither nftables' queue statement nor xtables' NFQUEUE target",
        "modprobe nft_queue, or modprobe -a nft_compat xt_NFQUEUE"
        " (CONFIG_NFT_QUEUE or CONFIG_NETFILTER_XT_TARGET_NFQUEUE)",
    )


def _flow_hash(facts: Facts) -> Check:
    name = "several queues"
    if facts.nftables is None:
        return unknown(name, "not tried")
    if facts.nftables.has_flow_hash:
        return ok(name, "rules can spread flows over them (symhash)")
    if facts.settings.queues == 1:
        return ok(name, "the kernel has no symhash: more queues than one would be refused")
    return problem(
        name,
        f"the kernel has no symhash to spread flows over {facts.settings.queues} queues: nsgd does"
        " not start",
        "modprobe nft_hash (CONFIG_NFT_HASH), or set daemon.queues to 1",
    )


def _ownership(facts: Facts) -> Check:
    name = "owned table"
    if facts.nftables is None:
        return unknown(name, "not tried")
    if facts.nftables.takes_owner_and_persist:
        return ok(name, "a table can be owned and persistent: others cannot flush it")
    lacks = "persistent" if facts.nftables.takes_owner else "owned"
    return warning(
        name,
        f"a table cannot be {lacks}: 'nft flush ruleset' by others removes nsgd's rules",
        "run Linux 6.9 or newer, or keep other tools from flushing the whole ruleset",
    )


def _netfilterqueue(facts: Facts) -> Check:
    name = "netfilterqueue"
    if facts.netfilterqueue is None:
        return problem(
            name,
            facts.netfilterqueue_error,
            "install the Python package netfilterqueue"
            " and the library libnetfilter_queue (Debian: libnetfilter-queue1)",
        )
    library = facts.queue_library or "an unknown libnetfilter_queue"
    return ok(name, f"{facts.netfilterqueue}, with {library}")


def _nft(facts: Facts) -> Check:
    name = "nft command"
    if facts.nft is None:
        return ok(name, "absent; it is needed to look only")
    version = ".".join(map(str, facts.nft.version)) or "of unknown version"
    if facts.nft.version < OLDEST_NFT:
        oldest = ".".join(map(str, OLDEST_NFT))
        return warning(
            name, version, f"install nftables {oldest} or newer to look at nsgd's table by it"
        )
    return ok(name, version)
