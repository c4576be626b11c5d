"""nsgd itself as a contender, on a generated policy, by either engine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nsgd.bench.contenders import Contender
from nsgd.bench.policies import DECIDED_BY, Size, policy_document
from nsgd.bench.running_daemon import RunningDaemon, start_daemon
from nsgd.config.load import Document, load_documents
from nsgd.lab.netns import NetworkNamespace
from nsgd.ruleset.gateway import gateway_ruleset
from nsgd.ruleset.queues import QueueRule

ENGINES = ("kernel", "queue")


def daemon_contender(engine: str, policy: str, size: Size, queues: int = 1) -> Contender:
    """``nsgd run`` with an engine of ENGINES and so many workers, on a policy of that size."""

    def start(gateway: NetworkNamespace, directory: Path) -> RunningDaemon:
        document = policy_document(policy, size, engine, queues)
        path = directory / "policy.json"
        path.write_text(json.dumps(document))

        def change_rule() -> None:
            _change(document)
            path.write_text(json.dumps(document))

        return start_daemon(gateway, directory, path, change_rule=change_rule)

    suffix, workers = ("", "") if queues == 1 else (f"-x{queues}", f" {queues} workers,")
    return Contender(
        f"{engine}-{policy}{suffix}",
        f"nsgd run, engine {engine},{workers} {size.nics} NICs, 4 groups of {size.rules} rules:"
        f" {DECIDED_BY[policy]}",
        lambda: _ruleset(policy, size, engine, queues),
        start,
    )


def _change(document: dict[str, Any]) -> None:
    """Change what a rule in the middle of a group matches."""
    rules = document["networkSecurityGroups"][0]["securityRules"]
    rules[len(rules) // 2]["description"] = "changed"
    rules[len(rules) // 2]["sourcePortRange"] = "1-65535"


def _ruleset(policy: str, size: Size, engine: str, queues: int) -> str:
    content = json.dumps(policy_document(policy, size, engine, queues)).encode()
    loaded = load_documents([Document(policy, content)])
    rule = QueueRule(loaded.settings.queue_number, native=False, count=loaded.settings.queues)
    return gateway_ruleset(loaded.model, loaded.settings, rule).text()
