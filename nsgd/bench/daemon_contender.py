"""nsgd itself as a contender: ``nsgd run`` on a generated policy, as a user would start it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nsgd.bench.contenders import Contender, ContenderFailed, Running
from nsgd.bench.policies import DECIDED_BY, POLICIES, policy_document
from nsgd.config.load import Document, load_documents
from nsgd.lab.netns import NetworkNamespace
from nsgd.lab.traffic import module_environment
from nsgd.ruleset.chains import QueueRule
from nsgd.ruleset.gateway import gateway_ruleset

_NSGD = (sys.executable, "-m", "nsgd")
_READY_TIMEOUT_S = 30.0
_POLL_S = 0.002
_LOG_LINES = 10


@dataclass(slots=True)
class RunningDaemon(Running):
    """The daemon with its document, log and control socket in *directory*."""

    process: subprocess.Popen[Any] | None = None
    directory: Path = Path()
    policy: str = ""

    def ask(self, verb: str, *options: str) -> str:
        """What the command prints. Raises ContenderFailed."""
        argv = [*_NSGD, verb, "--runtime-dir", str(self.directory / "run"), *options]
        completed = subprocess.run(  # noqa: S603
            argv, check=False, capture_output=True, text=True, env=module_environment()
        )
        if completed.returncode != 0:
            raise ContenderFailed(f"nsgd {verb}: {completed.stderr.strip()}{self.last_words()}")
        return completed.stdout

    def status(self) -> dict[str, Any]:
        """The status as JSON. Raises ContenderFailed."""
        status: dict[str, Any] = json.loads(self.ask("status", "-o", "json"))
        return status

    def reload_s(self) -> float | None:
        document = policy_document(self.policy)
        rules = document["networkSecurityGroups"][0]["securityRules"]
        rules[len(rules) // 2]["description"] = "changed"
        rules[len(rules) // 2]["sourcePortRange"] = "1-65535"
        _write(self.directory, document)
        before = time.perf_counter()
        self.ask("reload")
        return time.perf_counter() - before

    def rule_hits(self) -> dict[str, dict[str, int]] | None:
        hits: dict[str, dict[str, int]] = {}
        for entry in self.status()["ruleHits"]:
            group = hits.setdefault(f"{entry['networkSecurityGroup']} {entry['direction']}", {})
            group[entry["rule"]] = entry["hits"]
        return hits

    def check(self) -> None:
        if self.process is not None and self.process.poll() is not None:
            raise ContenderFailed(f"it has ended{self.last_words()}")

    def wait_until_ready(self, started: float) -> None:
        """Wait for the log's word that the policy is in force. Raises ContenderFailed."""
        deadline = started + _READY_TIMEOUT_S
        log = self.directory / "nsgd.log"
        while "in force" not in log.read_text(errors="replace"):
            self.check()
            if time.perf_counter() > deadline:
                raise ContenderFailed(
                    f"not ready after {_READY_TIMEOUT_S:.0f} s{self.last_words()}"
                )
            time.sleep(_POLL_S)
        self.apply_s = time.perf_counter() - started

    def last_words(self) -> str:
        lines = (self.directory / "nsgd.log").read_text(errors="replace").splitlines()
        return "".join(f"\n  {line}" for line in lines[-_LOG_LINES:])


def _write(directory: Path, document: dict[str, Any]) -> Path:
    path = directory / "policy.json"
    path.write_text(json.dumps(document))
    return path


def _start(policy: str, gateway: NetworkNamespace, directory: Path) -> Running:
    path = _write(directory, policy_document(policy))
    setpriv = shutil.which("setpriv")
    argv = [setpriv, "--pdeathsig", "KILL"] if setpriv else []
    argv += [*_NSGD, "run", "--config", str(path)]
    argv += ["--runtime-dir", str(directory / "run"), "--state-dir", str(directory / "state")]
    for name in ("run", "state"):
        (directory / name).mkdir()
    started = time.perf_counter()
    with (directory / "nsgd.log").open("wb") as log:
        process = gateway.popen(
            argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=module_environment()
        )
    running = RunningDaemon(None, {"supervisor": process.pid}, process, directory, policy)
    running.wait_until_ready(started)
    running.processes["worker"] = running.status()["worker"]["pid"]
    return running


def _ruleset(policy: str) -> str:
    content = json.dumps(policy_document(policy)).encode()
    loaded = load_documents([Document(policy, content)])
    rule = QueueRule(loaded.settings.queue_number, native=False)
    return gateway_ruleset(loaded.model, loaded.settings, rule).text()


def _contender(policy: str) -> Contender:
    return Contender(
        f"queue-{policy}",
        f"nsgd run, 4 network security groups of 1000 rules each: {DECIDED_BY[policy]}",
        lambda: _ruleset(policy),
        lambda gateway, directory: _start(policy, gateway, directory),
    )


DAEMON_CONTENDERS: tuple[Contender, ...] = tuple(_contender(policy) for policy in POLICIES)
