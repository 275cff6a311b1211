"""How a node's progress reaches the terminal: a look at its progress file, and a pipe.

The worker that Ansible forks for a node runs the module in the ordinary way; a thread beside it
reads the module's progress file now and then, and writes what it says into a pipe that the
callback opened before the fork. Nothing else is shared, nothing lies on the controller's disk.
"""

from __future__ import annotations

import contextlib
import contextvars
import copy
import json
import os
import select
import shlex
import signal
import threading
from typing import Any, ContextManager, Dict, List, Optional, Tuple, Type

from ansible.errors import AnsibleError

from .orphan_watch import EndWithParent
from .progress_lines import News

#: The callback says here, for the forked workers: the pipe's end, and the seconds between looks.
ENVIRONMENT = "TORCHNODE_PROGRESS"
#: A look costs the controller about 20 ms over SSH. With many nodes each is looked at less often,
#: so that all looks together take a twentieth of a core at most.
SECONDS_A_NODE = 0.4
_JOIN_SECONDS = 2.0
_TEXT = 300  # characters: with a node's name less than PIPE_BUF, so no two messages are mixed up


class Pipe:
    """The callback's end. Open it before the first worker is forked."""

    def __init__(self, look_seconds: float) -> None:
        self._reads, self._writes = os.pipe()
        os.set_blocking(self._reads, False)
        os.set_blocking(self._writes, False)  # a worker never waits for a slow terminal
        self._rest = b""
        said = {"pipe": self._writes, "seconds": look_seconds}
        os.environ[ENVIRONMENT] = json.dumps(said)

    def news(self) -> List[Tuple[str, str, News]]:
        """(node, task id, news) for all that has come since the last call."""
        with contextlib.suppress(BlockingIOError):
            while part := os.read(self._reads, select.PIPE_BUF):
                self._rest += part
        *whole, self._rest = self._rest.split(b"\n")
        told = [json.loads(line) for line in whole]
        return [(node, task_id, News(text, rank)) for node, task_id, text, rank in told]


def send(pipe: int, node: str, task_id: str, news: News) -> None:
    """Write into the pipe whose number the environment says. Never waits, never raises."""
    message = (json.dumps([node, task_id, news.text, news.rank]) + "\n").encode()
    if len(message) <= select.PIPE_BUF:
        with contextlib.suppress(OSError):  # full, or nobody reads any more: the work goes on
            os.write(pipe, message)


def look_seconds(least: float, nodes: int) -> float:
    """How long to wait between two looks at one node while ``nodes`` are looked at."""
    return max(least, nodes * SECONDS_A_NODE)


def execute(action: Any, variables: Dict[str, Any]) -> Dict[str, Any]:
    """Run an action's own module; where it keeps a progress file, look at it meanwhile."""
    path, told = action._task.args.get("progress"), os.environ.get(ENVIRONMENT)
    looks: ContextManager[None] = contextlib.nullcontext()
    if path and told and not action._task.check_mode:
        looks = _Looks(action, variables, path, json.loads(told))
    with EndWithParent(), looks:
        answer: Dict[str, Any] = action._execute_module(task_vars=variables)
    return answer


class _Looks:
    """Looks at a progress file from a thread of its own while the context lasts."""

    def __init__(
        self, action: Any, variables: Dict[str, Any], path: str, told: Dict[str, Any]
    ) -> None:
        # A look needs no privilege, and must not share the state of the module's own login.
        self._connection = copy.copy(action._connection)
        self._connection.become = None
        self._command = "/bin/sh -c " + shlex.quote("cat " + shlex.quote(path))
        self._of = (str(variables.get("inventory_hostname")), str(action._task._uuid))
        self._pipe = int(told["pipe"])
        nodes = len(variables.get("ansible_play_hosts") or ())
        self._every = look_seconds(float(told["seconds"]), nodes)
        self._over = threading.Event()
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._look,), daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], _: object
    ) -> None:
        self._over.set()
        self._thread.join(_JOIN_SECONDS)  # a look that hangs must not hold up the result

    def _look(self) -> None:
        # Only the main thread can act on what ends a run: it must be the one that is woken.
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
        while not self._over.wait(self._every):
            state = self._read()
            if state is not None and not self._over.is_set():
                text = str(state.get("text"))[:_TEXT]
                send(self._pipe, *self._of, News(text, float(state.get("rank") or 0)))

    def _read(self) -> Optional[Dict[str, Any]]:
        try:
            status, out, _ = self._connection.exec_command(self._command, sudoable=False)
            state = json.loads(out) if status == 0 else None
        except (AnsibleError, OSError, ValueError):
            return None  # not there yet, gone already, or the node does not answer
        return state if isinstance(state, dict) else None
