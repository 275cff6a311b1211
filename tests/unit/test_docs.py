"""What the pages name exists: links, commands, files, variables; and every role has its page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from helpers import ROOT
from report_samples import document, fleet, texts

from ansible.module_utils.torchnode import journal

ROLES = sorted(path for path in (ROOT / "roles").iterdir() if path.is_dir())
PAGES = sorted(
    [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / "roles").glob("*/README.md"),
    ]
)
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))

LINK = re.compile(r"\[[^\]\n]+\]\(([^)\s]+)\)")
FENCE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`\n]+)`")

#: Where an absolute path in a page may lie: places of any machine, none of the writer's own.
PLACES = ("/opt/torchnode", "/etc/", "/usr/", "/path/to/", "/proc/", "/sys/", "/dev/")
ABSOLUTE = re.compile(r"(?<![\w.~/:<>*}-])/(?:[\w.+-]+/)*[\w.+-]+/?")

#: Names that begin like a variable and are none: the callbacks, and the groups of steps.
OTHER_NAMES = {path.stem for path in (ROOT / "callback_plugins").glob("torchnode_*.py")}
VARIABLE = re.compile(r"(?<![\w/])torchnode_[a-z_]*[a-z]\b(?!\.py|_)")

#: What a path of the project begins with, when a page writes it as code.
TOPS = {
    path.name + ("/" if path.is_dir() else "")
    for path in ROOT.iterdir()
    if path.name not in (".git", "reports") and not path.name.startswith(".venv")
}
NOT_CHECKED = re.compile(r"[<>*{}|…\s]|^reports/")


def variables() -> set[str]:
    file = ROOT / "roles" / "policy" / "meta" / "argument_specs.yml"
    return set(yaml.safe_load(file.read_text())["argument_specs"]["main"]["options"])


def metrics() -> set[str]:
    """The names of torchnode.prom's metrics, which begin like variables too."""
    written = texts(document(fleet(10, samples=4)), "torchnode.prom")
    return set(re.findall(r"^# TYPE (\w+)", written, re.MULTILINE))


def targets() -> set[str]:
    text = (ROOT / "Makefile").read_text()
    return set(re.findall(r"^([a-z][a-z-]*):", text, re.MULTILINE))


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    prose = FENCE.sub("", page.read_text())
    titles = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def unknown_variables(text: str) -> set[str]:
    found = {name for name in VARIABLE.findall(text) if not name.startswith("torchnode_needs_")}
    # 'torchnode_' followed by a placeholder names a pattern; a bare stem never matches.
    return found - variables() - metrics() - OTHER_NAMES


def foreign_paths(text: str) -> list[str]:
    found = [m.group() for m in ABSOLUTE.finditer(re.sub(r"\w+://\S+", "", text))]
    return [path for path in found if path.count("/") > 1 and not path.startswith(PLACES)]


def missing_files(text: str) -> list[str]:
    """The paths of the project that are written as code and do not exist."""
    named = [code for code in CODE.findall(FENCE.sub("", text)) if not NOT_CHECKED.search(code)]
    inside = [path for path in named if "/" in path and path.split("/")[0] + "/" in TOPS]
    return [path for path in inside if not (ROOT / path).exists()]


def missing_playbooks(text: str) -> list[str]:
    named = re.findall(r"(?<![\w/])(?:playbooks/)?(?:stages/)?[a-z_]+\.yml\b", text)
    played = [name for name in named if name.startswith("playbooks/") or name == "site.yml"]
    return [name for name in played if not (ROOT / name).exists()]


def unknown_targets(text: str) -> set[str]:
    commands = " ; ".join([*FENCE.findall(text), *CODE.findall(FENCE.sub("", text))])
    return set(re.findall(r"\bmake ([a-z][a-z-]*)", commands)) - targets()


@each_page
def test_links_lead_somewhere(page):
    for link in LINK.findall(FENCE.sub("", page.read_text())):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@each_page
def test_commands_exist(page):
    assert not unknown_targets(page.read_text())


@each_page
def test_variables_exist(page):
    assert not unknown_variables(page.read_text())


@each_page
def test_files_exist(page):
    text = page.read_text()
    assert not missing_files(text)
    assert not missing_playbooks(text)


@each_page
def test_no_path_is_the_writers_own(page):
    text = page.read_text()
    assert str(ROOT) not in text
    assert not foreign_paths(text)


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_every_role_has_a_page(role):
    page = role / "README.md"
    assert page.is_file()
    text = page.read_text()
    assert text.startswith(f"# {role.name}\n")
    assert 10 <= len(text.splitlines()) <= 30
    assert "**Inputs**" in text


def test_readme_names_both_commands():
    assert {"site", "test"} <= set(re.findall(r"make ([a-z]+)", (ROOT / "README.md").read_text()))


def test_every_page_is_reached_from_the_readme_or_contributing():
    starts = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    links = {
        (start.parent / link.partition("#")[0]).resolve()
        for start in starts
        for link in LINK.findall(start.read_text())
    }
    assert set((ROOT / "docs").glob("*.md")) <= links


@pytest.mark.parametrize("role", ["survey", "resolve", "verify", "apply", "record", "remove"])
def test_examples_are_yaml(role):
    text = (ROOT / "roles" / role / "README.md").read_text()
    for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL):
        for play in yaml.safe_load(block):
            assert {"hosts", "roles"} <= set(play)
            assert all((ROOT / "roles" / name).is_dir() for name in play["roles"])


# ---- the tests above are worth what these readers see ------------------------------------------


def test_the_readers_see_what_is_wrong():
    assert unknown_variables("set `torchnode_workloads`") == {"torchnode_workloads"}
    assert not unknown_variables("`torchnode_needs_changes` of torchnode_report, _torchnode_stage")
    assert foreign_paths("see /home/somebody/torchnode/README.md") != []
    assert not foreign_paths("see /opt/torchnode/current, pass/fail and https://a.example/b/c")
    assert missing_files("`library/nothing.py`") == ["library/nothing.py"]
    assert missing_playbooks("run playbooks/nothing.yml") == ["playbooks/nothing.yml"]
    assert unknown_targets("run `make nothing`") == {"nothing"}


@pytest.mark.parametrize("page", ["README.md", "docs/reports.md", "docs/how-a-run-works.md"])
def test_every_file_that_a_run_writes_is_named(page: str) -> None:
    text = (ROOT / page).read_text()
    assert [name for name in ("fleet.json", *journal.BESIDE) if f"`{name}`" not in text] == []


def test_pictures_are_light_and_drawn_by_the_tool() -> None:
    """Every clone carries each version of them; tools/fleet_picture.py refuses a heavier one."""
    pictures = list((ROOT / "docs" / "images").iterdir())
    assert [p.name for p in pictures] == ["fleet.png"]
    assert [p.name for p in pictures if p.stat().st_size >= 200_000] == []
