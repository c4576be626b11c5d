"""Flow records and documents of our own, for tests."""

from __future__ import annotations

from typing import Any

from nsgd.flowlog.record import FlowRecord, FlowState
from nsgd.model.rule import Direction

TIME_MS = 1_700_000_000_123
BEGIN = FlowRecord(
    TIME_MS,
    "10.0.1.4",
    "203.0.113.10",
    40000,
    443,
    6,
    Direction.OUTBOUND,
    FlowState.BEGIN,
    0,
    0,
    0,
    0,
    mac_address="02ABCDEF0123",
    target="/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/virtualNetworks/lab",
    acl_id="5b0a1c7e-0000-5000-8000-000000000001",
    network_security_group="web",
    rule="AllowHttps",
)
END = BEGIN._replace(
    time_ms=TIME_MS + 5000,
    state=FlowState.END,
    packets_sent=5,
    bytes_sent=400,
    packets_received=4,
    bytes_received=5200,
)
DENIED = BEGIN._replace(
    time_ms=TIME_MS + 1,
    source="2001:db8::9",
    destination="fd00:10:0:1::4",
    protocol=17,
    direction=Direction.INBOUND,
    state=FlowState.DENY,
    rule="DefaultRule_DenyAllInBound",
)
PING = BEGIN._replace(source_port=0, destination_port=0, protocol=1, rule="AllowPing")


def nsg_document(version: int, *tuples: str, rule: str = "UserRule_AllowWeb") -> dict[str, Any]:
    """An NSG flow log with one group of tuples."""
    return {
        "records": [
            {
                "time": "2020-01-02T03:04:05.0000000Z",
                "systemId": "00000000-0000-0000-0000-000000000001",
                "category": "NetworkSecurityGroupFlowEvent",
                "resourceId": "/SUBSCRIPTIONS/S/RESOURCEGROUPS/G/PROVIDERS/MICROSOFT.NETWORK"
                "/NETWORKSECURITYGROUPS/WEB",
                "operationName": "NetworkSecurityGroupFlowEvents",
                "properties": {
                    "Version": version,
                    "flows": [
                        {
                            "rule": rule,
                            "flows": [{"mac": "000D3A000001", "flowTuples": list(tuples)}],
                        }
                    ],
                },
            }
        ]
    }
