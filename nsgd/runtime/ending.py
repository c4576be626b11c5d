"""What becomes of the rules in the kernel when the daemon ends."""

from __future__ import annotations

import logging

from nsgd.runtime.load import LoadedPolicy
from nsgd.runtime.open_flows import RefusedByKernel
from nsgd.runtime.policy_table import PolicyTable

log = logging.getLogger("nsgd")


def remove_rules(table: PolicyTable) -> None:
    """All traffic passes from now on."""
    try:
        table.remove()
        log.info("rules removed: traffic passes unfiltered")
    except RefusedByKernel as error:
        log.error("%s; the rules stay in place", error)


def leave_rules(table: PolicyTable, loaded: LoadedPolicy) -> None:
    """Nobody will end the adoption or follow the routes any more."""
    try:
        table.install(loaded, is_served=False)
    except RefusedByKernel as error:
        log.error("%s; the rules stay as they were", error)
