"""The small policy of a self-test, and what it means for each probe."""

from __future__ import annotations

import json

SERVER = {4: "10.0.1.4", 6: "fd00:10:0:1::4"}
CLIENT = {4: "203.0.113.10", 6: "2600:1f00::10"}
SERVER_LINK = "to-server"

# Protocol and port: whether the policy allows it.
PORTS = {("tcp", 80): True, ("tcp", 81): False, ("udp", 53): True, ("udp", 54): False}


def document(engine: str, failure_mode: str) -> bytes:
    """One server behind its link, in one subnet with one group."""
    rules = [
        {
            "name": f"Allow{protocol}{port}",
            "priority": 100 + number,
            "direction": "Inbound",
            "access": "Allow",
            "protocol": protocol.capitalize(),
            "sourceAddressPrefix": "*",
            "sourcePortRange": "*",
            "destinationAddressPrefix": "*",
            "destinationPortRange": str(port),
        }
        for number, ((protocol, port), allowed) in enumerate(PORTS.items())
        if allowed
    ]
    made = {
        "daemon": {
            "engine": engine,
            "failureMode": failure_mode,
            "metricsListen": "127.0.0.1:0",
            "adoptSeconds": 0,
        },
        "virtualNetworks": [
            {
                "name": "selftest",
                "addressSpace": ["10.0.0.0/16", "fd00:10::/48"],
                "subnets": [
                    {
                        "name": "one",
                        "addressPrefixes": ["10.0.1.0/24", "fd00:10:0:1::/64"],
                        "networkSecurityGroup": "web",
                    }
                ],
            }
        ],
        "networkInterfaces": [
            {
                "name": "server",
                "subnet": "selftest/one",
                "privateIPAddresses": list(SERVER.values()),
                "link": SERVER_LINK,
            }
        ],
        "networkSecurityGroups": [{"name": "web", "securityRules": rules}],
    }
    return json.dumps(made).encode()
