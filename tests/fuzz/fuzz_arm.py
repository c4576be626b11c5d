"""Fuzzes the evaluator of ARM templates: ``python -m tests.fuzz.fuzz_arm [SECONDS] [SEEDS...]``.

Whatever the text, a template is evaluated or TemplateRefused: anything else that is raised, or that
takes longer than 20 seconds, ends the run with a trace and the input. Needs atheris, of the extra
``dev``. SEEDS are directories of inputs to begin with.
"""

from __future__ import annotations

import json
import sys

try:
    import atheris
except ImportError:
    sys.exit("atheris is missing: pip install -e '.[dev]'")

with atheris.instrument_imports(include=["nsgd.arm"]):
    from nsgd.arm.evaluate import evaluate_template
    from nsgd.arm.problem import TemplateRefused
    from nsgd.arm.text import parse_template_text
    from nsgd.arm.unknown import find_unknowns

from tests.arm.templates import everywhere


def test_one_input(data: bytes) -> None:
    """A whole template as text, or an expression in each place that evaluates one."""
    text = data[1:].decode("utf-8", "replace")
    try:
        template = parse_template_text(text).tree if data[:1] < b"@" else everywhere(text)
        deployment = evaluate_template(template)
    except TemplateRefused as refused:
        for problem in refused.problems:
            if not str(problem).isprintable():
                raise AssertionError(f"not printable: {str(problem)!r}") from refused
        return
    for one in deployment.resources:
        if not any(find_unknowns(one.properties)):
            json.dumps(one.properties)


def main() -> None:
    """Run for so many seconds, 60 unless given."""
    seconds, *seeds = sys.argv[1:] or ["60"]
    options = [f"-max_total_time={seconds}", "-timeout=20"]
    atheris.Setup([sys.argv[0], *options, *seeds], test_one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
