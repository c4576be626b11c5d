"""Large templates and templates that mean harm: the work grows as the text does.

It is counted in calls and comparisons, which are the same on every machine.
"""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest

from nsgd.arm.problem import bounded_suggestions, closest
from nsgd.config import template as template_module
from nsgd.config.document import Role
from nsgd.config.load import Document, LoadedConfig, load_documents
from nsgd.config.problem import ConfigRefused
from nsgd.config.template_resources import plain_value
from tests.arm.templates import NSG, resource, template

MUCH_MORE = 4
# What takes steps as the square of the size takes 16 times as many at 4 times the size.
LINEAR = 5.0


def load(tree: dict[str, Any]) -> LoadedConfig | ConfigRefused:
    """Load a template, or the refusal."""
    text = json.dumps({"contentVersion": "1.0.0.0", **tree}).encode()
    try:
        return load_documents([Document("t.json", text)])
    except ConfigRefused as refused:
        return refused


def calls(tree: dict[str, Any]) -> int:
    """How many calls loading a template makes, those of generators included."""
    load(tree)  # what is remembered is so from now on
    count = 0

    def profile(frame: FrameType, event: str, arg: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        load(tree)
    finally:
        sys.setprofile(before)
    return count


def group(priority: int = 100, **fields: object) -> dict[str, Any]:
    """The group web with a rule."""
    rule = {"priority": priority, "direction": "Inbound", "access": "Allow", "protocol": "*",
            "sourceAddressPrefix": "*", "sourcePortRange": "*", "destinationAddressPrefix": "*",
            "destinationPortRange": "*"}  # fmt: skip
    one = resource(NSG, "web", securityRules=[{"name": "r", "properties": rule}])
    return {**one, **fields}


def deployments(count: int, waits: Callable[[int], list[str]]) -> dict[str, Any]:
    """Nested deployments of one group, each time with another rule."""
    return template(
        *(
            {
                **resource("Microsoft.Resources/deployments", f"d{n}", mode="Incremental"),
                "properties": {"mode": "Incremental", "template": template(group(100 + n))},
                "dependsOn": waits(n),
            }
            for n in range(count)
        )
    )


GROWING: dict[str, Callable[[int], dict[str, Any]]] = {
    "unordered": lambda n: deployments(n, lambda at: []),
    "each after the one before": lambda n: deployments(n, lambda at: [f"d{at - 1}"] if at else []),
    "each after the first": lambda n: deployments(n, lambda at: ["d0"] if at else []),
    "the last first": lambda n: deployments(n, lambda at: [f"d{at + 1}"] if at + 1 < n else []),
    "in a circle": lambda n: deployments(n, lambda at: [f"d{(at + 1) % n}"]),
    "copies": lambda n: template(*[group()] * n),
    "copies that differ": lambda n: template(*(group(100 + at) for at in range(n))),
    "two of each": lambda n: template(*(group(name=f"g{at // 2}") for at in range(n))),
}


@pytest.mark.parametrize("case", GROWING)
def test_resources_that_are_deployed_again(case: str) -> None:
    """However many there are, and in whatever order."""
    few, many = (calls(GROWING[case](count)) for count in (50, 50 * MUCH_MORE))
    assert few > 1000
    assert many < few * LINEAR


def test_many_that_wait_for_one_another_are_decided() -> None:
    """What is fast is right as well."""
    loaded = load(GROWING["each after the one before"](300))
    assert isinstance(loaded, LoadedConfig)
    assert loaded.model.network_security_groups[0].security_rules[0].priority == 399
    assert sum("is deployed again later" in note for note in loaded.notes) == 299
    refused = load(GROWING["each after the first"](300))
    assert isinstance(refused, ConfigRefused)
    assert len(refused.problems) == 299


def test_copies_are_compared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each with the first; one that differs is found wherever it stands."""
    compared = 0

    class Counted(dict[str, Any]):
        def __ne__(self, other: object) -> bool:
            nonlocal compared
            compared += 1
            return dict.__ne__(self, other)

        __hash__ = None

    monkeypatch.setattr(
        template_module, "plain_value", lambda one, name: Counted(plain_value(one, name))
    )
    loaded = load(template(*[group()] * 300))
    assert isinstance(loaded, LoadedConfig)
    assert len(loaded.model.network_security_groups) == 1
    assert 299 <= compared <= 600
    for place in (0, 150, 299):
        copies = [group()] * 300
        copies[place] = group(4096)
        refused = load(template(*copies))
        assert isinstance(refused, ConfigRefused)
        assert len(refused.problems) == 299


# Words that are near others.


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many words each search compares in full."""
    counts: list[int] = []
    real = difflib.get_close_matches

    def count(word: str, possibilities: Any, **options: Any) -> list[str]:
        words = list(possibilities)
        counts.append(len(words))
        return real(word, words, **options)

    monkeypatch.setattr(difflib, "get_close_matches", count)
    return counts


def variables(count: int) -> list[str]:
    """Names that are much alike."""
    return [f"subnetNumberOfTheVirtualNetwork{n:05}" for n in range(count)]


def misspelt(names: int, mistakes: int) -> dict[str, Any]:
    """A template with many variables and many misspelt ones."""
    uses = [f"[variables('subnetNumbrOfTheVirtualNetwork{n:05}')]" for n in range(mistakes)]
    return template(group(tags=uses), variables=dict.fromkeys(variables(names), 1))


def test_many_variables_and_many_mistakes(compared: list[int]) -> None:
    """The first mistakes have a suggestion, each a good one, and then the work ends."""
    refused = load(misspelt(5000, 500))
    assert isinstance(refused, ConfigRefused)
    assert len(refused.problems) == 500
    assert sum(compared) <= 20_000
    near = [n for n, one in enumerate(refused.problems) if "is near it" in str(one)]
    assert 20 <= len(near) < 500
    for n in near:
        name = f"'subnetNumberOfTheVirtualNetwork{n:05}' is near it"
        assert name in str(refused.problems[n])
    # Another template has all of it for itself.
    before = len(compared)
    again = load(misspelt(5000, 500))
    assert isinstance(again, ConfigRefused)
    assert again.problems == refused.problems
    assert len(compared) == 2 * before


def test_many_values_that_no_template_takes(compared: list[int]) -> None:
    """A parameter file with many misspelt names beside a template with many parameters."""
    declared = {name: {"type": "int", "defaultValue": 1} for name in variables(3000)}
    deployed = {"contentVersion": "1.0.0.0", **template(group(), parameters=declared)}
    given = {f"subnetNumbrOfTheVirtualNetwork{n:05}": {"value": 1} for n in range(300)}
    values = {"contentVersion": "1.0.0.0", "parameters": given}
    documents = [
        Document("t.json", json.dumps(deployed).encode()),
        Document("t.parameters.json", json.dumps(values).encode(), Role.PARAMETERS),
    ]
    with pytest.raises(ConfigRefused) as refused:
        load_documents(documents)
    assert len(refused.value.problems) == 300
    assert 0 < sum(compared) <= 20_000
    assert "did you mean 'subnetNumberOfTheVirtualNetwork00000'?" in str(refused.value.problems[0])


def test_a_template_as_they_are(compared: list[int]) -> None:
    """With a hundred names every one of a hundred mistakes has its suggestion."""
    refused = load(misspelt(100, 100))
    assert isinstance(refused, ConfigRefused)
    assert sum("is near it" in str(one) for one in refused.problems) == 100
    assert sum(compared) == 100 * 100


def test_many_mistakes_beside_few_variables(compared: list[int]) -> None:
    """What is compared ends as well as what is looked at."""
    refused = load(misspelt(100, 500))
    assert isinstance(refused, ConfigRefused)
    assert sum("is near it" in str(one) for one in refused.problems) == 200
    assert sum(compared) == 20_000


def test_names_that_are_looked_at(compared: list[int]) -> None:
    """Each look counts, also where no word is compared; a search by itself has its own bound."""
    looks = 0

    def known() -> Iterator[str]:
        nonlocal looks
        for n in range(1_000_000):
            looks += 1
            yield f"{n}" * 100

    with bounded_suggestions():
        for _ in range(5):
            assert closest("priority", known()) is None
        assert looks == 100_000
        assert closest("prioritty", ["priority"]) is None
    assert closest("prioritty", ["priority"]) == "priority"
    assert closest("priority", known()) is None
    assert looks == 200_000
    assert max(compared) == 1  # words of another length are not compared
    with bounded_suggestions():
        for _ in range(200):
            closest("priority", (f"priority{n}" for n in range(100)))
        assert closest("priority", known()) is None
    assert looks == 200_000
    assert sum(compared) == 1 + 20_000


@pytest.mark.parametrize(
    ("word", "known", "meant"),
    [
        ("vnetNmae", ["subnetName", "vnetName", "nsgName"], "vnetName"),
        ("VNETNAME", ["vnetName"], "vnetName"),
        ("adress", ["address", "addressPrefix"], "address"),
        ("abc", ["abcdefg", "abcdefgh"], "abcdefg"),  # as long as one may be
        ("abcdefg", ["abc", "ab"], "abc"),
        ("x", ["priority"], None),
        ("", ["a"], None),
        ("a" * 65, ["a" * 64], None),
    ],
)
def test_the_word_that_was_meant(word: str, known: list[str], meant: str | None) -> None:
    """As difflib finds it among all."""
    assert closest(word, known) == meant


def test_the_ends_of_words_choose_what_is_compared(compared: list[int]) -> None:
    """Among a thousand alike, wherever the slip is."""
    known = variables(1000)
    for word in (
        "ubnetNumberOfTheVirtualNetwork00777",
        "subnetNumberTheVirtualNetwork00777",
        "subnetNumberOfTheVirtualNetwrk00777",
        "subnetNumberOfTheVirtualNetwork0777",
    ):
        assert closest(word, known) == "subnetNumberOfTheVirtualNetwork00777"
    known = [f"{n:05}subnetNumberOfTheVirtualNetwork" for n in range(1000)]
    assert closest("00777subnetNumberOfTheVirtualNetwor", known) == known[777]
    assert compared == [100] * 5
