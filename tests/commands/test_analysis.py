"""The verbs diff and lint as their user sees them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nsgd.cli import main
from tests.commands.documents import administered

EXAMPLE = Path(__file__).parent.parent.parent / "docs" / "examples" / "three-tier.yaml"


@pytest.fixture
def changed(tmp_path: Path) -> Path:
    """The example with SSH from private addresses only."""
    text = EXAMPLE.read_text()
    assert text.count("sourceAddressPrefix: 0.0.0.0/0") == 1
    path = tmp_path / "new.yaml"
    path.write_text(
        text.replace("sourceAddressPrefix: 0.0.0.0/0", "sourceAddressPrefix: 10.0.0.0/8")
    )
    return path


def test_equal_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    """No output, and 0."""
    assert main(["diff", str(EXAMPLE), str(EXAMPLE)]) == 0
    assert capsys.readouterr() == ("", "")


def test_a_change(changed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As docs/policy-analysis.md shows it."""
    assert main(["diff", str(EXAMPLE), str(changed)]) == 1
    shown = capsys.readouterr().out
    page = (EXAMPLE.parent.parent / "policy-analysis.md").read_text()
    block = page.split("new-policy.yaml\n")[1].split("```")[0]
    assert shown == block
    assert "web2" not in shown  # its own group lets no SSH in


def test_a_change_as_json(changed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With every prefix, and the witness in IP flow verify's words."""
    assert main(["diff", str(EXAMPLE), str(changed), "-o", "json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert not answer["isEqual"]
    assert answer["undetermined"] == answer["onlyInOld"] == answer["onlyInNew"] == []
    of_web1 = next(
        each
        for each in answer["differences"]
        if each["sites"][0]["new"] == {"kind": "networkInterface", "name": "web1"}
    )
    (change,) = of_web1["changes"]
    assert change["old"] == {
        "access": "Allow",
        "ruleName": "securityRules/AllowSshFromIPv4",
        "networkSecurityGroup": "web",
    }
    (box,) = change["boxes"]
    assert box["protocols"] == ["6"]
    assert "10.0.1.0/30" in box["destinations"]  # not 10.0.1.5, which is web2
    assert "10.0.1.4/31" not in box["destinations"]
    assert box["destinationPorts"] == ["22"]
    assert "11.0.0.0/8" in box["sources"]
    assert "10.0.0.0/8" not in box["sources"]
    assert change["witness"] == {
        "protocol": "Tcp",
        "source": "203.0.113.7",
        "destination": "10.0.1.4",
        "sourcePort": 50000,
        "destinationPort": 22,
    }


def test_old_of_several_documents(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--old takes them; the others are NEW. What of the daemon differs is noted."""
    more, last = tmp_path / "more.yaml", tmp_path / "new.yaml"
    more.write_text("networkSecurityGroups: [{name: spare}]\n")
    last.write_text(EXAMPLE.read_text().replace("\ndaemon:\n", "\ndaemon:\n  adoptSeconds: 7\n"))
    assert last.read_text() != EXAMPLE.read_text()
    assert main(["diff", str(last), "--old", str(EXAMPLE), str(more)]) == 0
    assert "daemon sections differ" in capsys.readouterr().err


def test_beyond_the_budget(changed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is said where, and the exit code is its own."""
    assert main(["diff", str(EXAMPLE), str(changed), "--budget", "1"]) == 6
    assert "network interface web1" in (shown := capsys.readouterr().out)
    assert "undetermined: too many cases" in shown


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([EXAMPLE], "name OLD and NEW"),
        ([EXAMPLE, EXAMPLE, EXAMPLE], "name OLD and NEW"),
        ([EXAMPLE, "--against-running", "--old", EXAMPLE], "name NEW alone"),
    ],
)
def test_wrong_usage(words: list[object], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Said before anything is read."""
    assert main(["diff", *map(str, words)]) == 2
    assert text in capsys.readouterr().err


def test_refused_documents(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As check refuses them."""
    path = tmp_path / "bad.yaml"
    path.write_text("virtualNetworks: 3\n")
    assert main(["diff", str(EXAMPLE), str(path)]) == 3
    assert "bad.yaml:1: virtualNetworks" in capsys.readouterr().err


# -- lint ------------------------------------------------------------------------------

SSH = "AllowSshFromIPv4 of web opens TCP 22 (SSH) to the Internet"


def test_lint(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """As docs/policy-analysis.md shows it: by line, with severity, way out and packet."""
    monkeypatch.chdir(EXAMPLE.parent.parent.parent)
    assert main(["lint", "docs/examples/three-tier.yaml"]) == 1
    page = Path("docs/policy-analysis.md").read_text()
    block = page.split("# nsgd lint docs/examples/three-tier.yaml\n")[1].split("```")[0]
    assert capsys.readouterr().out == block.replace(" \\\n    ", " ")


def test_lint_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is no error does not fail; options go before the file."""
    settings = tmp_path / "lint.yaml"
    settings.write_text(
        "severities: {denies-probes: ignore}\n"
        "ignore: [{finding: management-port-open, networkSecurityGroup: web}]\n"
    )
    words = ["lint", str(EXAMPLE), "--settings", str(settings)]
    assert main(words) == 0
    assert capsys.readouterr().out == "0 errors, 0 warnings, 0 notes\n"
    assert main([*words, "--severity", "denies-probes=error"]) == 1
    assert "error: DenyVnetInbound of app denies health probes" in capsys.readouterr().out
    assert main(["lint", str(EXAMPLE), "--severity", "all=note"]) == 0
    assert f"note: {SSH}" in capsys.readouterr().out
    settings.write_text("severities: {denies-probe: ignore}\n")
    assert main(words) == 3
    assert "did you mean denies-probes" in capsys.readouterr().err
    with pytest.raises(SystemExit) as caught:
        main(["lint", str(EXAMPLE), "--severity", "ssh=error"])
    assert caught.value.code == 2


def test_lint_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """With everything that the text has."""
    assert main(["lint", str(EXAMPLE), "-o", "json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["undetermined"] == []
    first = answer["findings"][0]
    assert first | {"message": "", "wayOut": "", "witness": None} == {
        "finding": "management-port-open",
        "severity": "error",
        "networkSecurityGroup": "web",
        "rule": "AllowSshFromIPv4",
        "direction": "Inbound",
        "message": "",
        "wayOut": "",
        "document": str(EXAMPLE),
        "line": 67,
        "path": "networkSecurityGroups[0].securityRules[1]",
        "others": [],
        "witness": None,
        "seenFrom": "lab/web",
    }
    assert first["witness"]["destinationPort"] == 22


def test_lint_as_sarif(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What code scanning needs: rules, results by line, what they name beside it."""
    text = EXAMPLE.read_text()
    old = "      # Ping from outside, ICMPv6 too; the Tcp rules above do not allow it.\n"
    assert old in text
    path = tmp_path / "a policy.yaml"
    path.write_text(
        text.replace(
            old,
            "      - {name: Twice, priority: 115, direction: Inbound, access: Allow, protocol: Tcp,"
            " sourceAddressPrefix: 10.0.0.0/8, sourcePortRange: '*',"
            " destinationAddressPrefix: '*', destinationPortRange: '22'}\n",
        )
    )
    assert main(["lint", str(path), "-o", "sarif"]) == 1
    log = json.loads(capsys.readouterr().out)
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert run["invocations"][0] == {"executionSuccessful": True, "toolExecutionNotifications": []}
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("error", "warning", "note")
        (location,) = result["locations"]
        physical = location["physicalLocation"]
        assert physical["artifactLocation"]["uri"] == f"file://{tmp_path}/a%20policy.yaml"
        assert physical["region"]["startLine"] > 1
    twice = next(each for each in run["results"] if each["ruleId"] == "never-matches")
    assert twice["message"]["text"].startswith("Twice of web can never match: AllowSshFromIPv4")
    assert twice["partialFingerprints"] == {"finding/v1": "never-matches/web/Twice"}
    (other,) = twice["relatedLocations"]
    assert other["message"] == {"text": "AllowSshFromIPv4"}
    assert other["physicalLocation"]["region"] == {"startLine": 67}


def test_lint_beyond_the_budget(capsys: pytest.CaptureFixture[str]) -> None:
    """What has no answer is named, in every form, and has an exit code of its own."""
    words = ["lint", str(EXAMPLE), "--budget", "1"]
    assert main(words) == 1  # an error is one, whatever else is not known
    assert ": undetermined: AllowSshFromIPv4 of web has too many" in capsys.readouterr().out
    words += ["--severity", "management-port-open=warning"]
    assert main(words) == 6
    capsys.readouterr()
    assert main([*words, "-o", "sarif"]) == 6
    (invocation,) = json.loads(capsys.readouterr().out)["runs"][0]["invocations"]
    assert invocation["toolExecutionNotifications"]
    assert main([*words, "-o", "json"]) == 6
    assert json.loads(capsys.readouterr().out)["undetermined"]


ADMINISTERED = administered(
    """{name: Ssh, priority: 1, direction: Inbound, access: AlwaysAllow, protocol: Tcp,
             sources: [Internet], sourcePortRanges: ['*'],
             destinations: ['*'], destinationPortRanges: ['22']}""",
    """{name: Again, priority: 2, direction: Inbound, access: Deny, protocol: Tcp,
             sources: [203.0.113.0/24], sourcePortRanges: ['*'],
             destinations: ['*'], destinationPortRanges: ['22']}""",
)


def test_lint_of_security_admin_rules(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With their place, in each form; what is undetermined of them is told, and can be ignored."""
    path = tmp_path / "p.yaml"
    path.write_text(ADMINISTERED)
    assert main(["lint", str(path)]) == 1
    first, _, second, *_ = capsys.readouterr().out.splitlines()
    rules = "securityAdminConfigurations[0].ruleCollections[0].rules"
    assert first.startswith(f"{path}:9: {rules}[0]: error: securityAdminRules/Ssh opens TCP 22")
    assert second.startswith(f"{path}:12: {rules}[1]: warning: securityAdminRules/Again can never")
    assert main(["lint", str(path), "-o", "json"]) == 1
    _, found = json.loads(capsys.readouterr().out)["findings"]
    assert (found["networkSecurityGroup"], found["rule"]) == (None, "securityAdminRules/Again")
    assert found["others"] == [{"networkSecurityGroup": None, "rule": "securityAdminRules/Ssh"}]
    assert main(["lint", str(path), "-o", "sarif"]) == 1
    _, result = json.loads(capsys.readouterr().out)["runs"][0]["results"]
    (related,) = result["relatedLocations"]
    assert related["physicalLocation"]["region"] == {"startLine": 9}
    settings = tmp_path / "settings.yaml"
    settings.write_text("ignore: [{rule: SECURITYADMINRULES/ssh}]\n")
    assert main(["lint", str(path), "--settings", str(settings)]) == 0
    assert "1 warning" in capsys.readouterr().out
    path.write_text(ADMINISTERED.replace("203.0.113.0/24", "0.0.0.0/0"))
    assert main(["lint", str(path), "--settings", str(settings), "--budget", "1"]) == 6
    shown = capsys.readouterr().out
    assert f"{path}:12: {rules}[1]: undetermined: securityAdminRules/Again has too many" in shown
