"""tools/bootstrap: which interpreter it takes, what it says without one, when it remakes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UTILITIES = ("sh", "env", "dirname", "cat", "rm")
BROKEN_SHIM = "echo 'pyenv: python3: command not found' >&2; exit 127"
BASE = Path(sys.base_prefix) / "bin" / ("python%d.%d" % sys.version_info[:2])


class Machine:
    """A made-up machine: a checkout, a PATH and a home that hold only what a test puts there."""

    def __init__(self, root: Path) -> None:
        self.checkout, self.bin, self.home = root / "checkout", root / "bin", root / "home"
        for folder in (self.checkout / "tools", self.checkout / "requirements", self.bin):
            folder.mkdir(parents=True)
        (self.checkout / "module_utils").mkdir()
        self.home.mkdir()
        shutil.copy(ROOT / "tools" / "bootstrap", self.checkout / "tools")
        self.lock = self.checkout / "requirements" / "runtime.txt"
        self.lock.write_text("# nothing to install\n")
        for name in UTILITIES:
            found = shutil.which(name)
            assert found, name
            (self.bin / name).symlink_to(found)

    @property
    def venv(self) -> Path:
        """The environment that ``runtime`` makes."""
        return self.checkout / ".venv"

    def script(self, name: str, body: str) -> Path:
        """Put an executable on PATH (or at an absolute path)."""
        path = self.bin / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\n%s\n" % body)
        path.chmod(0o755)
        return path

    def python(self, name: str, version: str, ensurepip: str = "yes") -> Path:
        """Put a made-up interpreter there, which answers the question that it is asked."""
        return self.script(name, "echo '%s %s'" % (version, ensurepip))

    def bootstrap(self, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run the copied script on this machine."""
        return subprocess.run(
            [str(self.checkout / "tools" / "bootstrap"), *args],
            env={"PATH": str(self.bin), "HOME": str(self.home), "PIP_NO_INDEX": "1", **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def reason(self, **env: str) -> str:
        """What a dry run says."""
        done = self.bootstrap("--dry-run", "runtime", **env)
        assert done.returncode == 0, done.stderr
        return done.stderr


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine without any Python."""
    return Machine(tmp_path)


@pytest.fixture
def made(machine: Machine) -> Machine:
    """A machine whose environment was made for real, by a real interpreter, from an empty lock."""
    machine.script("python3", 'exec %s "$@"' % BASE)
    done = machine.bootstrap("runtime")
    assert done.returncode == 0, done.stderr
    return machine


def test_broken_shim_and_old_python_are_passed_over(machine: Machine) -> None:
    """The name on PATH decides nothing; the first candidate that runs and suffices does."""
    machine.script("python3", BROKEN_SHIM)
    machine.python("python3.13", "3.9.18")
    good = machine.python("python3.12", "3.12.1")
    done = machine.bootstrap("find")
    assert (done.returncode, done.stdout.strip()) == (0, str(good))


def test_a_candidate_without_ensurepip_gives_way(machine: Machine) -> None:
    """One that cannot make an environment is used by nobody while another can."""
    machine.python("python3", "3.13.0", ensurepip="no")
    good = machine.python("python3.11", "3.11.2")
    assert machine.bootstrap("find").stdout.strip() == str(good)


def test_the_probe_asks_for_ensurepip(machine: Machine) -> None:
    """A real interpreter whose ensurepip was packaged away is seen for what it is."""
    without = "import sys; sys.modules['ensurepip'] = None; exec(sys.argv[1])"
    machine.script("python3", 'exec %s -I -c "%s" "$3"' % (BASE, without))
    done = machine.bootstrap("find")
    assert done.returncode != 0
    assert "without ensurepip" in done.stderr


def test_pyenv_versions_are_the_last_resort(machine: Machine) -> None:
    """A pyenv whose shims fail still holds interpreters."""
    machine.script("python3", BROKEN_SHIM)
    place = machine.home / ".pyenv" / "versions" / "3.12.1" / "bin" / "python3"
    machine.python(str(place), "3.12.1")
    assert machine.bootstrap("find").stdout.strip() == str(place)


def test_find_takes_a_floor(machine: Machine) -> None:
    """CI asks for the Python of the newest ansible-core."""
    machine.python("python3", "3.11.2")
    assert machine.bootstrap("find").returncode == 0
    assert machine.bootstrap("find", "3.12").returncode == 1


def test_no_python_says_what_was_found_and_expected(machine: Machine) -> None:
    """The message is enough to act on."""
    shim = machine.script("python3", BROKEN_SHIM)
    old = machine.python("python3.11", "3.9.18")
    done = machine.bootstrap("runtime")
    assert done.returncode != 0
    assert "%s: exists, but does not run" % shim in done.stderr
    assert "%s: Python 3.9.18, too old" % old in done.stderr
    assert "expected: python3" in done.stderr
    assert "TORCHNODE_PYTHON=" in done.stderr
    assert not machine.venv.exists()


def test_a_python_from_before_its_release_gives_way(machine: Machine) -> None:
    """As Ubuntu 22.04's python3.11 is one: pip would leave ansible-core out, and say nothing."""
    early = machine.python("python3.11", "3.11.0candidate1", ensurepip="early")
    done = machine.bootstrap("runtime")
    assert done.returncode != 0
    assert "%s: Python 3.11.0candidate1, which came before the release" % early in done.stderr
    assert not machine.venv.exists()
    good = machine.python("python3.12", "3.12.1")
    assert machine.bootstrap("find").stdout.strip() == str(good)


def test_the_probe_asks_whether_it_is_released(machine: Machine) -> None:
    early = "import sys; sys.version_info = (3, 11, 0, 'candidate', 1); exec(sys.argv[1])"
    machine.script("python3", 'exec %s -I -c "%s" "$3"' % (BASE, early))
    assert "Python 3.11.0candidate1, which came" in machine.bootstrap("find").stderr


def test_missing_ensurepip_says_what_to_install(machine: Machine) -> None:
    """Debian keeps ensurepip in a package of its own."""
    machine.python("python3", "3.11.2", ensurepip="no")
    done = machine.bootstrap("runtime")
    assert done.returncode != 0
    assert "apt install python3.11-venv" in done.stderr
    assert "dnf install" in done.stderr


def test_the_named_python_is_the_only_candidate(machine: Machine) -> None:
    """TORCHNODE_PYTHON is an order, so a wrong one is an error and not a hint."""
    machine.python("python3", "3.12.1")
    named = machine.python("elsewhere/python", "3.13.0")
    assert machine.bootstrap("find", TORCHNODE_PYTHON=str(named)).stdout.strip() == str(named)
    old = machine.python("elsewhere/old", "3.9.18")
    done = machine.bootstrap("find", TORCHNODE_PYTHON=str(old))
    assert done.returncode != 0
    assert "TORCHNODE_PYTHON=%s" % old in done.stderr


def test_an_interpreter_path_with_a_space_works(machine: Machine) -> None:
    """A home directory may have any name."""
    named = machine.python("with space/python", "3.13.0")
    assert machine.bootstrap("find", TORCHNODE_PYTHON=str(named)).stdout.strip() == str(named)


def test_dry_run_changes_nothing(machine: Machine) -> None:
    """It says what would be done, and why."""
    machine.python("python3", "3.12.1")
    assert "does not exist yet" in machine.reason()
    assert not machine.venv.exists()


def test_unknown_argument_is_refused(machine: Machine) -> None:
    """A typing error starts nothing."""
    done = machine.bootstrap("runtim")
    assert done.returncode != 0
    assert "unknown argument runtim" in done.stderr


def test_every_reason_to_remake(made: Machine) -> None:
    """Up to date after making; then each kind of staleness is seen, and made good."""
    assert "is up to date" in made.reason()
    stamp = made.venv / ".stamp"
    original = stamp.read_text()

    made.lock.write_text("# something else\n")
    assert "requirements/runtime.txt has changed" in made.reason()
    made.lock.write_text("# nothing to install\n")
    assert "is up to date" in made.reason()

    stamp.unlink()
    assert "half made" in made.reason()

    stamp.write_text(original.replace("%d.%d.%d" % sys.version_info[:3], "3.11.0"))
    assert "its Python or its place has changed" in made.reason()
    stamp.write_text(original)

    python = made.venv / "bin" / "python"
    target = os.readlink(python)
    python.unlink()
    python.symlink_to("/nonexistent/python3")
    assert "its Python is gone" in made.reason()
    python.unlink()
    python.symlink_to(target)
    assert "is up to date" in made.reason()

    other = made.python("elsewhere/python", "3.99.0")
    assert "TORCHNODE_PYTHON is Python 3.99.0" in made.reason(TORCHNODE_PYTHON=str(other))


def test_a_failed_installation_leaves_no_stamp(machine: Machine) -> None:
    """What could not be installed is tried again next time, and says how to reach a mirror."""
    machine.script("python3", 'exec %s "$@"' % BASE)
    machine.lock.write_text("no-such-package==1.0 --hash=sha256:%s\n" % ("0" * 64))
    done = machine.bootstrap("runtime")
    assert done.returncode != 0
    assert "PIP_INDEX_URL" in done.stderr
    assert "half made" in machine.reason()


def test_locks_name_no_index() -> None:
    """No index, find-links directory or host of the compiling machine is in the locks."""
    for lock in sorted((ROOT / "requirements").glob("*.txt")):
        lines = [line for line in lock.read_text().splitlines() if not line.startswith("#")]
        assert lines
        for line in lines:
            assert "://" not in line, (lock.name, line)
            assert not line.lstrip().startswith(("-i", "-f", "--index", "--find", "--extra"))


def test_the_two_locks_agree() -> None:
    """The tests run on the very versions that ``make site`` installs."""
    pins = []
    for name in ("runtime", "dev"):
        text = (ROOT / "requirements" / (name + ".txt")).read_text()
        lines = [line.split("\\")[0].strip() for line in text.splitlines() if "==" in line]
        pins.append({line.split(";")[0].strip() for line in lines if not line.startswith("#")})
    assert pins[0] <= pins[1]
