"""The daemon section."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nsgd.config.settings import SETTINGS
from nsgd.model.settings import (
    Admission,
    DaemonRole,
    DaemonSettings,
    FlowLog,
    FlowLogFormat,
    MetricsDetail,
    UnmanagedTraffic,
)
from tests.config.documents import group, load, refuse, refuse_one

DEFAULTS = DaemonSettings()


def test_the_defaults_of_the_table_are_those_of_the_model() -> None:
    """A document that states every default changes nothing."""
    stated = {key: field.default for key, field in SETTINGS.items()}
    assert load({"daemon": stated}).settings == DEFAULTS
    assert load({"daemon": {}, **group()}).settings == DEFAULTS


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("unmanagedTraffic", "DROP", {"unmanaged_traffic": UnmanagedTraffic.DROP}),
        ("roles", ["host"], {"roles": frozenset({DaemonRole.HOST})}),
        ("roles", ["HOST", "gateway", "host"], {"roles": frozenset(DaemonRole)}),
        ("roles", [], {}),
        ("metricsListen", "0.0.0.0:1", {"metrics_host": "0.0.0.0", "metrics_port": 1}),
        ("metricsListen", "[::]:65535", {"metrics_host": "::", "metrics_port": 65535}),
        ("metricsListen", "localhost:0", {"metrics_host": "localhost", "metrics_port": 0}),
        ("metricsListen", "a-b.example:80", {"metrics_host": "a-b.example", "metrics_port": 80}),
        ("queues", 1, {"queues": 1}),
        ("queues", 16, {"queues": 16}),
        ("admission", {"enabled": False}, {"admission": None}),
        ("admission", {"enabled": False, "sourceBurst": 5}, {"admission": None}),
        ("admission", {"enabled": True}, {"admission": Admission()}),
        ("admission", {"flowsPerSecond": 1}, {"admission": Admission(per_worker=1)}),
        (
            "admission",
            {"allowedSourceFlowsPerSecond": 7},
            {"admission": Admission(per_allowed_source=7)},
        ),
        ("admission", {"sourceFlowsPerSecond": 7}, {"admission": Admission(per_source=7)}),
        (
            "admission",
            {"sourceBurst": 10_000_000},
            {"admission": Admission(source_burst=10_000_000)},
        ),
        ("queueNumber", 0, {"queue_number": 0}),
        ("queueNumber", 65535, {"queue_number": 65535}),
        ("queueLength", 1, {"queue_length": 1}),
        ("queueLength", 1_000_000, {"queue_length": 1_000_000}),
        ("markMask", "0xFFFFFF00", {"mark_mask": 0xFFFFFF00}),
        ("markMask", 0x00FFFFFF, {"mark_mask": 0x00FFFFFF}),
        ("metricsDetail", "rules", {"metrics_detail": MetricsDetail.RULES}),
        ("flowLog", {"path": "/var/log/nsgd"}, {"flow_log": FlowLog("/var/log/nsgd")}),
        ("flowLog", {"path": "/var/log/nsgd", "enabled": False}, {"flow_log": None}),
        (
            "flowLog",
            {
                "path": "/run/flows.fifo",
                "enabled": True,
                "format": "JSONLINES",
                "maxBytes": 1 << 20,
                "retentionPolicy": {"days": 30, "enabled": True},
                "intervalSeconds": 1,
                "flushSeconds": 3600,
            },
            {
                "flow_log": FlowLog(
                    "/run/flows.fifo", FlowLogFormat.JSON_LINES, 1 << 20, 30, 1, 3600
                )
            },
        ),
        (
            "flowLog",
            {"path": "/a", "retentionPolicy": {"days": 30, "enabled": False}},
            {"flow_log": FlowLog("/a", retention_days=0)},
        ),
    ],
)
def test_a_setting(key: str, value: object, expected: dict[str, object]) -> None:
    """Values at both ends."""
    assert load({"daemon": {key: value}}).settings == replace(DEFAULTS, **expected)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("unmanagedTraffic", "refuse", "'refuse' is not allowed"),
        ("metricsDetail", "nics", "'nics' is not allowed"),
        ("flowLog", {"path": "log"}, "'log' is not the path of a flow log"),
        ("flowLog", {"path": "/"}, "'/' is not the path of a flow log"),
        ("flowLog", {"path": "/a/../etc"}, "'/a/../etc' is not the path of a flow log"),
        ("flowLog", {"path": "/a\nb"}, "is not the path of a flow log"),
        ("flowLog", {"path": 7}, "7 is not the path of a flow log"),
        ("flowLog", {}, "path is missing"),
        ("flowLog", {"path": "/a", "format": "csv"}, "'csv' is not allowed"),
        ("flowLog", {"path": "/a", "maxBytes": 1000}, "1000 is outside"),
        ("flowLog", {"path": "/a", "retentionPolicy": {"days": -1}}, "-1 is outside 0-36500"),
        ("metricsListen", "9480", "'9480' is not an address to listen on"),
        ("metricsListen", 9480, "9480 is not an address to listen on"),
        ("metricsListen", ":9480", "it has no host"),
        ("metricsListen", "127.0.0.1", "is not an address to listen on"),
        ("metricsListen", "127.0.1:80", "is not an address to listen on"),
        ("metricsListen", "127.0.0.1:65536", "port 65536 is outside 0-65535"),
        ("metricsListen", "127.0.0.1:080", "is not an address to listen on"),
        ("metricsListen", "::1:80", "is not an address to listen on"),
        ("metricsListen", "[127.0.0.1]:80", "is not an address to listen on"),
        ("metricsListen", "[::1%lo]:80", "is not an address to listen on"),
        ("metricsListen", "http://a:80", "is not an address to listen on"),
        ("metricsListen", "a b:80", "is not an address to listen on"),
        ("queues", 0, "0 is outside 1-16"),
        ("queues", 17, "17 is outside 1-16"),
        ("queueNumber", -1, "-1 is outside 0-65535"),
        ("queueNumber", 65536, "65536 is outside 0-65535"),
        ("queueLength", 0, "0 is outside 1-1000000"),
        ("queueLength", 1_000_001, "1000001 is outside 1-1000000"),
        ("markMask", "0x007fffff", "'0x007fffff' has 23 bits set, and at least 24 are needed"),
        ("markMask", 0, "0 has 0 bits set, and at least 24 are needed"),
        ("markMask", "0x1ffffffff", "is not a 32-bit mask"),
        ("markMask", 1 << 32, "is not a 32-bit mask"),
        ("markMask", -1, "is not a 32-bit mask"),
        ("markMask", True, "is not a 32-bit mask"),
        ("markMask", "ffffffff", "is not a 32-bit mask"),
        ("admission", False, "false is not an admission"),
        # Words of later releases.
        ("roles", ["gateway", "router"], "'router' is not allowed"),
        ("roles", "host", "'host' is not a list"),
        ("engine", "nft", "'nft' is not allowed"),
    ],
)
def test_a_setting_that_is_refused(key: str, value: object, message: str) -> None:
    """What a later release takes is told apart from a mistake."""
    path, found, _ = refuse_one({"daemon": {key: value}})
    assert path.startswith(f"daemon.{key}")
    assert message in found


@pytest.mark.parametrize(
    ("first", "queues", "is_refused"), [(65520, 16, False), (65521, 16, True), (65535, 2, True)]
)
def test_queues_end_with_the_last_number(first: int, queues: int, is_refused: bool) -> None:
    """Every worker needs a number that there is."""
    document = {"daemon": {"queueNumber": first, "queues": queues}}
    if not is_refused:
        assert load(document).settings.queue_numbers == range(first, first + queues)
        return
    path, found, way_out = refuse_one(document)
    assert path == "daemon.queues"
    assert found == f"{queues} queues from {first} on are more than there are"
    assert way_out == f"set queueNumber to {65536 - queues} at most"


def test_unquoted_in_yaml() -> None:
    """A mask and an address need no quotes: YAML's guesses are off."""
    settings = load("daemon: {markMask: 0x00ffffff, metricsListen: 127.0.0.1:80}").settings
    assert (settings.mark_mask, settings.metrics_port) == (0x00FFFFFF, 80)


def test_one_document_only_has_the_section() -> None:
    """Two would have to be merged by some order."""
    first = {"daemon": {"queueNumber": 1}}
    (problem,) = refuse(first, {}, first)
    assert (problem.document, problem.path) == ("d2", "daemon")
    assert problem.message == "the daemon section is already given by daemon in d0"


@pytest.mark.parametrize(
    "key",
    ["flowsPerSecond", "sourceFlowsPerSecond", "allowedSourceFlowsPerSecond", "sourceBurst"],
)
@pytest.mark.parametrize("value", [0, 10_000_001, "5", True])
def test_an_admission_that_is_refused(key: str, value: object) -> None:
    """No limit is turned off by a number."""
    path, _, _ = refuse_one({"daemon": {"admission": {key: value}}})
    assert path == f"daemon.admission.{key}"
