"""IP flow verify: the form, the verdict, and table by table why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nsgd.answers.azure_names import group_name, rule_name
from nsgd.answers.diagnostics import Explanation, TableEvaluation
from nsgd.answers.ip_flow import FlowAnswer
from nsgd.answers.path import PathAnswer, PathQuestion
from nsgd.answers.policy import QuestionedPolicy
from nsgd.answers.question import read_question, split_endpoint
from nsgd.answers.refused import QuestionRefused
from nsgd.web.markup import Content, Markup, element, markup, table
from nsgd.web.page import Page, access, group_link, plural

_MOST_OFFERED = 500  # names in the list of a field
_ONE_END = ("direction", "protocol", "local", "remote")
_DECIDES = {"Allow": "this group allows it", "Deny": "this group denies it"}
_BOTH_ENDS = ("from", "to", "protocol")
_LABELS = {
    "nic": "Network interface (optional)",
    "direction": "Direction, seen from the local end",
    "protocol": "Protocol",
    "local": "Local address:port",
    "remote": "Remote address:port",
    "from": "From: interface or address",
    "to": "To: interface or address",
    "port": "Destination port",
}
_HINTS = {
    "nic": "where the address alone does not tell it",
    "protocol": "TCP, UDP, ICMP, ESP, AH or a number",
    "local": "10.0.1.4:80, [fd00::4]:80; without a port for ICMP",
    "remote": "203.0.113.7:* for any source port",
    "from": "web1 or 203.0.113.7",
    "to": "app1 or 10.0.2.4",
    "port": "of TCP and UDP",
}


@dataclass(frozen=True, slots=True)
class _Answered:
    """An answer as HTML, or what is wrong with the question."""

    content: Markup | None = None
    problem: str | None = None


def verify_page(policy: QuestionedPolicy, given: Mapping[str, str]) -> Page:
    """Both forms, and the answer to the one that was sent."""
    words = {name: text.strip() for name, text in given.items()}
    is_path = bool(words.get("from") or words.get("to"))
    is_asked = is_path or bool(words.get("remote") or words.get("direction"))
    answered = _Answered()
    if is_asked:
        answered = _ask(policy, words, is_path=is_path)
    nothing = _Answered()
    names = [nic.name for nic in policy.model.network_interfaces[:_MOST_OFFERED]]
    one = _form(
        "one",
        "One end",
        "Do the groups of one interface let a flow pass, as Azure's IP flow verify asks?",
        ("direction", "protocol", "local", "remote", "nic"),
        {} if is_path else words,
        nothing if is_path else answered,
    )
    both = _form(
        "both",
        "Both ends",
        "Do all groups on the way let a flow pass, the sender's and the receiver's?",
        ("from", "to", "protocol", "port"),
        words if is_path else {},
        answered if is_path else nothing,
    )
    body = markup(
        element("datalist", [element("option", value=name) for name in names], id="nics"),
        element(
            "datalist",
            [element("option", value=name) for name in ("TCP", "UDP", "ICMP", "ESP", "AH")],
            id="protocols",
        ),
        answered.content,
        element(
            "div",
            (both, one) if is_path else (one, both),
            class_="columns",
        ),
    )
    status = 400 if answered.problem else 200
    return Page("IP flow verify", "/verify", body, status=status, every_s=0)


def _ask(policy: QuestionedPolicy, words: Mapping[str, str], *, is_path: bool) -> _Answered:
    needed = _BOTH_ENDS if is_path else _ONE_END
    missing = [_LABELS[name] for name in needed if not words.get(name)]
    if missing:
        return _Answered(problem=f"missing: {', '.join(missing)}")
    try:
        return _Answered(_path(policy, words) if is_path else _one_end(policy, words))
    except QuestionRefused as refused:
        # The command's options are the form's fields.
        text = str(refused).replace("--from", "From").replace("--to", "To")
        return _Answered(problem=text)


def _one_end(policy: QuestionedPolicy, words: Mapping[str, str]) -> Markup:
    local, local_port = split_endpoint("local", words["local"])
    remote, remote_port = split_endpoint("remote", words["remote"])
    question = read_question(
        words["direction"], words["protocol"], local, local_port, remote, remote_port
    )
    interface = words.get("nic") or None
    answer = policy.ip_flow_verify(question, interface)
    explanation = policy.explain(question, interface)
    resource = policy.local_resource(question, interface)
    is_outbound = words["direction"].lower() == "outbound"
    ends = (words["local"], words["remote"]) if is_outbound else (words["remote"], words["local"])
    return _answer(
        answer,
        markup(f"{question.protocol_name} {ends[0]} \u2192 {ends[1]}, at {resource}"),
        _tables(explanation),
    )


def _path(policy: QuestionedPolicy, words: Mapping[str, str]) -> Markup:
    question = PathQuestion(
        words["from"], words["to"], words["protocol"], words.get("port") or None
    )
    found = policy.path(question)
    rows = [
        (
            markup(group_link(group_name(each.decision.network_security_group))),
            each.decision.direction.value,
            each.resource,
            access(each.decision.access.value),
            rule_name(each.decision.rule).partition("/")[2],
            "" if each.is_consulted else "not asked: denied before",
        )
        for each in found.tables
    ]
    return _answer(found.answer, _way(found, words), _way_table(rows))


def _way(found: PathAnswer, words: Mapping[str, str]) -> Markup:
    port = f" port {words['port']}" if words.get("port") else ""
    return markup(f"{words['protocol']} {found.source} \u2192 {found.destination}{port}")


def _way_table(rows: Sequence[Sequence[Content]]) -> Markup:
    return table(
        "Every group on the way, in the order in which they are asked",
        ("Network security group", "Direction", "At", "Access", "Rule", "Remark"),
        rows,
        empty="No network security group is on the way.",
    )


def _answer(answer: FlowAnswer, question: Markup, why: Content) -> Markup:
    reported = answer.reported
    if reported is None:
        by: Content = ": no network security group is asked"
    else:
        group = group_name(reported.network_security_group)
        rule = rule_name(reported.rule).partition("/")[2]
        by = markup(
            " by ", element("strong", rule), *((" of ", group_link(group)) if group else ())
        )
    return element(
        "section",
        element("h2", "Answer", id="answer-title"),
        element("p", access(answer.access.value), by, class_="verdict"),
        element("p", question, class_="question"),
        why,
        aria_labelledby="answer-title",
        class_=f"answer {answer.access.value.lower()}",
    )


def _tables(explanation: Explanation) -> Content:
    if not explanation.tables:
        return element("p", "No network security group is asked, so the flow passes.")
    return [_table(order, each) for order, each in enumerate(explanation.tables, 1)]


def _table(order: int, evaluated: TableEvaluation) -> Markup:
    group = group_name(evaluated.network_security_group)
    name = group_link(group) if group else "Rules ahead of every group"
    return markup(
        table(
            markup(
                f"{order}. ",
                name,
                f", {evaluated.direction.value}, at {evaluated.applied_to}:"
                f" {plural(len(evaluated.rules), 'rule')} tried in order",
            ),
            ("Rule", "Access", "This flow"),
            [
                (
                    rule_name(rule.name).partition("/")[2],
                    access(rule.access.value),
                    element("strong", f"matches: {_DECIDES[rule.access.value]}")
                    if rule.is_match
                    else f"differs in {', '.join(rule.failed_fields)}",
                )
                for rule in evaluated.rules
            ],
        )
    )


def _form(
    kind: str,
    title: str,
    text: str,
    names: tuple[str, ...],
    given: Mapping[str, str],
    answered: _Answered,
) -> Markup:
    problem = answered.problem
    return element(
        "section",
        element("h2", title, id=f"{kind}-title"),
        element("p", text, class_="hint"),
        element("p", problem, class_="problem", role="alert", id=f"{kind}-problem")
        if problem
        else None,
        element(
            "form",
            [_field(kind, name, given, problem) for name in names],
            element("div", element("button", "Verify", type="submit"), class_="buttons"),
            method="get",
            action="/verify",
            class_="fields",
        ),
        aria_labelledby=f"{kind}-title",
        class_="question-form",
    )


def _field(kind: str, name: str, given: Mapping[str, str], problem: str | None) -> Markup:
    field = f"{kind}-{name}"
    value = given.get(name, "")
    described = [f"{field}-hint"] if name in _HINTS else []
    # A refusal begins with the field that it is about.
    is_wrong = problem is not None and problem.lower().startswith((f"{name}:", f"{name} "))
    if is_wrong:
        described.append(f"{kind}-problem")
    if name == "direction":
        control = element(
            "select",
            [
                element("option", word, value=word, selected=word.lower() == value.lower())
                for word in ("Inbound", "Outbound")
            ],
            id=field,
            name=name,
        )
    else:
        control = element(
            "input",
            id=field,
            name=name,
            value=value,
            maxlength="100",
            autocomplete="off",
            autocapitalize="off",
            spellcheck="false",
            list={"nic": "nics", "from": "nics", "to": "nics", "protocol": "protocols"}.get(name),
            required=name not in ("nic", "port"),
            aria_invalid="true" if is_wrong else None,
            aria_describedby=" ".join(described) or None,
        )
    hint = element("small", _HINTS[name], id=f"{field}-hint") if name in _HINTS else None
    return element("div", element("label", _LABELS[name], for_=field), control, hint)
