"""What every system's row of packages owes: sources, keys, and a refusal that says what next."""

from __future__ import annotations

import fnmatch
import itertools
from collections.abc import Callable, Iterable
from functools import partial
from typing import Optional

import pytest
import yaml
from helpers import ROOT

from ansible.module_utils.torchnode import nvidia_packages as names
from ansible.module_utils.torchnode.cudnn_choice import cudnn_wish
from ansible.module_utils.torchnode.data import nvidia_packages as tables
from ansible.module_utils.torchnode.data.compatibility import DRIVER_BRANCHES
from ansible.module_utils.torchnode.data.vendor_keys import VENDOR_KEYS
from ansible.module_utils.torchnode.host_survey import PATTERNS
from ansible.module_utils.torchnode.model import Accelerator, System
from ansible.module_utils.torchnode.package_model import PackageWish
from ansible.module_utils.torchnode.policy import Conflict

SPECS = yaml.safe_load((ROOT / "roles/policy/meta/argument_specs.yml").read_text(encoding="utf-8"))[
    "argument_specs"
]["main"]["options"]
SYSTEMS = [
    System("Linux", machine, "6.1.0", row.os_ids[0], row.os_version, row.folder)
    for row in tables.SYSTEMS
    for machine in (*tables.ARCHES, "riscv64")
]
VERSIONS = ["", "580.95.05", *(branch.branch for branch in DRIVER_BRANCHES)]
B200 = Accelerator("cuda", "nvidia", 0, "NVIDIA B200", pci_id="10de:2901")


def every_question(where: System, origin: str) -> list[Callable[[], object]]:
    """All that may be asked about a system, for each branch and flavour."""
    asked: list[Callable[[], object]] = [
        lambda: names.source_wish(where, origin, ""),
        lambda: names.system_source_wish(where, origin),
        lambda: names.container_wish(where),
        lambda: names.header_packages(where, ["6.1.0-50-amd64"]),
    ]
    for version, flavour in itertools.product(VERSIONS, ("open", "proprietary")):
        asked.append(partial(names.driver_wish, where, origin, version, flavour))
    for version in VERSIONS:
        asked.append(partial(names.fabric_wish, where, origin, version, [B200, B200], []))
    for major in (12, 13):
        asked.append(partial(names.toolkit_wish, where, origin, "%d.0" % major))
        asked.append(partial(cudnn_wish, where, origin, major, ""))
        asked.append(partial(names.dcgm_wish, where, origin, [major]))
    return asked


def refusal(ask: Callable[[], object]) -> Optional[Conflict]:
    try:
        ask()
    except Conflict as refused:
        return refused
    return None


@pytest.mark.parametrize("origin", ["nvidia", "distribution"])
@pytest.mark.parametrize("where", SYSTEMS, ids=lambda s: "%s-%s" % (s.os_name, s.machine))
def test_every_question_is_answered_or_refused_with_a_way_out(where: System, origin: str) -> None:
    refusals = [refused for ask in every_question(where, origin) if (refused := refusal(ask))]
    assert all(refused.argument in SPECS for refused in refusals)
    assert all(refused.found and refused.expected for refused in refusals)
    assert all(refused.remedy and refused.nearest for refused in refusals)


@pytest.mark.parametrize("origin", ["nvidia", "distribution"])
@pytest.mark.parametrize("where", SYSTEMS, ids=lambda s: "%s-%s" % (s.os_name, s.machine))
def test_the_survey_looks_for_all_that_may_be_installed(where: System, origin: str) -> None:
    """What it does not look for would be wished again in every run, and never be there."""
    for ask in every_question(where, origin):
        if refusal(ask):
            continue
        wish = ask()
        if isinstance(wish, PackageWish):
            assert not unseen(wish.packages)


@pytest.mark.parametrize("row", tables.SYSTEMS, ids=lambda row: row.folder)
def test_the_survey_looks_for_the_headers_of_every_kernel(row: tables.PackageSystem) -> None:
    for variant in ("", "-64k"):
        assert not unseen(name.replace("{variant}", variant) for _, name in row.headers)


def unseen(packages: Iterable[str]) -> list[str]:
    """Packages that the survey does not ask the package manager for."""
    return [n for n in packages if not any(fnmatch.fnmatchcase(n, p) for p in PATTERNS)]


@pytest.mark.parametrize("row", tables.SYSTEMS, ids=lambda row: row.folder)
def test_a_row_has_its_sources_and_words_that_others_know(row: tables.PackageSystem) -> None:
    assert row.cited
    assert all(way.cited for way in (*row.nvidia, *row.distribution))
    assert all(way.cited for way in (*row.fabric, *row.distribution_fabric))
    assert row.family in ("deb", "rpm")
    assert row.initramfs in ("initramfs-tools", "dracut")
    assert row.pinning in (("preferences",) if row.family == "deb" else ("stream", "versionlock"))
    assert row.headers[-1][0] == ""
    assert bool(row.distribution) is bool(row.branches)


def test_the_repositories_whose_key_is_not_known_whole_are_these() -> None:
    """A row leaves this list when its key's text is found; none joins it unseen."""
    known = {key.name for key in VENDOR_KEYS.values() if key.file}
    refused = {row.folder for row in tables.SYSTEMS if row.key not in known}
    assert refused == {"ubuntu2604", "rhel9", "rhel10", "amzn2023"}
