"""A loaded model with its compiled policy, asked in Azure's words: the package's one entrance."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from nsgd.answers.diagnostics import Explanation, RulesToAsk, explain
from nsgd.answers.effective_rules import effective_rules_as_json
from nsgd.answers.ip_flow import FlowAnswer, describe, for_source_port, judge, tables_of, verify
from nsgd.answers.path import PathAnswer, PathQuestion, ask_path
from nsgd.answers.question import FlowQuestion
from nsgd.answers.resources import Resource, Resources
from nsgd.model.network import NetworkModel
from nsgd.model.rule import Direction
from nsgd.policy.admin import AdminRules, is_admin_table
from nsgd.policy.compile import CompiledPolicy, compile_policy
from nsgd.policy.effective import NetworkResolver, effective_security_rules
from nsgd.policy.smtp import smtp_rules
from nsgd.policy.table import CompiledTable


class QuestionedPolicy:
    """Answers questions about one policy; every refusal is a QuestionRefused."""

    def __init__(self, model: NetworkModel, policy: CompiledPolicy | None = None) -> None:
        """Take a model, and its compiled policy where there is one already."""
        self.model = model
        self.policy = policy or compile_policy(model)
        self.resources = Resources(model, self.policy.endpoint_map)
        self._groups = {group.name: group for group in model.network_security_groups}
        self._admin_rules = AdminRules(model)
        self._resolvers: dict[tuple[str, str], NetworkResolver] = {}

    def local_resource(self, question: FlowQuestion, interface: str | None) -> Resource:
        """Whose groups a question asks: the named network interface's, or the local address's."""
        named = None if interface is None else self.resources.interface(interface)
        return self.resources.at(question.local, named)

    def effective_rules(self, interface: str) -> dict[str, Any]:
        """The effective security rules of a declared network interface, in Azure's form."""
        found = self.resources.interface(interface)
        return effective_rules_as_json(self.model, self.resources.of_interface(found))

    def ip_flow_verify(self, question: FlowQuestion, interface: str | None = None) -> FlowAnswer:
        """Whether a flow passes the groups of its local resource."""
        resource = self.local_resource(question, interface)
        return verify(tables_of(self.policy, resource, question.direction), question)

    def path(self, question: PathQuestion) -> PathAnswer:
        """Whether a flow passes the groups at both of its ends."""
        return ask_path(self.policy, self.resources, question)

    def explain(self, question: FlowQuestion, interface: str | None = None) -> Explanation:
        """Which rules were tried for a question, and what of them matched."""
        resource = self.local_resource(question, interface)
        return self.explain_at(resource, question)

    def explain_at(self, resource: Resource, question: FlowQuestion) -> Explanation:
        """As explain, for any packet at a resource: its address need not be the resource's.

        Raises:
            QuestionRefused: The question is for every source port, and some table's deciding rule
                is not the same for all of them.
        """
        tables = tables_of(self.policy, resource, question.direction)

        def decide(source_port: int) -> FlowAnswer:
            return judge(tables, question.packet(source_port))

        def outcome(answer: FlowAnswer) -> Hashable:
            return answer.consulted

        for_source_port(tables, question, decide, outcome, describe)
        return explain(question, self._rules_to_ask(resource, tables, question.direction))

    def _rules_to_ask(
        self, resource: Resource, tables: Sequence[CompiledTable], direction: Direction
    ) -> list[RulesToAsk]:
        """The rules that each table was compiled of."""
        resolver = self._resolver(resource)
        associations = iter(resource.associations(direction))
        to_ask = []
        for table in tables:
            group = table.network_security_group
            if group:
                applied_to = next(associations).applied_to
                rules = effective_security_rules(resolver, self._groups[group], direction)
            elif is_admin_table(table):
                applied_to = resource.virtual_network.name
                rules = self._admin_rules.effective(resolver, applied_to, direction)
            else:
                applied_to, rules = resource.name, smtp_rules(resolver)
            to_ask.append(RulesToAsk(group, applied_to, direction, rules))
        return to_ask

    def _resolver(self, resource: Resource) -> NetworkResolver:
        key = resource.virtual_network.name, resource.subnet.name
        found = self._resolvers.get(key)
        if found is None:
            seen = resource.virtual_network.seen_from(resource.subnet)
            found = self._resolvers[key] = NetworkResolver(self.model, seen)
        return found
