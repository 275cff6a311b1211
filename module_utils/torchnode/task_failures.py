"""Why Ansible itself could not reach a node or run a module there, told from its message. Pure.

The patterns are what OpenSSH, sudo, Python and ansible-core print; what none of them fits is told
in general words.
"""

from __future__ import annotations

import re
from typing import Optional, Tuple

#: Pattern, cause, remedy; the first that fits counts.
_KNOWN = (
    (
        r"Permission denied \(",
        "The node answered, and refused the user or the SSH key.",
        "Name the user (ansible_user) and the key (ansible_ssh_private_key_file) in the inventory, "
        "or add the key to that user's authorized_keys on the node; `ssh -v` shows which keys are "
        "offered. Then run again.",
    ),
    (
        r"Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED",
        "The node's SSH host key is not the one that the controller knows.",
        "Compare the fingerprint on the node's console, then add the key with `ssh-keyscan`; after "
        "a reinstallation take the old one out first with `ssh-keygen -R`.",
    ),
    (
        r"Could not resolve hostname",
        "The node's name has no address here.",
        "Correct the name in the inventory, or give the address as ansible_host.",
    ),
    (
        r"Connection refused",
        "The machine answers, but no SSH server listens on that port.",
        "Start sshd on the node, or correct ansible_host and ansible_port in the inventory.",
    ),
    (
        r"Connection timed out|No route to host",
        "Nothing answers at the node's address.",
        "Check the node's power and its network, the address in ansible_host, and any firewall in "
        "between, then run again.",
    ),
    (
        r"password is required|Missing sudo password",
        "sudo on the node wants a password, and none was given.",
        "Run again with -K (--ask-become-pass), or allow this user sudo without a password.",
    ),
    (
        r"Incorrect sudo password",
        "sudo on the node refused the password.",
        "Run again with -K (--ask-become-pass) and that user's own password.",
    ),
    (
        r"not in the sudoers|not allowed to|may not run sudo",
        "This user may not use sudo on the node.",
        "Add the user to the node's sudoers, name another with ansible_user, or take "
        "ansible_become out of the inventory: without root, torchnode installs into the user's own "
        "folder.",
    ),
    (
        r"(?s)become success.*(not found|No such file)",
        "The program that should make the user root (sudo by default) is not on the node.",
        "Install sudo there, name another with ansible_become_method, or connect as root.",
    ),
    (
        r"interpreter .* was not found",
        "The Python that Ansible should use on the node is not there.",
        "Install Python 3.9 or later on the node, or name one with ansible_python_interpreter.",
    ),
    (
        r"(?s)Errno.*torchnode_prefix and torchnode_facts_folder name folders",
        "The prefix or the folder of the local fact cannot be made or written by this user.",
        "Name folders in torchnode_prefix and torchnode_facts_folder that this user may write and "
        "that no file stands in the way of, mend what the message names, or use ansible_become.",
    ),
    (
        r"gave no answer|No start of json char|MODULE FAILURE|minimum of Python",
        "The Python that Ansible uses on the node could not run the module: it is too old, or "
        "broken.",
        "Name a Python 3.9 or later of the node with ansible_python_interpreter; run again with "
        "-vvv for all that it printed.",
    ),
    (
        r"Data could not be sent to remote host",
        "ssh ended before Ansible had told it what to do, and its own words came too late.",
        "Run `ssh` by hand with the same user, key and address: it says why it ends. Or run again: "
        "on a controller that is less busy its words reach the report.",
    ),
)

#: Ansible checks the variables of a role in a task of this name, and stops at the first.
_CHECKED = "Validating arguments against arg spec"
_VALIDATION = re.compile(r"^(?:Task failed: )?(?:Validation of arguments failed:\s*)?")

_VARIABLES = (
    "A variable has another type or value than it may have, or refers to one that is not set.",
    "Correct it where it is set (the inventory, group_vars, -e): docs/variables.md has the type "
    "and the choices of each. `ansible-inventory --host NODE` shows what the node gets.",
)
#: ansible-core stops so, without the name, where keys are expected and a list or a text is given.
_NO_KEYS = re.compile(r"is not iterable")
_UNREACHABLE = (
    "The controller could not reach the node, or lost it.",
    "Check the node's power, its network, the SSH key and the user in the inventory, then run "
    "again.",
)
_TASK_FAILED = (
    "A task of the run failed on this node.",
    "Read the task's message, mend what it names, and run again: finished steps are not repeated.",
)


def of_variables(task: str, message: str) -> Optional[Tuple[str, str, str]]:
    """(observed, cause, remedy) where a role's check of its variables failed, else None."""
    if _CHECKED not in task:
        return None
    said = _VALIDATION.sub("", message)
    if _NO_KEYS.search(said):
        said = "a list or a text where a variable holds keys, such as torchnode_expect (%s)" % said
    return (said, *_VARIABLES)


def explain(message: str, unreachable: bool = False) -> Tuple[str, str]:
    """Cause and remedy for the message of a task that failed, or whose node was unreachable."""
    for pattern, cause, remedy in _KNOWN:
        if re.search(pattern, message):
            return cause, remedy
    return _UNREACHABLE if unreachable else _TASK_FAILED
