"""Draw small files of service tags, in the format of Microsoft's download.

They hold what makes such a file hard to read: names with a dot that is no region, names that
begin another, prefixes inside one another in one tag and across tags, tags of one family, and
the names of tags that Azure computes, whose prefixes here mean nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from .choose import Chooser, Written, chance, pick, read_network

CLOUDS = ("Public", "AzureGovernment", "AzureChinaCloud")
# TAGS, section 5: some with a region, two whose dot is none, one that begins the other's name.
NAMES = (
    "Storage",
    "Storage.WestUS",
    "Storage.West",
    "AzureCloud.centralfrance",
    "AzureCloud",
    "AzureFrontDoor.Frontend",
    "AzureActiveDirectory.ServiceEndpoint",
    "M365ManagementActivityApi",
)
# In a file these change nothing: a rule that names them means the computed tag.
COMPUTED_NAMES = (
    "Internet",
    "VirtualNetwork",
    "AzureLoadBalancer",
    "AzurePlatformDNS",
    "AzurePlatformIMDS",
    "AzurePlatformLKM",
)
PREFIXES = (
    "20.40.0.0/16",
    "20.40.128.0/17",
    "20.40.0.0/24",
    "52.0.0.0/9",
    "52.1.2.3/32",
    "8.8.8.8/31",
    "203.0.113.0/25",
    "168.63.129.16/32",
    "20.118.99.224/32",
    "169.254.169.254/32",
    "192.168.64.0/18",
    "2603:1000::/24",
    "2603:1000:4::/46",
    "2603:1000:4::40/122",
    "2a01:10::/47",
    "2a02:20::/64",
    "fd00:10::/63",
)


def draw_tag_files(chooser: Chooser, own_prefixes: Sequence[str]) -> dict[str, Written]:
    """Files by cloud, most often one; *own_prefixes* are of the document that will use them."""
    pool = [*PREFIXES, *dict.fromkeys(str(read_network(text)) for text in own_prefixes)]
    pool = [text for text in pool if not text.endswith("/0")]
    clouds = CLOUDS[: pick(chooser, (1, 1, 1, 2, 3))]
    return {cloud: _draw_file(chooser, cloud, pool) for cloud in clouds}


def tag_names(file: Written) -> list[str]:
    """The names in a file that rules reach."""
    names = [str(entry["name"]) for entry in file["values"]]
    return [name for name in names if name not in COMPUTED_NAMES]


def tag_prefixes(file: Written, name: str) -> list[str]:
    """The prefixes of one tag, whose name is spelled in any way."""
    return [
        text
        for entry in file["values"]
        if entry["name"].lower() == name.lower()
        for text in entry["properties"]["addressPrefixes"]
    ]


def _draw_file(chooser: Chooser, cloud: str, pool: Sequence[str]) -> Written:
    values: list[Written] = []
    for name in NAMES:
        if not values or chance(chooser, 60):
            values.append(_draw_tag(chooser, name, values, pool))
    if chance(chooser, 30):
        values += [
            _draw_tag(chooser, name, [], pool) for name in COMPUTED_NAMES if chance(chooser, 60)
        ]
    return {"changeNumber": 1 + chooser.integer(400), "cloud": cloud, "values": values}


def _draw_tag(
    chooser: Chooser, name: str, before: Sequence[Written], pool: Sequence[str]
) -> Written:
    prefixes: list[str] = []
    if before and chance(chooser, 40):  # a region's are most often some of its service's
        whole = pick(chooser, before)["properties"]["addressPrefixes"]
        prefixes += whole[: 1 + chooser.integer(len(whole) - 1)]
    for _ in range(1 + chooser.integer(4)):
        prefixes.append(pick(chooser, pool))
    version = _one_family(chooser)
    kept = [text for text in prefixes if version is None or (":" in text) == (version == 6)]
    service, _, region = name.partition(".")
    return {
        "name": name,
        "id": name,
        "properties": {
            "changeNumber": 1 + chooser.integer(40),
            "region": region.lower(),
            "regionId": 0,
            "platform": "Azure",
            "systemService": service,
            "addressPrefixes": [*dict.fromkeys(kept or prefixes)],
            "networkFeatures": ["API", "NSG", "UDR", "FW"],
        },
    }


def _one_family(chooser: Chooser) -> int | None:
    """The one family that a tag has; None for both."""
    return pick(chooser, (None, None, None, None, 4, 6))
