"""What Prometheus reads, through its own parser and linter, and over HTTP."""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import queue
import re
import socket
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from nsgd.model.decision import Reason
from nsgd.model.rule import Access, Direction
from nsgd.observe.metrics import metrics_registry, start_metrics_server
from nsgd.observe.metrics_server import MetricsServer
from nsgd.observe.service_tag_state import ServiceTagsState
from nsgd.observe.snapshot import FlowCount, RuleHits, Snapshot
from tests.observe.snapshots import SEVERAL, SNAPSHOT
from tests.observe.test_flow_log import STATE
from tests.programs import program

EXPECTED = """\
nsgd_build_info{engine="queue",roles="gateway,host",version="1.2.3"} 1
nsgd_policy_info{hash="0123456789abcdef"} 1
nsgd_mode{mode="enforce"} 1
nsgd_mode{mode="audit"} 0
nsgd_failure_mode{mode="closed"} 1
nsgd_failure_mode{mode="open"} 0
nsgd_start_time_seconds 1600000000
nsgd_policy_generation 4
nsgd_config_last_reload_successful 0
nsgd_config_last_reload_success_timestamp_seconds 1700000000.5
nsgd_reloads_total{result="succeeded"} 3
nsgd_reloads_total{result="refused"} 1
nsgd_table_owned 1
nsgd_rule_hits_total{access="Allow",direction="Inbound",nsg="web",rule="AllowHttp"} 12
nsgd_rule_hits_total{access="Deny",direction="Inbound",nsg="web",rule="DenyAllInBound"} 130
nsgd_rule_hits_total{access="Deny",direction="Outbound",nsg="web",rule="DenyAllOutBound"} 0
nsgd_flows_total{access="Allow",direction="Inbound",reason="rule"} 12
nsgd_flows_total{access="Deny",direction="Inbound",reason="rule"} 130
nsgd_flows_total{access="Allow",direction="Outbound",reason="rule"} 0
nsgd_flows_total{access="Deny",direction="Outbound",reason="rule"} 0
nsgd_flows_total{access="Allow",direction="Inbound",reason="noNetworkSecurityGroup"} 0
nsgd_flows_total{access="Deny",direction="Inbound",reason="unsupportedProtocol"} 0
nsgd_flows_total{access="Deny",direction="Outbound",reason="unsupportedProtocol"} 0
nsgd_flows_total{access="Deny",direction="Inbound",reason="ambiguousNetwork"} 0
nsgd_flows_total{access="Deny",direction="Inbound",reason="unparsable"} 0
nsgd_midstream_packets_total 1
nsgd_adopted_flows_total 6
nsgd_reevaluated_flows_total 9
nsgd_cut_flows_total 2
nsgd_denied_packets_total{reason="rule"} 130
nsgd_denied_packets_total{reason="spoofed"} 8
nsgd_denied_packets_total{reason="invalid"} 0
nsgd_unparsable_packets_total{reason="fragment"} 2
nsgd_unparsable_packets_total{reason="empty"} 0
nsgd_unmanaged_packets_total{verdict="accept"} 20
nsgd_unmanaged_packets_total{verdict="drop"} 0
nsgd_queued_packets_total 150
nsgd_not_admitted_packets_total{reason="sourceRate"} 40
nsgd_not_admitted_packets_total{reason="sources"} 0
nsgd_passed_undecided_packets_total 3
nsgd_failsafe_packets_total 5
nsgd_verdicts_total{verdict="accept"} 12
nsgd_verdicts_total{verdict="drop"} 132
nsgd_foreign_marks_total 0
nsgd_kernel_denials_total{result="told"} 7
nsgd_kernel_denials_total{result="untold"} 93
nsgd_kernel_denials_total{result="lost"} 1
nsgd_table_changed_by_others_total 3
nsgd_table_repairs_total 2
nsgd_foreign_base_chains_deleted_total 4
nsgd_worker_up{worker="0"} 1
nsgd_worker_restarts_total{worker="0"} 1
nsgd_queue_readable{queue="9480"} 1
nsgd_queue_depth{queue="9480"} 3
nsgd_queue_max_length{queue="9480"} 4096
nsgd_queue_dropped_total{queue="9480",reason="queue_full"} 5
nsgd_queue_dropped_total{queue="9480",reason="socket"} 6
nsgd_decision_duration_seconds_bucket{le="1e-06"} 4
nsgd_decision_duration_seconds_bucket{le="5e-06"} 6
nsgd_decision_duration_seconds_bucket{le="+Inf"} 7
nsgd_decision_duration_seconds_count 7
nsgd_decision_duration_seconds_sum 0.012
nsgd_conntrack_entries 900
nsgd_conntrack_entries_limit 1000
nsgd_conntrack_dropped_total 8
nsgd_applied_policies_total{result="applied"} 5
nsgd_applied_policies_total{result="confirmed"} 1
nsgd_applied_policies_total{result="reverted"} 2
nsgd_applied_policies_total{result="refused"} 3
nsgd_policy_on_trial 0
nsgd_policy_in_place_of_config 1
nsgd_open_flows 9
nsgd_rule_open_flows{access="Allow",direction="Inbound",nsg="web",rule="AllowHttp"} 8
nsgd_nic_first_packets_total{access="Allow",direction="Inbound",nic="web1"} 7
nsgd_nic_first_packets_total{access="Deny",direction="Inbound",nic="web1"} 100
nsgd_nic_first_packets_total{access="Allow",direction="Outbound",nic="web1"} 3
nsgd_nic_first_packets_total{access="Deny",direction="Outbound",nic="web1"} 0
nsgd_nic_first_packets_total{access="Allow",direction="Inbound",nic="idle"} 0
nsgd_nic_first_packets_total{access="Deny",direction="Inbound",nic="idle"} 0
nsgd_nic_first_packets_total{access="Allow",direction="Outbound",nic="idle"} 0
nsgd_nic_first_packets_total{access="Deny",direction="Outbound",nic="idle"} 0
"""


def expose(snapshot: Snapshot) -> str:
    """The exposition of one snapshot."""
    return generate_latest(metrics_registry(lambda: snapshot)).decode()


def samples(text: str) -> list[str]:
    """nsgd's samples, as the parser understands them."""
    return [
        sample.name
        + (
            "{" + ",".join(f'{k}="{v}"' for k, v in sorted(sample.labels.items())) + "}"
            if sample.labels
            else ""
        )
        + f" {sample.value:.15g}"
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("nsgd_")
    ]


def test_every_metric() -> None:
    """Names, labels and values, in the order of the exposition."""
    assert samples(expose(SNAPSHOT)) == EXPECTED.splitlines()


def test_types_and_help() -> None:
    """What grows is a counter, and each metric says what is counted."""
    for family in text_string_to_metric_families(expose(SNAPSHOT)):
        if not family.name.startswith("nsgd_"):
            continue
        is_counter = all(sample.name.endswith("_total") for sample in family.samples)
        is_histogram = any(sample.name.endswith("_bucket") for sample in family.samples)
        expected = "counter" if is_counter else "histogram" if is_histogram else "gauge"
        assert family.type == expected, family.name
        assert len(family.documentation.split()) > 3, family.name
        assert family.documentation.endswith("."), family.name


def test_this_process_is_measured() -> None:
    """Memory and descriptors of the daemon are there, Python's garbage collector is not."""
    text = expose(SNAPSHOT)
    assert "\nprocess_resident_memory_bytes " in text
    assert "python" not in text


def test_an_unreadable_queue() -> None:
    """No queue metric pretends to know, and one tells."""
    unreadable = (dataclasses.replace(SNAPSHOT.workers[0], queue=None),)
    made = samples(expose(dataclasses.replace(SNAPSHOT, workers=unreadable)))
    assert [line for line in made if line.startswith("nsgd_queue_")] == [
        'nsgd_queue_readable{queue="9480"} 0'
    ]


def test_several_workers() -> None:
    """Each by its place, and each queue that is known by its number."""
    made = samples(expose(SEVERAL))
    assert [line for line in made if line.startswith(("nsgd_worker_up", "nsgd_queue_"))] == [
        'nsgd_worker_up{worker="0"} 1',
        'nsgd_worker_up{worker="1"} 0',
        'nsgd_worker_up{worker="2"} 1',
        'nsgd_queue_readable{queue="9480"} 1',
        'nsgd_queue_readable{queue="9481"} 0',
        'nsgd_queue_readable{queue="9482"} 1',
        'nsgd_queue_depth{queue="9480"} 3',
        'nsgd_queue_depth{queue="9482"} 9',
        'nsgd_queue_max_length{queue="9480"} 4096',
        'nsgd_queue_max_length{queue="9482"} 4096',
        'nsgd_queue_dropped_total{queue="9480",reason="queue_full"} 5',
        'nsgd_queue_dropped_total{queue="9480",reason="socket"} 6',
        'nsgd_queue_dropped_total{queue="9482",reason="queue_full"} 5',
        'nsgd_queue_dropped_total{queue="9482",reason="socket"} 6',
    ]
    assert 'nsgd_worker_restarts_total{worker="1"} 2' in made


def test_a_snapshot_without_counts() -> None:
    """A policy without groups is exposed as well."""
    empty = dataclasses.replace(SNAPSHOT, rule_hits=(), flows=(), nics={})
    made = samples(expose(empty))
    assert not [line for line in made if line.startswith(("nsgd_rule_hits", "nsgd_nic"))]
    # Outcomes are a closed set, and each begins at 0: what comes first is an increase too.
    assert [line[-2:] for line in made if line.startswith("nsgd_flows")] == [" 0"] * 9
    assert 'nsgd_worker_up{worker="0"} 1' in made


def test_what_the_kernel_does_not_tell() -> None:
    """Has no metrics, rather than zeros."""
    untold = dataclasses.replace(SNAPSHOT, conntrack=None, open_flows=None, decision_times=None)
    names = {line.partition("{")[0] for line in samples(expose(untold))}
    assert not {name for name in names if "conntrack" in name or "open_flows" in name}
    assert "nsgd_decision_duration_seconds_count" not in names


def test_fewer_series_for_metrics_detail() -> None:
    """A summary has none that grow in number with rules; what is not counted there has none."""
    log = dataclasses.replace(SNAPSHOT, flow_log=STATE)
    full = samples(expose(log))
    for detail in ("full", "rules", "summary"):
        made = samples(expose(dataclasses.replace(log, metrics_detail=detail)))
        gone = {line.partition("{")[0] for line in set(full) - set(made)}
        assert gone == (
            {
                "nsgd_rule_hits_total",
                "nsgd_rule_open_flows",
                "nsgd_rule_packets_total",
                "nsgd_rule_bytes_total",
            }
            if detail == "summary"
            else set()
        )


def test_every_label_is_of_a_closed_set_or_of_the_documents() -> None:
    """Whatever the traffic, the number of series is that of rules, interfaces and tags declared."""
    declared = {"nsg", "rule", "nic", "tag"}
    closed = {"direction", "access", "reason", "result", "verdict", "mode", "worker", "queue", "le"}
    one = {"version", "engine", "roles", "hash", "cloud"}  # a value at a time
    text = expose(dataclasses.replace(SNAPSHOT, flow_log=STATE))
    families = list(text_string_to_metric_families(text))
    found = {
        label
        for family in families
        for sample in family.samples
        if sample.name.startswith("nsgd_")
        for label in sample.labels
    }
    assert found <= declared | closed | one


def test_names_are_escaped() -> None:
    """A name with quotes, backslashes or a line break is one label value."""
    name = 'a"b\\c\nd'
    hits = (RuleHits(name, Direction.INBOUND, "r", Access.ALLOW, 1),)
    text = expose(dataclasses.replace(SNAPSHOT, rule_hits=hits))
    (family,) = (
        f for f in text_string_to_metric_families(text) if f.name.startswith("nsgd_rule_hits")
    )
    assert family.samples[0].labels["nsg"] == name


def test_promtool_has_no_complaint() -> None:
    """The names follow Prometheus' rules, by its own linter."""
    promtool = program("prometheus", "promtool")
    flows = tuple(FlowCount(d, a, r, 1) for d in Direction for a in Access for r in Reason)
    text = expose(dataclasses.replace(SNAPSHOT, flows=flows))
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


@contextlib.contextmanager
def serving(
    collect: Callable[[], Snapshot] = lambda: SNAPSHOT,
    timeout_s: float = 10.0,
    after_large: Callable[[], None] = lambda: None,
) -> Iterator[MetricsServer]:
    """A server on a free port."""
    server = start_metrics_server("127.0.0.1", 0, collect, timeout_s, after_large)
    try:
        yield server
    finally:
        server.close()


def get(server: MetricsServer, path: str = "/metrics", **headers: str) -> tuple[int, bytes]:
    """Status and body of one request."""
    url = f"http://127.0.0.1:{server.port}{path}"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=5) as got:
            return got.status, got.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_scrape() -> None:
    """Each scrape sees a fresh snapshot."""
    generations = iter([7, 8])
    with serving(lambda: dataclasses.replace(SNAPSHOT, generation=next(generations))) as server:
        for generation in (7, 8):
            status, body = get(server)
            assert status == 200
            assert f"\nnsgd_policy_generation {generation}.0\n".encode() in body


def test_scrape_as_prometheus_asks() -> None:
    """Compressed, and in the OpenMetrics format where that is wanted."""
    accept = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"
    with serving() as server:
        status, body = get(server, **{"Accept": accept, "Accept-Encoding": "gzip"})
    assert status == 200
    assert gzip.decompress(body).endswith(b"\n# EOF\n")


def test_other_paths_are_not_found() -> None:
    """Only /metrics, which / is too for a reader who guesses."""
    with serving() as server:
        assert get(server, "/")[0] == 200
        assert get(server, "/metrics?x=1")[0] == 200
        status, body = get(server, "/admin")
    assert status == 404
    assert b"The metrics are at /metrics." in body


def test_a_failing_collection(caplog: pytest.LogCaptureFixture) -> None:
    """The scrape fails and the log says why; the next one can succeed."""
    answers: Iterator[RuntimeError | Snapshot] = iter(
        [RuntimeError("no policy is in force yet"), SNAPSHOT]
    )

    def collect() -> Snapshot:
        answer = next(answers)
        if isinstance(answer, RuntimeError):
            raise answer
        return answer

    with serving(collect) as server:
        status, body = get(server)
        assert status == 500
        assert b"no policy" not in body
        assert "no policy is in force yet" in caplog.text
        assert get(server)[0] == 200


def test_an_address_in_use() -> None:
    """The error names the address, so that the user finds the other program."""
    with serving() as server, pytest.raises(OSError, match="in use") as caught:
        start_metrics_server("127.0.0.1", server.port, lambda: SNAPSHOT)
    assert f"metrics cannot be served at 127.0.0.1:{server.port}: " in str(caught.value)


def test_an_address_that_is_not_ours() -> None:
    """The same for IPv6, in brackets."""
    with pytest.raises(OSError, match=r"metrics cannot be served at \[2001:db8::1\]:0: "):
        start_metrics_server("2001:db8::1", 0, lambda: SNAPSHOT)


def test_ipv6() -> None:
    """IPv6 addresses can be served."""
    try:
        server = start_metrics_server("::1", 0, lambda: SNAPSHOT)
    except OSError:
        pytest.skip("this machine has no ::1")
    with contextlib.closing(server), socket.create_connection(("::1", server.port), 5) as client:
        client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert client.recv(12) == b"HTTP/1.0 200"


def test_held_connections_do_not_keep_a_scrape_out() -> None:
    """The oldest gives way, and closing does not wait for the others."""
    before = threading.active_count()
    with serving(timeout_s=60) as server, contextlib.ExitStack() as held:
        for _ in range(40):
            held.enter_context(socket.create_connection(("127.0.0.1", server.port), 5))
        assert get(server)[0] == 200
        assert threading.active_count() - before < 40
    assert threading.active_count() == before


def test_a_silent_client_is_cut_off() -> None:
    """A connection without a request ends by itself."""
    with (
        serving(timeout_s=0.1) as server,
        socket.create_connection(("127.0.0.1", server.port), 5) as client,
    ):
        assert client.recv(1) == b""


def test_a_client_that_goes_away_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """It is no event for the daemon."""
    with serving() as server:
        with socket.create_connection(("127.0.0.1", server.port), 5) as client:
            client.sendall(b"GET /metrics HTTP/1.0\r\n")
        assert get(server)[0] == 200
    assert caplog.text == ""


def test_memory_is_given_back_after_a_large_scrape() -> None:
    """Once for each, whether or not the client has waited for it; never after a small one."""
    hits = tuple(
        RuleHits(f"group{number}", Direction.INBOUND, "r" * 80, Access.ALLOW, number)
        for number in range(8000)
    )
    snapshots = iter([SNAPSHOT, *[dataclasses.replace(SNAPSHOT, rule_hits=hits)] * 2, SNAPSHOT])
    calls: queue.SimpleQueue[None] = queue.SimpleQueue()
    with serving(lambda: next(snapshots), after_large=lambda: calls.put(None)) as server:
        assert len(get(server)[1]) < 1 << 20
        assert calls.empty()
        assert len(get(server)[1]) > 1 << 20
        calls.get(timeout=5)
        with socket.create_connection(("127.0.0.1", server.port), 5) as client:
            client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        calls.get(timeout=5)
        assert len(get(server)[1]) < 1 << 20
        assert calls.empty()


DOCUMENTED = re.compile(
    r"^\| `(nsgd_\w+)` \| (counter|gauge|histogram) \|([^|]*)\| ([^|]+) \|$", re.MULTILINE
)
PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def test_every_metric_is_documented() -> None:
    """By name, type and labels, in the order of no matter what; and no other is."""
    tags = ServiceTagsState("Public", 7, 3.0, False, {"Storage": 4})
    whole = dataclasses.replace(SNAPSHOT, flow_log=STATE, service_tags=tags)
    exposed = set()
    for family in text_string_to_metric_families(expose(whole)):
        name = {"counter": f"{family.name}_total"}.get(family.type, family.name)
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        if name.startswith("nsgd_"):
            exposed.add((name, family.type, frozenset(labels)))
    documented = {
        (name, kind, frozenset(re.findall(r"`(\w+)`", labels)))
        for name, kind, labels, _ in DOCUMENTED.findall(PAGE.read_text())
    }
    assert documented == exposed


def test_documents_name_no_other_metric() -> None:
    """Nor do other pages; a star stands for several."""
    rows = {name for name, *_ in DOCUMENTED.findall(PAGE.read_text())}
    rows |= {f"nsgd_decision_duration_seconds_{end}" for end in ("bucket", "sum", "count")}
    for page in (*PAGE.parent.glob("*.md"), PAGE.parents[1] / "README.md"):
        named = set(re.findall(r"\bnsgd_[a-z_]+[a-z](?![a-z_]*\*)\b", page.read_text()))
        assert named <= rows, page.name
