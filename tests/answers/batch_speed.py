"""Measure how many IP flow verify questions a second are answered, without and with the JSON.

A script, not a test: it asserts no time. Four groups of a thousand rules each judge two network
interfaces in two subnets::

    python -m tests.answers.batch_speed --questions 400000
"""

from __future__ import annotations

import argparse
import json
import os
import random
import time
from typing import Any

from nsgd.answers.batch import BatchVerifier
from nsgd.answers.policy import QuestionedPolicy
from nsgd.config.load import Document, load_documents

RULES = 1000


def draw_group(drawn: random.Random, name: str, rules: int) -> dict[str, Any]:
    """A group whose rules differ in address, ports, protocol and access."""
    return {
        "name": name,
        "securityRules": [
            {
                "name": f"rule-{number}",
                "priority": 100 + number // 2,
                "direction": ("Inbound", "Outbound")[number % 2],
                "access": drawn.choice(("Allow", "Deny")),
                "protocol": drawn.choice(("Tcp", "Udp", "*")),
                "sourcePortRange": "*",
                "destinationPortRange": draw_ports(drawn),
                "sourceAddressPrefix": draw_prefix(drawn) if number % 2 == 0 else "*",
                "destinationAddressPrefix": draw_prefix(drawn) if number % 2 else "*",
            }
            for number in range(rules)
        ],
    }


def draw_prefix(drawn: random.Random) -> str:
    """A prefix of 8 to 24 bits outside 10.0.0.0/8."""
    length = drawn.randint(8, 24)
    network = drawn.randrange(11 << 24, 223 << 24) >> (32 - length) << (32 - length)
    return f"{dotted(network)}/{length}"


def dotted(value: int) -> str:
    """An IPv4 address as text."""
    return ".".join(str(value >> shift & 255) for shift in (24, 16, 8, 0))


def draw_ports(drawn: random.Random) -> str:
    """A port or a range."""
    first = drawn.randrange(65000)
    return str(first) if drawn.random() < 0.5 else f"{first}-{first + drawn.randrange(500)}"


def draw_policy(drawn: random.Random, rules: int = RULES) -> QuestionedPolicy:
    """Two subnets and two interfaces with a group each."""
    document = {
        "virtualNetworks": [
            {
                "name": "lab",
                "addressSpace": ["10.0.0.0/16"],
                "subnets": [
                    {
                        "name": f"subnet{number}",
                        "addressPrefix": f"10.0.{number}.0/24",
                        "networkSecurityGroup": f"subnet{number}",
                    }
                    for number in (1, 2)
                ],
            }
        ],
        "networkInterfaces": [
            {
                "name": f"nic{number}",
                "subnet": f"lab/subnet{number}",
                "privateIPAddresses": [f"10.0.{number}.4"],
                "networkSecurityGroup": f"nic{number}",
            }
            for number in (1, 2)
        ],
        "networkSecurityGroups": [
            draw_group(drawn, f"{kind}{number}", rules)
            for kind in ("subnet", "nic")
            for number in (1, 2)
        ],
    }
    loaded = load_documents([Document("drawn.json", json.dumps(document).encode())])
    return QuestionedPolicy(loaded.model)


def draw_question(drawn: random.Random) -> dict[str, str]:
    """A question as Azure's API has it: a random remote address and random ports."""
    number = drawn.choice((1, 2))
    return {
        "nic": f"nic{number}",
        "direction": drawn.choice(("Inbound", "Outbound")),
        "protocol": drawn.choice(("TCP", "UDP")),
        "localIPAddress": f"10.0.{number}.4",
        "localPort": str(drawn.randrange(65536)),
        "remoteIPAddress": dotted(drawn.randrange(1 << 24, 224 << 24)),
        "remotePort": str(drawn.randrange(65536)),
    }


def measure(title: str, questions: int, seconds: float) -> None:
    """Print one line."""
    print(
        f"{title:<34} {questions / seconds:>10,.0f} answers/s  {seconds * 1e6 / questions:6.2f} us"
    )


def main() -> None:
    """Draw, warm nothing up, and print both rates of one process on one core."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--questions", type=int, default=400_000)
    parser.add_argument("--seed", default="nsgd")
    options = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    drawn = random.Random(options.seed)
    policy = draw_policy(drawn)
    questions = [draw_question(drawn) for _ in range(options.questions)]
    lines = [json.dumps(question).encode() + b"\n" for question in questions]

    verifier = BatchVerifier(policy)
    started_s = time.process_time()
    for question in questions:
        verifier.answer(question)
    measure("first time asked, without JSON", len(questions), time.process_time() - started_s)
    started_s = time.process_time()
    for question in questions:
        verifier.answer(question)
    measure("asked again, without JSON", len(questions), time.process_time() - started_s)

    verifier = BatchVerifier(policy)
    started_s = time.process_time()
    answers = [verifier.answer_line(line)[0] for line in lines]
    measure("first time asked, JSON in and out", len(lines), time.process_time() - started_s)
    started_s = time.process_time()
    answers = [verifier.answer_line(line)[0] for line in lines]
    measure("asked again, JSON in and out", len(lines), time.process_time() - started_s)
    allowed = sum('"Allow"' in answer for answer in answers)
    print(f"{len(set(answers))} different answers, {100 * allowed / len(answers):.0f} % Allow")


if __name__ == "__main__":
    main()
