"""Records travel as plain data and come back equal."""

from __future__ import annotations

import json

import pytest
from helpers import H200, LOCKS, machine, policy

from ansible.module_utils.torchnode.model import (
    Accelerator,
    Facts,
    Link,
    Stack,
    as_data,
    from_data,
)
from ansible.module_utils.torchnode.stack import resolve


def test_facts_and_stack_come_back_equal() -> None:
    facts = machine(H200, H200, loaded="580.159.04")
    stack = resolve(facts, policy(), LOCKS)
    for record in (facts, stack):
        assert from_data(type(record), json.loads(json.dumps(as_data(record)))) == record


def test_nested_optional_records() -> None:
    accelerator = Accelerator("cuda", "nvidia", 0, "a GPU", link=Link("32.0 GT/s PCIe", 16))
    assert from_data(Accelerator, as_data(accelerator)) == accelerator


def test_unknown_and_missing_fields_are_named() -> None:
    with pytest.raises(TypeError, match="Link has no field colour"):
        from_data(Link, {"speed": "x", "width": 1, "colour": "red"})
    with pytest.raises(TypeError, match="width"):
        from_data(Link, {"speed": "x"})
    with pytest.raises(TypeError):
        from_data(Facts, {})


def test_the_interpreter_of_a_stack() -> None:
    made = Stack("cpu", (), "p", "w", "/opt/x", "/usr/bin/python3", "3.11.2")
    assert made.interpreter == "/opt/x/current/bin/python"
    adopted = Stack("cpu", (), "p", "w", "/opt/x", "/env/bin/python", "", adopted=True)
    assert adopted.interpreter == "/env/bin/python"
