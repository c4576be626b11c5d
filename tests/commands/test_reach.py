"""The verb reach as its user sees it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nsgd.cli import main
from tests.commands.documents import administered

EXAMPLES = Path(__file__).parent.parent.parent / "docs" / "examples"
EXAMPLE = EXAMPLES / "three-tier.yaml"
PAGE = (EXAMPLES.parent / "policy-analysis.md").read_text()


def test_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    """As docs/policy-analysis.md shows it."""
    assert main(["reach", str(EXAMPLE), "--from", "Internet", "--rules"]) == 0
    block = PAGE.split("three-tier.yaml --from Internet --rules\n")[1].split("```")[0]
    assert capsys.readouterr().out == block


def test_the_assertions_of_the_example(capsys: pytest.CaptureFixture[str]) -> None:
    """They hold, and those that the page shows are among them."""
    suite = EXAMPLES / "three-tier.assertions.yaml"
    assert main(["reach", str(EXAMPLE), "--assert", str(suite)]) == 0
    block = PAGE.split("--assert docs/examples/three-tier.assertions.yaml\n")[1].split("```")[0]
    assert capsys.readouterr().out == block
    shown = PAGE.split("```yaml\nassertions:\n")[1].split("```")[0]
    for entry in shown.split("  - name")[1:]:
        assert entry in suite.read_text()


def test_an_assertion_that_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """1, with document, line, the counterexample and the rules that decide it."""
    suite = tmp_path / "suite.yaml"
    suite.write_text(
        "assertions:\n"
        "- {from: Internet, to: lab, port: 22, expect: Deny}\n"
        "- {from: web1, to: app2, protocol: Tcp, expect: Allow, of: any}\n"
        "- {from: web1, to: web1, expect: Deny}\n"
        "- {from: web1, to: web2, port: 443, expect: Allow}\n"
    )
    assert main(["reach", str(EXAMPLE), "--assert", str(suite)]) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"{suite}:2: assertions[0]: fails: Tcp 203.0.113.7:50000 > 10.0.1.1:22 is allowed"
        " (web: AllowSshFromIPv4)",
        f"{suite}:3: assertions[1]: fails: all such flows are denied, such as"
        " Tcp 10.0.1.4:50000 > 10.0.2.5:443 (web: AllowVnetOutBound, app: DenyVnetInbound)",
        f"{suite}:4: assertions[2]: fails: there is no such flow that the policy judges",
        "1 of 4 assertions hold",
    ]
    assert main(["reach", str(EXAMPLE), "--assert", str(suite), "-o", "json"]) == 1
    told = json.loads(capsys.readouterr().out)["assertions"]
    assert [each["outcome"] for each in told] == ["fails", "fails", "fails", "holds"]
    assert told[0]["inbound"]["ruleName"] == "securityRules/AllowSshFromIPv4"


def test_expect(capsys: pytest.CaptureFixture[str]) -> None:
    """An assertion on the command line."""
    question = ["reach", str(EXAMPLE), "--from", "Internet", "--to", "data1", "--port", "1433"]
    assert main([*question, "--expect", "Deny"]) == 0
    assert main([*question, "--expect", "Allow"]) == 1
    assert "is denied (data: DenySql)" in capsys.readouterr().out


def test_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """IPv6's ICMP has its own number, and packets are of the row's version."""
    asked = ["--from", "Internet", "--to", "web1", "--protocol", "Icmp", "-o", "json"]
    assert main(["reach", str(EXAMPLE), *asked]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["ipVersion"] for row in rows] == [4, 6]
    assert [row["flows"][0]["protocols"] for row in rows] == [["1"], ["58"]]
    assert [row["flows"][0]["witness"]["protocol"] for row in rows] == ["Icmp", "Icmp"]
    assert rows[0]["to"] == [{"kind": "networkInterface", "name": "web1"}]


def test_summaries(capsys: pytest.CaptureFixture[str]) -> None:
    """What passes between all, and what between some resources of two ends."""
    asked = ["--level", "subnet", "--from", "lab/web", "--to", "lab/app", "--protocol", "Tcp"]
    assert main(["reach", str(EXAMPLE), *asked]) == 0
    assert capsys.readouterr().out.splitlines()[1].split() == [
        *("lab/web", "lab/app", "4,", "6", "Tcp", "8080", "some", "only")
    ]


def test_denied_and_packets(capsys: pytest.CaptureFixture[str]) -> None:
    """--denied has a column of its own, and --witness a line for each packet."""
    asked = ["--from", "web1", "--to", "web2", "--port", "22", "--denied", "--witness", "--rules"]
    assert main(["reach", str(EXAMPLE), *asked]) == 0
    shown = capsys.readouterr().out
    assert "Deny    Tcp" in shown
    assert "web2: DenySshFromWeb1" in shown
    assert "such as Tcp 10.0.1.4:50000 > 10.0.1.5:22" in shown


def test_a_tag_that_no_rule_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is looked up where those of rules are."""
    tags = tmp_path / "tags.json"
    properties = {"addressPrefixes": ["203.0.113.0/25"]}
    value = {"name": "Storage", "id": "Storage", "properties": properties}
    tags.write_text(json.dumps({"changeNumber": 1, "cloud": "Public", "values": [value]}))
    asked = ["--service-tags", str(tags), "--from", "storage", "--to", "web2"]
    assert main(["reach", str(EXAMPLE), *asked]) == 0
    assert capsys.readouterr().out.splitlines()[1].split() == ["Storage", "web2", "4", "Tcp", "443"]


def test_too_much_for_the_budget(capsys: pytest.CaptureFixture[str]) -> None:
    """6, and the ends are named."""
    assert main(["reach", str(EXAMPLE), "--budget", "1"]) == 6
    assert "undetermined: too many cases for --budget" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--from", "wbe1"], "'wbe1' is no end of a flow; did you mean web1?"),
        (["--from", "web"], None),  # the subnet's name alone
        (["--from", "nic:lab"], "'lab' is no end of a flow"),
        (["--port", "70000"], "port: '70000' is no port"),
        (["--protocol", "Icmp", "--port", "1"], "'Icmp' has no ports; leave them out"),
        (["--protocol", "58"], "protocol: write Icmp"),
        (["--expect", "Deny"], "--expect needs --from and --to"),
        (["--assert", "x.yaml", "--from", "web1"], "--assert has its questions in the file"),
        (["--denied", "--level", "tag"], "--denied goes with --level nic"),
    ],
)
def test_wrong_usage(
    words: list[str], message: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """2, and what is wrong with a way out."""
    assert main(["reach", str(EXAMPLE), *words]) == (0 if message is None else 2)
    assert (message or "") in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("assertions: []", "assertions is missing"),
        ("assertions: [{from: a, to: b}]", "expect is missing"),
        ("assertions: [{from: a, to: web1, expect: Deny}]", "'a' is no end of a flow"),
        ("assertions: [{from: web1, to: web2, expect: Maybe}]", "'Maybe' is not allowed"),
        ("assertions: [{from: web1, to: web2, expect: Deny, port: x}]", "port: 'x' is no port"),
        ("assertions: [{from: [web1, true], to: web2, expect: Deny}]", "neither text nor a number"),
        ("assertion: []", "unknown key 'assertion'"),
    ],
)
def test_refused_assertions(
    text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """3, with place and way out, as documents are."""
    suite = tmp_path / "suite.yaml"
    suite.write_text(text)
    assert main(["reach", str(EXAMPLE), "--assert", str(suite)]) == 3
    assert message in capsys.readouterr().err


def test_without_a_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Groups alone reach nobody."""
    path = tmp_path / "groups.yaml"
    path.write_text("networkSecurityGroups: [{name: g}]\n")
    assert main(["reach", str(path)]) == 3
    assert "declare no virtual network" in capsys.readouterr().err


def test_a_name_of_several_things(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is refused with the words that tell them apart."""
    path = tmp_path / "p.yaml"
    path.write_text(
        "virtualNetworks: [{name: web, addressSpace: [10.0.0.0/16], subnets:"
        " [{name: s, addressPrefixes: [10.0.0.0/24]}]}]\n"
        "networkInterfaces: [{name: web, subnet: web/s, privateIPAddresses: [10.0.0.4]}]\n"
    )
    assert main(["reach", str(path), "--from", "web"]) == 2
    assert "write nic:web or vnet:web" in capsys.readouterr().err
    assert main(["reach", str(path), "--from", "vnet:web", "--to", "nic:web"]) == 0


def test_what_is_not_enforced_is_noted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Audit mode and failsafe let pass what reach proves to be denied."""
    path = tmp_path / "p.yaml"
    policy = "virtualNetworks: [{name: v, addressSpace: [10.0.0.0/16]}]\n"
    failsafe = "{protocol: Tcp, destinationPortRange: 22, sourceAddressPrefix: 198.51.100.0/24}"
    path.write_text(f"{policy}daemon: {{mode: audit, failsafe: [{failsafe}]}}\n")
    main(["reach", str(path)])
    shown = capsys.readouterr()
    assert shown.err.splitlines() == [
        "note: daemon.mode is audit, so what is denied here passes all the same",
        "note: daemon.failsafe lets Tcp 22 from 198.51.100.0/24 pass, also where it is denied here",
    ]
    path.write_text(policy)
    main(["reach", str(path)])
    assert capsys.readouterr().err == ""


def test_tags_that_administrators_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They are ends of the level of tags, as those of groups are."""
    tags = tmp_path / "ServiceTags_Public_20250101.json"
    tags.write_text(
        json.dumps(
            {
                "changeNumber": 1,
                "cloud": "Public",
                "values": [
                    {
                        "name": "Sql",
                        "id": "Sql",
                        "properties": {
                            "changeNumber": 1,
                            "region": "",
                            "platform": "Azure",
                            "systemService": "AzureSQL",
                            "addressPrefixes": ["20.0.0.0/16"],
                        },
                    }
                ],
            }
        )
    )
    path = tmp_path / "p.yaml"
    path.write_text(
        administered(
            """{name: NoSql, priority: 1, direction: Inbound, access: Deny, protocol: Udp,
             sources: [Sql], sourcePortRanges: ['*'],
             destinations: ['*'], destinationPortRanges: ['*']}"""
        )
    )
    asked = ["reach", str(path), "--service-tags", str(tags), "--level", "tag", "-o", "json"]
    assert main(asked) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert "Sql" in json.dumps(rows)
