"""A Prometheus in a network namespace, with its data in a directory of the test's."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from nsgd.lab.netns import NetworkNamespace
from tests.dashboards.dashboard import ALERTS
from tests.programs import program

_PORT = 9090
_START_S = 60.0


def prometheus() -> str:
    """Where the program is."""
    return program("prometheus", "prometheus")


class Prometheus:
    """A server that scrapes the loopback of its namespace."""

    def __init__(self, namespace: NetworkNamespace, directory: Path, interval_s: int = 1) -> None:
        """Nothing runs yet; files will be below *directory*."""
        self._namespace = namespace
        self._directory = directory
        self._interval_s = interval_s
        self._process: subprocess.Popen[Any] | None = None

    def start(self, port: int) -> None:
        """Scrape nsgd at a port, with the alerts, none of which waits before it fires."""
        self._directory.mkdir(parents=True)
        rules = yaml.safe_load(ALERTS.read_text())
        for group in rules["groups"]:
            for rule in group["rules"]:
                rule.pop("for", None)
        (self._directory / "alerts.yaml").write_text(yaml.safe_dump(rules))
        every = f"{self._interval_s}s"
        config = {
            "global": {"scrape_interval": every, "evaluation_interval": every},
            "rule_files": ["alerts.yaml"],
            "scrape_configs": [
                {"job_name": "nsgd", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
            ],
        }
        (self._directory / "prometheus.yml").write_text(yaml.safe_dump(config))
        with (self._directory / "log").open("w") as log:
            self._process = self._namespace.popen(
                [
                    prometheus(),
                    f"--config.file={self._directory / 'prometheus.yml'}",
                    f"--storage.tsdb.path={self._directory / 'data'}",
                    "--storage.tsdb.retention.time=1h",
                    f"--web.listen-address=127.0.0.1:{_PORT}",
                    "--log.level=warn",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._directory,
                env={**os.environ, "GOMAXPROCS": "1"},
            )
        deadline = time.monotonic() + _START_S
        while not self._is_ready():
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise AssertionError((self._directory / "log").read_text())
            time.sleep(0.05)

    def _is_ready(self) -> bool:
        try:
            self._get("/-/ready", {})
        except OSError:
            return False
        return True

    def _get(self, path: str, parameters: Mapping[str, str]) -> bytes:
        url = f"http://127.0.0.1:{_PORT}{path}?{urllib.parse.urlencode(parameters)}"

        def get() -> bytes:
            try:
                with urllib.request.urlopen(url, timeout=30) as got:
                    return bytes(got.read())
            except urllib.error.HTTPError as error:
                with error:
                    body = error.read()
                if error.code in (400, 422):
                    raise AssertionError(f"{parameters}: {body.decode()}") from error
                raise

        return self._namespace.call(get)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """An instant query now: its series, with one value each. A bad one fails the test."""
        return self._series("/api/v1/query", {"query": expression})

    def query_range(
        self, expression: str, start_s: float, end_s: float, step_s: float
    ) -> list[dict[str, Any]]:
        """The same over a time: series with values at each step."""
        times = {"start": str(start_s), "end": str(end_s), "step": str(step_s)}
        return self._series("/api/v1/query_range", {"query": expression, **times})

    def _series(self, path: str, parameters: Mapping[str, str]) -> list[dict[str, Any]]:
        answer = json.loads(self._get(path, parameters))
        result = answer["data"]["result"]
        # A number by itself is no series.
        return result if answer["data"]["resultType"] in ("vector", "matrix") else [result]

    def firing(self) -> set[str]:
        """Names of alerts that fire."""
        alerts: Sequence[dict[str, Any]] = json.loads(self._get("/api/v1/alerts", {}))["data"][
            "alerts"
        ]
        return {each["labels"]["alertname"] for each in alerts if each["state"] == "firing"}

    def problems(self) -> list[str]:
        """What it says of rules that it could not evaluate, and of targets."""
        groups = json.loads(self._get("/api/v1/rules", {}))["data"]["groups"]
        return [
            f"{rule['name']}: {rule['lastError']}"
            for group in groups
            for rule in group["rules"]
            if rule.get("lastError") or rule["health"] == "err"
        ]

    def close(self) -> None:
        """End it."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(10)
