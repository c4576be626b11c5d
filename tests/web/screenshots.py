"""``python -m tests.web.screenshots [DIR]``: the pictures of docs/web.md, from a running lab.

As root; takes half a minute. The pages are those of docs/examples/three-tier.yaml.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import NamedTuple

from tests.web.chromium import browser
from tests.web.live import URL, three_tiers

IMAGES = Path(__file__).parents[2] / "docs" / "images"
MAXIMUM_BYTES = 200_000
_RETRIES_S = 8.0  # in which those that are denied try again
_VERIFY = "/verify?direction=Inbound&protocol=TCP&local=10.0.1.5:80&remote=203.0.113.10:*"


class Picture(NamedTuple):
    """One of the pictures."""

    name: str
    path: str
    width: int = 1200
    height: int = 860
    dark: bool = False


PICTURES = (
    Picture("web-overview.png", "/"),
    Picture("web-networks.png", "/networks", height=800),
    Picture("web-interface-dark.png", "/nics/web2", dark=True, height=1000),
    Picture("web-verify.png", _VERIFY, height=1000),
    Picture("web-denials.png", "/denials"),
    Picture("web-flows-dark.png", "/flows", width=1280, dark=True, height=760),
    Picture("web-denials-phone.png", "/denials", width=390, height=844),
    Picture("web-interface-phone-dark.png", "/nics/web2", width=390, height=844, dark=True),
)


def main() -> int:
    """Take all of them."""
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES
    directory.mkdir(parents=True, exist_ok=True)
    with three_tiers() as net:
        for name in ("acct", "timestamp"):
            net.gateway.run(["sysctl", "-qw", f"net.netfilter.nf_conntrack_{name}=1"])
        net.start(net.example())
        net.serve()
        net.traffic()
        time.sleep(_RETRIES_S)
        with browser(net.gateway.popen) as tab:
            for picture in PICTURES:
                tab.look(width=picture.width, height=picture.height, dark=picture.dark)
                tab.open(URL + picture.path)
                path = directory / picture.name
                tab.screenshot(path)
                size = path.stat().st_size
                print(f"{path}: {size} bytes")
                assert size < MAXIMUM_BYTES, path
    return 0


if __name__ == "__main__":
    sys.exit(main())
