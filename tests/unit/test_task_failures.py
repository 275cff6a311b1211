"""Ansible's own failures, told from what it prints."""

from __future__ import annotations

import pytest

from ansible.module_utils.torchnode import journal, task_failures

#: Messages as ansible-core 2.19 and 2.21 give them.
MESSAGES = {
    "make sure this host can be reached: root@h: Permission denied (publickey).": "authorized_keys",
    "Host key verification failed.": "ssh-keyscan",
    "ssh: Could not resolve hostname h: Name or service not known": "ansible_host",
    "ssh: connect to host h port 22: Connection refused": "ansible_port",
    "ssh: connect to host h port 22: Connection timed out": "power",
    'Data could not be sent to remote host "h". Make sure this host can be reached': "by hand",
    "Premature end of stream waiting for become success.\nsudo: a password is required": "-K",
    "Missing sudo password": "-K",
    "Incorrect sudo password": "own password",
    "become success.\nw is not in the sudoers file.": "sudoers",
    "become success.\n/bin/sh: 1: sudo: not found": "Install sudo",
    "The module interpreter '/no/python3' was not found.": "ansible_python_interpreter",
    "ansible-core requires a minimum of Python version 3.8. Current version: 3.6.8": "3.9",
}


@pytest.mark.parametrize("message", MESSAGES)
def test_a_known_message_has_a_cause_and_a_remedy_of_its_own(message: str) -> None:
    cause, remedy = task_failures.explain(message)
    assert MESSAGES[message] in remedy
    assert (cause, remedy) != task_failures.explain("something else")


def test_what_nobody_knows_is_told_in_general_words() -> None:
    assert "power" in task_failures.explain("?", unreachable=True)[1]
    assert "Read the task's message" in task_failures.explain("?")[1]


def test_a_module_without_an_answer_is_told_by_what_it_printed() -> None:
    result = {"msg": "No start of json char found", "module_stderr": "SyntaxError: x\n"}
    message = journal.message_of(result)
    assert message == "the module gave no answer: SyntaxError: x"
    assert "3.9" in task_failures.explain(message)[1]
