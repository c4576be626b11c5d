"""How pages are read, and what is compared."""

from __future__ import annotations

import pytest

from tests.docs.console import Command, File, not_printed, steps

PAGE = """\
First `policy.yaml`:

```yaml
a: 1
```

```console
# nsgd check policy.yaml    # nothing touched
$ nsgd ip-flow-verify \\
      --config policy.yaml
Allow
...
```

Not a file:

```yaml
b: 2
```
"""


def test_a_page_is_files_and_commands() -> None:
    """In its order; a line that ends with a backslash goes on."""
    file, check, verify = steps(PAGE)
    assert file == File("policy.yaml", "a: 1\n")
    assert isinstance(check, Command)
    assert (check.words, check.output) == ("nsgd check policy.yaml", ())
    assert verify == Command("nsgd ip-flow-verify \\\n      --config policy.yaml", ("Allow", "..."))


@pytest.mark.parametrize(
    ("shown", "is_there"),
    [
        (("one 1",), True),
        (("three", "..."), True),
        (("one   1", "three"), True),
        (("one 2",), False),
        (("on",), False),
        (("three", "one 1"), False),
        (("t...e",), True),
        (("took 2.5 ms",), True),
        (("took 3 packets",), False),
    ],
)
def test_lines_may_be_left_out_and_none_made_up(shown: tuple[str, ...], is_there: bool) -> None:
    """Whole lines, in order; a time is any time."""
    assert (not_printed(shown, "one 1\ntwo\nthree\ntook 17 ms\n") == []) == is_there
