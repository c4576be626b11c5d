"""Checks of the installed service tags files: whole, and no older than Microsoft's updates."""

from __future__ import annotations

from nsgd.doctor.check import Check, ok, warning
from nsgd.doctor.facts import Facts, TagFileSeen
from nsgd.runtime.tag_report import age_text

# A file comes out each week, and Azure leaves a new prefix unused for a week at least.
OLDEST_S = 10 * 86400.0


def service_tags_check(facts: Facts) -> Check:
    """One check of all clouds' files; the first that is not as it should be is named."""
    name = "service tags"
    if not facts.service_tags:
        return ok(name, "no file is installed: rules can name computed tags only")
    for file in facts.service_tags:
        if file.problem:
            served = " (the one before is used)" if file.is_previous else ""
            return warning(name, f"{file.problem}{served}", "install it again: nsgd tags update")
    for file in facts.service_tags:
        if file.age_s > OLDEST_S:
            return warning(
                name,
                f"{_shown(file)}: rules miss what Azure has added since",
                "enable nsgd-tags.timer, or download the file and run nsgd tags update FILE",
            )
    return ok(name, ", ".join(map(_shown, facts.service_tags)))


def _shown(file: TagFileSeen) -> str:
    return f"{file.cloud} {file.change_number}, {age_text(file.age_s)} old"
