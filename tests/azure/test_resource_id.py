"""Resource ids."""

from __future__ import annotations

import pytest

from nsgd.azure.resource_id import ResourceId, parse_resource_id

BASE = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Network"


def test_parts() -> None:
    """Type and names alternate after the namespace."""
    found = parse_resource_id(f"{BASE}/virtualNetworks/hub/subnets/web")
    assert found == ResourceId(
        "s", "rg", "Microsoft.Network/virtualNetworks/subnets", ("hub", "web")
    )
    assert found.name == "web"
    assert found.parent == ResourceId("s", "rg", "Microsoft.Network/virtualNetworks", ("hub",))


def test_case_does_not_matter() -> None:
    """Flow logs write ids in upper case."""
    lower = parse_resource_id(f"{BASE}/virtualNetworks/hub")
    upper = parse_resource_id(f"{BASE}/virtualNetworks/hub".upper())
    assert lower is not None
    assert upper is not None
    assert lower.may_be(upper)
    assert upper.is_type("microsoft.network/virtualnetworks")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "web",
        "/subscriptions/s/resourceGroups/rg",
        f"{BASE}/virtualNetworks",
        f"{BASE}/virtualNetworks/hub/subnets",
        f"{BASE}/virtualNetworks//",
        "[resourceId('Microsoft.Network/virtualNetworks', 'hub')]",
        f"x{BASE}/virtualNetworks/hub",
    ],
)
def test_no_ids(text: str) -> None:
    """Anything else is none."""
    assert parse_resource_id(text) is None


def test_what_may_be_one() -> None:
    """Groups and subscriptions tell apart where both are known."""
    one = ResourceId("s", "rg", "t/u", ("a",))
    assert one.may_be(ResourceId(None, None, "t/u", ("A",)))
    assert not one.may_be(ResourceId("s", "rg2", "t/u", ("a",)))
    assert not one.may_be(ResourceId("s2", "rg", "t/u", ("a",)))
    assert not one.may_be(ResourceId("s", "rg", "t/u", ("b",)))
