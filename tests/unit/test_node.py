"""Reading a node: nothing raises, commands end."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from ansible.module_utils.torchnode.node import Node, run_command


def test_reading(tmp_path: Path) -> None:
    node = Node(str(tmp_path))
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/a.conf").write_bytes(b"caf\xe9 \n\n")
    (tmp_path / "etc/b.conf").mkdir()
    (tmp_path / "etc/link").symlink_to("nowhere/a.conf")
    assert node.read("/etc/a.conf") == "caf\ufffd"
    assert node.read_bytes("/etc/a.conf") == b"caf\xe9 \n\n"
    assert node.read("/etc/b.conf") is None
    assert node.read("/etc/link") is None
    assert node.read("/missing") is None
    assert node.read_bytes("/missing") is None
    assert node.names("/etc", "*.conf") == ["a.conf", "b.conf"]
    assert node.names("/missing") == []
    assert node.glob("/*/?.conf") == ["/etc/a.conf", "/etc/b.conf"]
    assert node.glob("/etc/link") == ["/etc/link"]
    assert node.glob("/etc/missing") == []
    assert node.exists("/etc/a.conf")
    assert not node.exists("/etc/link")
    assert node.link("/etc/link") == "nowhere/a.conf"
    assert node.link_name("/etc/link") == "a.conf"
    assert node.link_name("/etc/a.conf") is None


def test_commands_tell_how_they_ended() -> None:
    program = "import os, sys; print(os.environ['LC_ALL']); sys.stderr.write('e'); sys.exit(3)"
    done = run_command([sys.executable, "-c", program])
    assert (done.rc, done.out.strip(), done.err) == (3, "C", "e")
    assert run_command(["/nowhere/command"]).rc == 127
    assert run_command([os.path.dirname(sys.executable)]).rc == 127


def test_a_command_that_hangs_is_ended() -> None:
    begun = time.monotonic()
    done = run_command([sys.executable, "-c", "import time; time.sleep(60)"], seconds=0.3)
    assert done.rc == 124
    assert "did not answer within 0.3 s" in done.err
    assert time.monotonic() - begun < 10


def test_output_that_is_no_text_is_read() -> None:
    code = "import sys; sys.stdout.buffer.write(b'\\xff')"
    assert run_command([sys.executable, "-c", code]).out == "\ufffd"
