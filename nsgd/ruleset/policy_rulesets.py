"""The whole ruleset of one policy after the other, by the engine of its settings."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial

from nsgd.model.network import NetworkInterface, NetworkModel
from nsgd.model.settings import DaemonSettings, Engine, Mode
from nsgd.policy.compile import CompiledPolicy
from nsgd.policy.numbers import DecisionNumbers
from nsgd.ruleset.gateway import gateway_ruleset
from nsgd.ruleset.kernel_engine import KernelEngine
from nsgd.ruleset.marks import MarkLayout
from nsgd.ruleset.names import interface_counters
from nsgd.ruleset.objects import Ruleset
from nsgd.ruleset.queues import QueueRule
from nsgd.ruleset.table_chains import Circumstances


class PolicyRulesets:
    """Makes them; what two have in common is made once."""

    def __init__(self) -> None:
        self._engine = KernelEngine()
        self._counters: tuple[Sequence[NetworkInterface], frozenset[str]] = ((), frozenset())

    def ruleset(
        self,
        model: NetworkModel,
        policy: CompiledPolicy,
        numbers: DecisionNumbers,
        settings: DaemonSettings,
        queue_rule: QueueRule,
        *,
        inward_links: Collection[str] | None,
        adopting: bool,
        epoch: str,
    ) -> Ruleset:
        """Of a compiled policy; the other arguments are those of gateway_ruleset."""
        kernel = None
        if settings.engine is Engine.KERNEL:
            kernel = self._engine.ruleset(
                model,
                policy,
                numbers,
                Circumstances(MarkLayout(settings.mark_mask), epoch),
                log_group=settings.queue_number,
                is_audit=settings.mode is Mode.AUDIT,
                is_host_only=settings.is_host_only,
            )
        return gateway_ruleset(
            model,
            settings,
            queue_rule,
            inward_links=inward_links,
            adopting=adopting,
            kernel=kernel,
            epoch=epoch,
            # What the kernel engine has counted of interfaces stays while another one decides.
            spare_counters=partial(self._counters_of, model.network_interfaces),
        )

    def _counters_of(self, interfaces: Sequence[NetworkInterface]) -> frozenset[str]:
        if self._counters[0] is not interfaces:
            names = (interface.name for interface in interfaces)
            self._counters = interfaces, frozenset(interface_counters(names))
        return self._counters[1]
