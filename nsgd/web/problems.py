"""Pages for what went wrong: each says what, where, and the way out."""

from __future__ import annotations

from nsgd.runtime.control_client import ControlError, ControlErrorKind
from nsgd.web.markup import Content, Markup, element, link, markup
from nsgd.web.page import Page

_COMMANDS: dict[ControlErrorKind, tuple[str, ...]] = {
    ControlErrorKind.UNREACHABLE: (
        "systemctl status nsgd",
        "systemctl start nsgd",
        "nsgd web --runtime-dir DIR    # where it is started by hand",
    ),
    ControlErrorKind.PERMISSION: (
        "ls -l /run/nsgd/nsgd.sock    # of which group it is",
        "systemctl restart nsgd-web    # whose unit puts it into this group",
    ),
    ControlErrorKind.NO_ANSWER: ("systemctl status nsgd", "journalctl -u nsgd -e"),
    ControlErrorKind.USAGE: ("nsgd --version", "systemctl restart nsgd nsgd-web"),
}
_HEADS = {
    ControlErrorKind.UNREACHABLE: "The daemon does not run",
    ControlErrorKind.PERMISSION: "The daemon may not be asked",
    ControlErrorKind.NO_ANSWER: "The daemon does not answer",
    ControlErrorKind.USAGE: "The daemon is of another version",
    ControlErrorKind.BUSY: "The daemon is busy",
    ControlErrorKind.REFUSED: "The daemon refused",
}
_MEANINGS = {
    ControlErrorKind.UNREACHABLE: "The rules that it left in the kernel go on: open flows pass, new"
    " ones follow failureMode, or are decided by engine kernel.",
    ControlErrorKind.USAGE: "It does not know what this page asks for. Both are of one package:"
    " restart what was not restarted since the upgrade.",
}


def no_answer_page(error: ControlError, section: str) -> Page:
    """In place of any page, while the daemon gives no answer; it asks again by itself."""
    commands = _COMMANDS.get(error.kind, ())
    body = markup(
        element("p", f"{error}.", class_="problem", role="alert"),
        [element("p", problem) for problem in error.problems],
        element("p", text) if (text := _MEANINGS.get(error.kind)) else None,
        _commands(commands),
        element("p", "This page asks again every few seconds.", class_="hint"),
    )
    return Page(_HEADS[error.kind], section, body, status=503)


def _commands(commands: tuple[str, ...]) -> Markup | None:
    if not commands:
        return None
    return markup(
        element("p", "What to look at, on the machine of the daemon:"),
        element("pre", "\n".join(commands), tabindex="0"),
    )


def not_found_page(what: Content) -> Page:
    """There is no such page, interface or group."""
    way_out = element("p", "See ", link("/networks", "all networks and interfaces"), ".")
    body = markup(element("p", what, class_="problem"), way_out)
    return Page("Not found", "/networks", body, status=404, every_s=0)


def refused_page(status: int, title: str, text: str) -> Page:
    """A request that is not answered."""
    return Page(title, "", element("p", text, class_="problem"), status=status, every_s=0)
