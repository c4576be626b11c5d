"""The kernel engine: the policy's tables as chains that decide a flow's first packet.

A packet goes on by its sender's address to a chain that asks the sender's tables, then by its
receiver's to one that asks the receiver's. Each table is a decision tree; at its end stands the
deciding rule, which counts, notes its number in the packet mark, and returns or denies.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from nsgd.model.address import IP_VERSIONS
from nsgd.model.network import NetworkModel
from nsgd.policy.compile import CompiledPolicy
from nsgd.policy.numbers import DecisionNumbers
from nsgd.ruleset.dispatch import Dispatch, KernelRuleset
from nsgd.ruleset.marks import MarkLayout
from nsgd.ruleset.profiles import AskedTable
from nsgd.ruleset.same import Same
from nsgd.ruleset.table_chains import Circumstances, TableChainsMaker
from nsgd.ruleset.telling import Telling


class KernelEngine:
    """Makes the chains and maps that decide, for the chain ``decide`` of a gateway.

    What a policy has in common with the one before is the same object again.
    """

    def __init__(self) -> None:
        self._tables = TableChainsMaker()
        self._endpoints: tuple[_Endpoints, KernelRuleset] | None = None

    def ruleset(
        self,
        model: NetworkModel,
        policy: CompiledPolicy,
        numbers: DecisionNumbers,
        circumstances: Circumstances,
        *,
        log_group: int,
        is_audit: bool,
        is_host_only: bool,
    ) -> KernelRuleset:
        """Of a policy, its model and the numbers of its rules.

        Denials go to the NFLOG group *log_group*. In audit mode denied flows pass; on a machine
        that is a host only its own end is asked.
        """
        tables = self._tables.make(policy, numbers, circumstances)
        # Trees lead to rules.
        groups = [*self._tables.rule_groups(policy, numbers, circumstances)]
        groups += self._tables.tree_groups(policy, numbers, circumstances)
        asked = tuple(
            AskedTable(
                made.label,
                bool(table.network_security_group),
                made.final_marks,
                tuple(version for version in IP_VERSIONS if version in made.trees),
            )
            for made, table in zip(tables, policy.tables, strict=True)
        )
        endpoints = _Endpoints(
            Same(policy.endpoint_map),
            Same(model.network_interfaces),
            asked,
            circumstances.layout,
            log_group,
            is_audit,
            is_host_only,
        )
        if self._endpoints is None or self._endpoints[0] != endpoints:
            dispatch = Dispatch(
                policy.endpoint_map,
                model,
                asked,
                Telling(circumstances.layout, log_group),
                is_audit=is_audit,
                is_host_only=is_host_only,
            )
            self._endpoints = endpoints, dispatch.ruleset()
        return replace(self._endpoints[1], groups=tuple(groups))


@dataclass(frozen=True, slots=True)
class _Endpoints:
    """All that dispatch depends on."""

    endpoint_map: Same
    interfaces: Same
    asked: tuple[AskedTable, ...]
    layout: MarkLayout
    log_group: int
    is_audit: bool
    is_host_only: bool
