"""Each function of the template language that depends on its arguments alone.

Results are Azure's own where its reference gives some (Template functions: string, array, object,
numeric, comparison, logical, cidr, lambda); the edges are .NET's.
"""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from nsgd.arm.evaluator import FORMS
from nsgd.arm.functions.table import FUNCTIONS
from tests.arm.templates import mistake, value

TEXT: list[tuple[str, Any]] = [
    ("base64('one, two, three')", "b25lLCB0d28sIHRocmVl"),
    ("base64ToString('b25lLCB0d28sIHRocmVl')", "one, two, three"),
    ("base64ToJson(base64('{''one'': ''a'', ''two'': ''b''}'))", {"one": "a", "two": "b"}),
    ("dataUri('Hello')", "data:text/plain;charset=utf8;base64,SGVsbG8="),
    ("dataUriToString('data:;base64,SGVsbG8sIFdvcmxkIQ==')", "Hello, World!"),
    ("dataUriToString('data:text/plain,a%20b')", "a b"),
    ("startsWith('abcdef', 'AB')", True),
    ("startsWith('abcdef', 'e')", False),
    ("endsWith('abcdef', 'EF')", True),
    ("endsWith('abcdef', 'e')", False),
    ("indexOf('abcdef', 'CD')", 2),
    ("indexOf('test', 'z')", -1),
    ("indexOf(createArray('a', 'b'), 'b')", 1),
    ("indexOf(createArray('a', 'b'), 'B')", -1),
    ("lastIndexOf('abab', 'AB')", 2),
    ("lastIndexOf(createArray(1, 2, 1, 3), 1)", 2),
    ("lastIndexOf(createArray(1, 2), 3)", -1),
    ("join(createArray('a', 'b', 1), ', ')", "a, b, 1"),
    ("join(createArray(), ', ')", ""),
    ("padLeft('123', 10, '0')", "0000000123"),
    ("padLeft(7, 3)", "  7"),
    ("padLeft('long', 2, '0')", "long"),
    ("replace('123-123-1234', '-', '')", "1231231234"),
    ("replace('aA', 'a', 'b')", "bA"),
    ("split('one,two,three', ',')", ["one", "two", "three"]),
    ("split('one;two,three', createArray(',', ';'))", ["one", "two", "three"]),
    ("split('a.b', '.')", ["a", "b"]),
    ("split('', ',')", [""]),
    ("split('ab', '')", ["ab"]),
    ("substring('one two three', 4, 3)", "two"),
    ("substring('abc', 1)", "bc"),
    ("substring('abc', 3, 0)", ""),
    ("toLower('One')", "one"),
    ("toUpper('One')", "ONE"),
    ("trim(' \t a b ')", "a b"),
    ("uri('http://contoso.com/resources/', 'nested/a.json')",
     "http://contoso.com/resources/nested/a.json"),
    ("uri('http://contoso.com/resources/main.json', 'a.json')",
     "http://contoso.com/resources/a.json"),
    ("uriComponent('http://a/b c')", "http%3A%2F%2Fa%2Fb%20c"),
    ("uriComponentToString('http%3A%2F%2Fa%2Fb%20c')", "http://a/b c"),
    # Public results of Azure's function.
    ("uniqueString('test')", "rbgf3xv4ufgzg"),
    ("uniqueString('hello', 'world')", "a7wkljktk6wne"),
    ("uniqueString('abc')", "cgtzqvhu4i23s"),
    ("uniqueString('foo', 'bar', 'baz')", "xzi4ioaxtmth4"),
    ("uniqueString('/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/my-rg')",
     "bmg7c6xu4tw46"),
    ("format('{0}, {1}. Formatted number: {2:N0}', 'Hello', 'User', 8175133)",
     "Hello, User. Formatted number: 8,175,133"),
    ("format('{{{0}}}', 1)", "{1}"),
    ("format('{0:D3}|{0:000}|{0:X4}|{0:x}|{0,4}|{0,-4}|', 10)", "010|010|000A|a|  10|10  |"),
    ("format('{0:N2} {1:D4}', -1234, -5)", "-1,234.00 -0005"),
    ("format('{0} {1} {2}', true(), null(), createArray(1))", "True  [1]"),
    ("string(createObject('valueA', 10, 'valueB', 'Ex'))", '{"valueA":10,"valueB":"Ex"}'),
    ("string(createArray('a', 'b'))", '["a","b"]'),
    ("string(5)", "5"),
    ("string(true())", "True"),
    ("json('{\"a\": [1, 2.5, null, true]}')", {"a": [1, 2.5, None, True]}),
    ("json('null')", None),
    ("json('{''a'': ''b'', // comment\n}')", {"a": "b"}),
]  # fmt: skip
NUMBERS: list[tuple[str, Any]] = [
    ("add(5, 3)", 8),
    ("sub(3, 5)", -2),
    ("mul(5, -3)", -15),
    ("div(8, 3)", 2),
    ("div(-8, 3)", -2),
    ("mod(7, 3)", 1),
    ("mod(-7, 3)", -1),
    ("min(0, 3, 2, 5, 4)", 0),
    ("min(createArray(3, 2))", 2),
    ("max(createArray(0, 3, 2))", 3),
    ("max(-1, -2)", -1),
    ("range(5, 3)", [5, 6, 7]),
    ("range(5, 0)", []),
    ("int('4')", 4),
    ("int(' -4 ')", -4),
    ("int(4)", 4),
    ("int(float('2.9'))", 2),
    ("float('3.5')", 3.5),
    ("float(3)", 3.0),
    ("bool('True')", True),
    ("bool('false')", False),
    ("bool(1)", True),
    ("bool(0)", False),
    ("less(1, 2)", True),
    ("less(2, 2)", False),
    ("less('a', 'B')", False),
    ("lessOrEquals(2, 2)", True),
    ("greater(2, 2)", False),
    ("greater(3, 2)", True),
    ("greaterOrEquals(2, 2)", True),
    ("equals('a', 'a')", True),
    ("equals('a', 'A')", False),
    ("equals(1, '1')", False),
    ("equals(1, true())", False),
    ("equals(createArray('a', 1), createArray('a', 1))", True),
    ("equals(createObject('a', 1, 'b', 2), createObject('b', 2, 'a', 1))", True),
    ("equals(null(), json('null'))", True),
    ("not(true())", False),
    ("xor(true(), false())", True),
    ("and(true(), true(), false())", False),
    ("or(false(), true())", True),
    ("or(false(), false())", False),
    ("if(true(), 'yes', 'no')", "yes"),
    # The value that is not taken is not evaluated.
    ("if(false(), div(1, 0), 'no')", "no"),
    ("coalesce(null(), 'a', 'b')", "a"),
    ("coalesce(null(), null())", None),
]  # fmt: skip
COLLECTIONS: list[tuple[str, Any]] = [
    ("concat('a', 1, true())", "a1True"),
    ("concat(createArray(1), createArray(2, 3))", [1, 2, 3]),
    ("contains('OneTwoThree', 'e')", True),
    ("contains('OneTwoThree', 'E')", False),
    ("contains('a1', 1)", True),
    ("contains(createObject('one', 'a'), 'ONE')", True),
    ("contains(createObject('one', 'a'), 'a')", False),
    ("contains(createArray('one', 'two'), 'two')", True),
    ("contains(createArray('one', 'two'), 'Two')", False),
    ("contains(createArray(1), true())", False),
    ("array(1)", [1]),
    ("array(createArray(1))", [1]),
    ("array(createObject('a', 'b'))", [{"a": "b"}]),
    ("createArray()", []),
    ("createObject()", {}),
    ("createObject('a', createArray(1), 'b', null())", {"a": [1], "b": None}),
    ("empty('')", True),
    ("empty(createArray())", True),
    ("empty(createObject())", True),
    ("empty(null())", True),
    ("empty('a')", False),
    ("first('One Two')", "O"),
    ("first(createArray('one', 'two'))", "one"),
    ("first(createArray())", None),
    ("last('One Two')", "o"),
    ("last(createArray('one', 'two'))", "two"),
    ("last('')", ""),
    ("length('abc')", 3),
    ("length(createArray(1, 2))", 2),
    ("length(createObject('a', 1))", 1),
    ("take('one', 2)", "on"),
    ("take(createArray(1, 2, 3), 2)", [1, 2]),
    ("take('one', -1)", ""),
    ("take('one', 9)", "one"),
    ("skip('one two', 4)", "two"),
    ("skip(createArray(1, 2, 3), 2)", [3]),
    ("skip('one', -1)", "one"),
    ("skip('one', 9)", ""),
    ("union(createArray('one', 'two'), createArray('two', 'three'))", ["one", "two", "three"]),
    ("union(createObject('a', 1, 'b', 'x'), createObject('B', 'y', 'c', 3))",
     {"a": 1, "b": "y", "c": 3}),
    ("union(createObject('p', createObject('a', 1, 'b', 2), 'l', createArray(1)), "
     "createObject('p', createObject('b', 3), 'l', createArray(2)))",
     {"p": {"a": 1, "b": 3}, "l": [2]}),
    ("shallowMerge(createArray(createObject('p', createObject('a', 1)), "
     "createObject('p', createObject('b', 2))))", {"p": {"b": 2}}),
    ("intersection(createArray('one', 'two', 'three'), createArray('two', 'three'))",
     ["two", "three"]),
    ("intersection(createObject('a', 1, 'b', 2), createObject('a', 1, 'b', 3))", {"a": 1}),
    ("items(createObject('b', 1, 'a', 2))", [{"key": "a", "value": 2}, {"key": "b", "value": 1}]),
    ("objectKeys(createObject('b', 1, 'a', 2))", ["a", "b"]),
    ("flatten(createArray(createArray(1), createArray(), createArray(2, 3)))", [1, 2, 3]),
    ("indexFromEnd(createArray(1, 2, 3), 1)", 3),
    ("tryGet(createObject('a', createArray(7)), 'A', 0)", 7),
    ("tryGet(createObject('a', 1), 'b')", None),
    ("tryGet(createArray(1), 3)", None),
    ("tryIndexFromEnd(createArray(1, 2), 2)", 1),
    ("tryIndexFromEnd(createArray(1, 2), 3)", None),
]  # fmt: skip
CIDR: list[tuple[str, Any]] = [
    ("parseCidr('10.144.0.0/20')",
     {"network": "10.144.0.0", "netmask": "255.255.240.0", "broadcast": "10.144.15.255",
      "firstUsable": "10.144.0.1", "lastUsable": "10.144.15.254", "cidr": 20}),
    ("parseCidr('fdad:3236:5555::/48')",
     {"network": "fdad:3236:5555::", "netmask": "ffff:ffff:ffff::",
      "firstUsable": "fdad:3236:5555::", "cidr": 48,
      "lastUsable": "fdad:3236:5555:ffff:ffff:ffff:ffff:ffff"}),
    ("cidrSubnet('10.144.0.0/20', 24, 0)", "10.144.0.0/24"),
    ("cidrSubnet('10.144.0.0/20', 24, 15)", "10.144.15.0/24"),
    ("cidrSubnet('10.144.0.0/20', 20, 0)", "10.144.0.0/20"),
    ("cidrSubnet('fdad:3236:5555::/48', 52, 4)", "fdad:3236:5555:4000::/52"),
    ("cidrHost('10.144.3.0/24', 0)", "10.144.3.1"),
    ("cidrHost('10.144.3.0/24', 253)", "10.144.3.254"),
    ("cidrHost('fdad:3236:5555:3000::/52', 4)", "fdad:3236:5555:3000::5"),
]  # fmt: skip
DOGS = "createArray(createObject('name', 'Evie', 'age', 5), createObject('name', 'Indy', 'age', 2))"
LAMBDAS: list[tuple[str, Any]] = [
    ("filter(range(0, 10), lambda('i', equals(0, mod(lambdaVariables('i'), 2))))",
     [0, 2, 4, 6, 8]),
    ("filter(createArray('a', 'b'), lambda('x', 'i', equals(lambdaVariables('i'), 1)))", ["b"]),
    (f"map({DOGS}, lambda('dog', lambdaVariables('DOG').name))", ["Evie", "Indy"]),
    ("map(range(5, 2), lambda('x', 'i', add(lambdaVariables('x'), lambdaVariables('i'))))",
     [5, 7]),
    ("map(range(0, 2), lambda('x', map(range(0, 2), lambda('y', "
     "add(mul(10, lambdaVariables('x')), lambdaVariables('y'))))))", [[0, 1], [10, 11]]),
    ("reduce(range(1, 4), 0, lambda('sum', 'next', add(lambdaVariables('sum'), "
     "lambdaVariables('next'))))", 10),
    ("reduce(createArray(createObject('a', 1), createObject('b', 2)), createObject(), "
     "lambda('x', 'y', union(lambdaVariables('x'), lambdaVariables('y'))))", {"a": 1, "b": 2}),
    (f"map(sort({DOGS}, lambda('a', 'b', less(lambdaVariables('a').age, "
     "lambdaVariables('b').age))), lambda('d', lambdaVariables('d').age))", [2, 5]),
    (f"toObject({DOGS}, lambda('d', lambdaVariables('d').name), lambda('d', "
     "lambdaVariables('d').age))", {"Evie": 5, "Indy": 2}),
    ("toObject(createArray('a'), lambda('d', lambdaVariables('d')))", {"a": "a"}),
    ("groupBy(range(0, 4), lambda('i', string(mod(lambdaVariables('i'), 2))))",
     {"0": [0, 2], "1": [1, 3]}),
    ("mapValues(createObject('a', 1), lambda('v', add(lambdaVariables('v'), 1)))", {"a": 2}),
]  # fmt: skip
# In test_deployed.py, test_resources.py and test_unknown.py.
TESTED_ELSEWHERE = {
    "copyindex", "datetimeadd", "datetimefromepoch", "datetimetoepoch", "deployer", "deployment",
    "environment", "guid", "extensionresourceid", "externalinput", "fail", "getsecret", "lambda",
    "lambdavariables", "managementgroup", "managementgroupresourceid", "newguid", "parameters",
    "pickzones", "providers", "reference", "references", "resourcegroup", "resourceid",
    "resourceinfo", "subscription", "subscriptionresourceid", "tenant", "tenantresourceid",
    "tologicalzone", "tologicalzones", "tophysicalzone", "tophysicalzones", "utcnow",
    "variables",
}  # fmt: skip
CASES = TEXT + NUMBERS + COLLECTIONS + CIDR + LAMBDAS


@pytest.mark.parametrize(("expression", "expected"), CASES)
def test_function(expression: str, expected: Any) -> None:
    """The function gives what Azure's does, and of the same type."""
    result = value(f"[{expression}]")
    assert result == expected
    assert type(result) is type(expected)


def test_every_function_is_tested() -> None:
    """No function is without a case."""
    text = " ".join(expression.lower() for expression, _ in CASES)
    for name in FUNCTIONS.keys() | FORMS.keys():
        assert f"{name}(" in text or name in TESTED_ELSEWHERE, name


def test_guid() -> None:
    """The SHA-1 of Azure's namespace and the texts, joined with dashes, marked as version 5.

    Source: RFC 9562, 5.5; the namespace from Bicep's reference of guid().
    """
    namespace = bytes.fromhex("11fb06fb712d4ddd98c7e71bbd588830")
    digest = bytearray(hashlib.sha1(namespace + b"a-b").digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    text = digest.hex()
    expected = "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
    assert value("[guid('a', 'b')]") == expected


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("concat('a', createArray())", "an array is given where text"),
        ("concat(createArray(), 'a')", "text 'a' is given where an array"),
        ("concat()", "concat() has 0 arguments; it takes at least 1"),
        ("padLeft('a')", "padLeft() has 1 arguments; it takes 2 to 3"),
        ("padLeft('a', 3, 'xy')", "a single character"),
        ("not(1)", "an integer 1 is given where a bool"),
        ("if('true', 1, 2)", "text 'true' is given where a bool"),
        ("add(true(), 1)", "a bool is given where an integer"),
        ("add(9223372036854775807, 1)", "does not fit in 64 bits"),
        ("mul(9223372036854775807, -2)", "does not fit in 64 bits"),
        ("div(1, 0)", "a division by zero"),
        ("mod(1, 0)", "a division by zero"),
        ("max(createArray())", "max() of nothing"),
        ("range(0, 10001)", "a range of 10001"),
        ("range(0, -1)", "a range of -1"),
        ("range(2147483647, 1)", "a range up to"),
        ("int('4.5')", "'4.5' is no integer"),
        ("int('')", "'' is no integer"),
        ("int('9223372036854775808')", "does not fit in 64 bits"),
        ("float('nan')", "a number"),
        ("bool('yes')", "neither true nor false"),
        ("less('a', 1)", "text 'a' is given where an integer"),
        ("substring('abc', 1, 3)", "the text has 3 characters"),
        ("substring('abc', -1)", "lie outside"),
        ("replace('abc', '', 'x')", "the text to replace is empty"),
        ("base64ToString('%')", "is not base64"),
        ("dataUriToString('http://x')", "a data URI"),
        ("json('{')", "is expected before the end"),
        ("createObject('a')", "a key has no value"),
        ("createObject(1, 2)", "an integer 1 is given where text"),
        ("length(1)", "text, an array or an object"),
        ("union(createArray(), createObject())", "an object is given where an array"),
        ("indexFromEnd(createArray(1), 0)", "count from 1"),
        ("format('{0}')", "{0} has no argument"),
        ("format('{')", "stands alone"),
        ("format('{0:Q}', 1)", "the format 'Q' is not known"),
        ("cidrSubnet('10.0.0.0/16', 15, 0)", "/15 does not divide"),
        ("cidrSubnet('10.0.0.0/16', 24, 256)", "it has 256, counted from 0"),
        ("cidrHost('10.0.0.0/24', 254)", "no host with index 254"),
        ("parseCidr('10.0.0.0')", "a range such as"),
        ("parseCidr('10.0.0.0/33')", "a range such as"),
        ("filter(createArray(1), 2)", "a lambda is expected"),
        ("filter(createArray(1), lambda('x', 1))", "a bool"),
        ("filter(createArray(1), lambda('a', 'b', 'c', true()))", "a lambda is expected"),
        ("lambda('x', 1)", "lambda() stands alone"),
        ("map(createArray(1), lambda('x', lambdaVariables('y')))", "no lambda variable 'y'"),
        ("fail('not here')", "the template fails: 'not here'"),
    ],
)  # fmt: skip
def test_a_wrong_argument_is_named(expression: str, message: str) -> None:
    """What Azure refuses is refused, with the way out."""
    assert message in mistake(f"[{expression}]")
