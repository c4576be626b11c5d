"""Stands in for ``nsgd``: docs/examples/web-servers.yaml as a handful of nft rules, with counters.

    fake_nsgd.py FAULT run|status OPTIONS

FAULT is none, or what it does wrong: leak lets one denied service through, miscount loses a
counter, die ends as soon as it is ready, mute never becomes ready.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

GROUP = "MyNSG"
RULES = (
    ("Outbound", "AllowVnetOutBound", "Allow"),
    ("Outbound", "AllowInternetOutBound", "Allow"),
    ("Inbound", "AllowWebFromInternet", "Allow"),
    ("Inbound", "AllowVnetInBound", "Allow"),
    ("Inbound", "DenyAllInBound", "Deny"),
)
RULESET = """
table inet fake {
  %(counters)s
  chain forward {
    type filter hook forward priority 0; policy accept;
    ct state established accept
    iifname "veth-*" oifname "veth-*" counter name AllowVnetOutBound
    iifname "veth-*" oifname != "veth-*" counter name AllowInternetOutBound
    iifname "veth-*" oifname "veth-*" counter name AllowVnetInBound accept
    iifname "veth-*" accept
    oifname "veth-web" tcp dport { 80, 443 } counter name AllowWebFromInternet accept
    %(leak)s
    counter name DenyAllInBound drop
  }
}
"""


def read_hits(fault: str) -> list[dict[str, object]]:
    """What the kernel counted, in the words of a status."""
    output = subprocess.run(
        ["nft", "-j", "list", "counters"], check=True, capture_output=True
    ).stdout
    packets = {
        entry["counter"]["name"]: entry["counter"]["packets"]
        for entry in json.loads(output)["nftables"]
        if "counter" in entry
    }
    if fault == "miscount":
        packets["DenyAllInBound"] -= min(1, packets["DenyAllInBound"])
    return [
        {
            "networkSecurityGroup": GROUP,
            "direction": direction,
            "rule": rule,
            "access": access,
            "hits": packets[rule],
        }
        for direction, rule, access in RULES
    ]


def run(fault: str, status: Path) -> int:
    """Enforce until SIGTERM, and write the status down again and again."""
    leak = 'oifname "veth-worker" tcp dport 22 counter name DenyAllInBound accept'
    counters = "\n".join(f"counter {rule} {{ }}" for _, rule, _ in RULES)
    ruleset = RULESET % {"counters": counters, "leak": leak if fault == "leak" else ""}
    subprocess.run(["nft", "-f", "-"], check=True, input=ruleset.encode())
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    while True:
        state = "starting" if fault == "mute" else "running"
        text = json.dumps({"state": state, "generation": 1, "ruleHits": read_hits(fault)})
        status.with_suffix(".new").write_text(text)
        status.with_suffix(".new").rename(status)
        if fault == "die":
            time.sleep(0.3)
            print("fake trouble", file=sys.stderr)
            return 9
        time.sleep(0.05)


def main() -> int:
    """Read the few options that the lab gives."""
    fault, verb, *options = sys.argv[1:]
    status = Path(options[options.index("--runtime-dir") + 1]) / "status.json"
    if verb == "run":
        return run(fault, status)
    if not status.exists():
        return 4
    print(status.read_text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
