"""How far an evaluation may go, so that no template can hang the reader or fill its memory."""

from __future__ import annotations

from nsgd.arm.problem import LimitReached, Mistake

# Azure's own limits.
MAXIMUM_EXPRESSION_CHARACTERS = 24_576
MAXIMUM_COPIES = 800
MAXIMUM_RANGE = 10_000

# nsgd's. A template of Azure's largest size, 4 MB, stays far below them.
MAXIMUM_TEMPLATE_CHARACTERS = 16_000_000
MAXIMUM_RESOURCES = 10_000
MAXIMUM_TEMPLATE_DEPTH = 8  # nested and linked templates
MAXIMUM_VALUE_DEPTH = 100  # lists and objects in each other
MAXIMUM_CALL_DEPTH = 40  # brackets in one expression
# Of values, expressions and variables in each other: at most four Python frames a level, well
# below the interpreter's limit of 1000 for callers that are deep themselves.
MAXIMUM_EVALUATION_DEPTH = 150
MAXIMUM_STRING_CHARACTERS = 1_000_000
MAXIMUM_STEPS = 4_000_000
CHARACTERS_A_STEP = 32
# A new scope costs about as much as this many values.
SCOPE_STEPS = 8

_TOO_MUCH = "no deployment needs this much: look for loops inside loops, or lists that double"


class Budget:
    """Steps that an evaluation may still take. One value or call is one step."""

    def __init__(self, steps: int = MAXIMUM_STEPS) -> None:
        self._left = steps

    def spend(self, steps: int) -> None:
        """Count *steps*. Raises LimitReached."""
        self._left -= steps
        if self._left < 0:
            raise LimitReached("evaluating the template takes too many steps", _TOO_MUCH)

    def spend_text(self, characters: int) -> None:
        """Count the work on that many characters. Raises LimitReached."""
        self.spend(1 + characters // CHARACTERS_A_STEP)


def need_string_length(characters: int) -> None:
    """Refuse a string before it is built. Raises Mistake."""
    if characters > MAXIMUM_STRING_CHARACTERS:
        raise Mistake(
            f"the string would be longer than {MAXIMUM_STRING_CHARACTERS} characters",
            "no field takes that much text",
        )


def too_deep(levels: int) -> LimitReached:
    """The limit that was reached when values or calls nest too far."""
    return LimitReached(
        f"nested deeper than {levels} levels",
        "no deployment needs this much: look for a variable or function that nests itself",
    )
