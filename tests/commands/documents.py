"""Documents of which tests of several verbs need variants."""

from __future__ import annotations


def administered(*rules: str) -> str:
    """A virtual network, v, of one subnet, s, to which security admin rules apply.

    Args:
        rules: Each as a flow mapping of YAML; its lines but the first stand at any depth.
    """
    listed = "\n".join(f"          - {rule}" for rule in rules)
    return f"""\
virtualNetworks:
  - {{name: v, addressSpace: [10.0.0.0/16], subnets: [{{name: s, addressPrefixes: [10.0.1.0/24]}}]}}
securityAdminConfigurations:
  - name: base
    ruleCollections:
      - name: c
        appliesTo: [v]
        rules:
{listed}
"""
