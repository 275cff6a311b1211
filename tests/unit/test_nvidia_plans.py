"""What holds for every plan of the NVIDIA path: whatever the system, the parts and the wishes.

Each rule is stated from the archives' own lists and from the parts, not from the code that decides.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import re
from collections.abc import Iterable
from typing import Any, Optional, Union

import jsonschema
import pytest
from helpers import B200, LOCKS, ROOT, driver, gpu, machine, policy
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from stub_repository import catalogue_deb, catalogue_rpm

from ansible.module_utils.torchnode.data import nvidia_packages as tables
from ansible.module_utils.torchnode.data.nvidia_parts import PRODUCTS, lookup
from ansible.module_utils.torchnode.model import Facts, Stack, System, as_data
from ansible.module_utils.torchnode.package_model import HostSoftware, Kernel, Package, PackageWish
from ansible.module_utils.torchnode.plan import plan, preflight
from ansible.module_utils.torchnode.policy import Conflict, HostPolicy, Policy
from ansible.module_utils.torchnode.stack import resolve

#: A release of each branch, as the stand-ins of NVIDIA's repositories take them.
VERSIONS = ("535.230.02", "550.163.01", "570.195.03", "580.95.05", "590.44.01", "595.71.05",
            "610.43.02")  # fmt: skip
KERNELS = {
    "debian": ("6.1.0-50-amd64", "6.12.107+deb13-cloud-amd64"),
    "ubuntu": ("6.8.0-51-generic", "6.14.0-36-generic", "7.0.0-14-nvidia"),
    "rhel": ("5.14.0-570.12.1.el9_6.x86_64", "6.12.0-55.9.1.el10_0.x86_64"),
    "amzn": ("6.1.102-108.177.amzn2023.x86_64", "6.12.40-63.114.amzn2023.x86_64"),
}
SUITES = {"debian12": "bookworm", "debian13": "trixie", "ubuntu2204": "jammy",
          "ubuntu2404": "noble", "ubuntu2604": "resolute"}  # fmt: skip
#: Parts by the rules of their generation, as NVIDIA states them.
OPEN_ONLY = ("blackwell", "grace-hopper")
PROPRIETARY_ONLY = ("maxwell", "pascal", "volta")
LAST_OF_OLD = 580
#: What brings a driver: NVIDIA's CUDA metapackages, and those of drivers.
BRINGS_A_DRIVER = re.compile(
    r"cuda|cuda-[0-9]+-[0-9]+|cuda-(runtime|demo-suite|drivers)\b.*|nvidia-open\b.*"
    r"|nvidia-driver(-[0-9]+.*)?|cuda-compat-.*"
)


# ---- what the archives have --------------------------------------------------------------------


@functools.cache
def listed(file: str, suite: str) -> frozenset[str]:
    """Names of a suite of a captured archive; what only leads on to another branch is none."""
    text = (ROOT / "tests/fixtures/packages" / file).read_text(encoding="utf-8")
    rows = [line.split() for line in text.splitlines() if line.startswith(suite + " ")]
    assert len(rows) > 10
    return frozenset(row[1] for row in rows if not leads_on(row[1], row[2]))


def leads_on(name: str, version: str) -> bool:
    named = re.search(r"-(\d{3})(?:-server)?(?:-open)?$", name)
    return bool(named) and not version.startswith(str(named and named.group(1)) + ".")


@functools.cache
def of_nvidia(folder: str) -> frozenset[str]:
    """Names of NVIDIA's repository: constructed stand-ins, whose names were read in real lists."""
    if folder.startswith(("debian", "ubuntu")):
        return frozenset(stub.name for stub in catalogue_deb.catalogue(folder, VERSIONS))
    rhel = folder if folder.startswith("rhel") else "rhel9"
    return frozenset(stub.name for stub in catalogue_rpm.catalogue(rhel, VERSIONS))


def of_distribution(folder: str) -> frozenset[str]:
    file = "debian.txt" if folder.startswith("debian") else "ubuntu.txt"
    return listed(file, SUITES[folder])


def is_header(name: str) -> bool:
    return name.startswith(("linux-headers-", "kernel-devel-")) or "-devel-6." in name


def of_kind(device_id: int) -> tuple[str, str]:
    part = lookup(device_id)
    return (part.generation, part.form) if part else ("", "")


# ---- any machine, any wish ---------------------------------------------------------------------


#: One part of each generation and form, and twice as many of those that most plans are for.
PARTS = [
    next(p.device_id for p in PRODUCTS if of_kind(p.device_id) == kind)
    for kind in sorted({of_kind(p.device_id) for p in PRODUCTS})
] + [0x2330, 0x2335, 0x20B2, 0x2901, 0x2342, 0x1DB1, 0x2941]


@st.composite
def machines(draw: Any) -> Facts:
    row = draw(st.sampled_from(tables.SYSTEMS))
    os_id = draw(st.sampled_from(row.os_ids))
    minor = draw(st.sampled_from([".4", ".10"])) if row.os_ids[0] == "rhel" else ""
    kernels = draw(st.lists(st.sampled_from(KERNELS[row.os_ids[0]]), min_size=1, unique=True))
    system = dataclasses.replace(
        machine().system, machine=draw(st.sampled_from(["x86_64", "aarch64"])), os_id=os_id,
        os_version=row.os_version + minor, kernel=kernels[0],
        container=draw(st.sampled_from([None, None, None, "docker"])),
    )  # fmt: skip
    ids = draw(st.lists(st.sampled_from(PARTS), min_size=1, max_size=2, unique=True))
    ids = [part for part in ids for _ in range(draw(st.sampled_from([1, 4])))]
    loaded = draw(st.sampled_from([None, None, *VERSIONS[:5]]))
    found = draw(st.sampled_from(["", "", "", "nvidia", "distribution", "runfile"]))
    host = HostSoftware(
        "apt" if row.family == "deb" else "dnf", packages(draw, found, loaded), found,
        "constructed" if found else "", kernels=tuple(Kernel(k, True) for k in kernels),
    )  # fmt: skip
    return machine(
        pythons=("3.12.3",), architecture=system.machine, system=system, host=host,
        accelerators=tuple(gpu(part, at) for at, part in enumerate(ids)),
        switches=draw(st.sampled_from([(), ("0000:05:00.0",)])),
        drivers=(driver(loaded),) if loaded and found else (),
    )  # fmt: skip


def packages(draw: Any, found: str, loaded: Optional[str]) -> tuple[Package, ...]:
    """A library and a toolkit that are there already, whoever brought them."""
    names = draw(st.lists(st.sampled_from(["libcuda1", "nvidia-cuda-toolkit"]), unique=True))
    versions = {"libcuda1": loaded or "535.261.03", "nvidia-cuda-toolkit": "12.0.140~12.0.1-4"}
    return tuple(Package(name, versions[name] + "-1") for name in names)


DIAGS = "infiniband-diags"
BRANCHES = [version.split(".")[0] for version in VERSIONS]
WISHES = st.fixed_dictionaries(
    {
        "nvidia_source": st.sampled_from(["auto", "auto", "nvidia", "distribution"]),
        "cuda_toolkits": st.sampled_from(
            [(), (), ("12.8",), ("13.0",), ("12.8", "13.0"), ("11.8",), ("12.4",), ("12.0",)]
        ),
        "cuda_toolkit_source": st.sampled_from(["auto", "auto", "repository", "wheel"]),
        "cudnn": st.sampled_from(["", "", "9", "9.10.2", "9.12"]),
        "cudnn_source": st.sampled_from(["auto", "repository", "wheel"]),
        "container_toolkit": st.booleans(),
        "dcgm": st.booleans(),
        "nvidia_key_file": st.just("/key.asc"),
        "nvidia_key_fingerprint": st.just("A" * 40),
    }
)
POLICIES = st.builds(
    lambda host, version, flavour: dataclasses.replace(
        policy(driver_version=version, driver_flavour=flavour), host=HostPolicy(**host)
    ),
    WISHES,
    st.sampled_from(["", "", "", "", *BRANCHES, *VERSIONS]),
    st.sampled_from(["auto", "auto", "auto", "open", "proprietary"]),
)


def resolved(facts: Facts, wishes: Policy) -> Union[Stack, Conflict]:
    """The stack, or the refusal, which must say what next."""
    try:
        return resolve(facts, wishes, LOCKS)
    except Conflict as conflict:
        refused = conflict
    assert refused.remedy
    assert refused.expected
    return refused


# ---- the rules ---------------------------------------------------------------------------------


def every_package_is_in_its_archive(row: tables.PackageSystem, stack: Stack) -> None:
    assert stack.host
    for wish in stack.host.wishes:
        for name in wish.packages:
            if is_header(name) or name in (tables.HOST_COMPILER[row.family], row.holder, DIAGS):
                continue  # of the system's own sources, whatever the origin
            own = of_distribution if from_distribution(stack, wish) else of_nvidia
            if own is of_nvidia:  # the stand-ins have some releases of toolkits and cuDNN only
                name = re.sub(r"^cuda-toolkit-\d+-\d+$", "cuda-toolkit-12-8", name)
                name = re.sub(r"^(libcudnn9-.*)cuda-11$", r"\1cuda-12", name)
            assert name in own(row.folder), (row.folder, stack.host.origin, wish)


def from_distribution(stack: Stack, wish: PackageWish) -> bool:
    assert stack.host
    return stack.host.origin == "distribution" and wish.component != "nvidia_container_toolkit"


def there_is_one_origin(row: tables.PackageSystem, stack: Stack, wished: str, found: str) -> None:
    assert stack.host
    uris = [s.uri for s in stack.host.sources if "container" not in s.name and s.uri]
    components = [c for source in stack.host.sources for c in source.components]
    if stack.host.origin == "distribution":
        assert not uris
        assert set(components) <= set(row.components)
    else:
        assert set(components) <= set(row.contrib)
    if any(wish.component == "nvidia_driver" for wish in stack.host.wishes):
        assert found in ("", stack.host.origin)
        assert wished in ("auto", stack.host.origin)


def no_toolkit_brings_a_driver(stack: Stack) -> None:
    assert stack.host
    for wish in stack.host.wishes:
        if wish.component != "nvidia_driver":
            assert not [name for name in wish.packages if BRINGS_A_DRIVER.fullmatch(name)], wish


def the_flavour_is_one_that_every_gpu_allows(facts: Facts, stack: Stack) -> None:
    generations = {part.generation for part in map(part_of, facts.accelerators) if part}
    if stack.driver is None or stack.host is None or stack.host.origin == "preinstalled":
        return
    if generations & set(OPEN_ONLY):
        assert stack.driver.flavour == "open"
        assert not generations & set(PROPRIETARY_ONLY)
    if generations & set(PROPRIETARY_ONLY):
        assert stack.driver.flavour == "proprietary"
        assert int(stack.driver.branch) <= LAST_OF_OLD
    modules = [
        name
        for wish in stack.host.wishes if wish.component == "nvidia_driver"
        for name in wish.packages if "dkms" in name and not is_header(name)
    ]  # fmt: skip
    assert modules
    assert all(("open" in name) is (stack.driver.flavour == "open") for name in modules)


def part_of(device: Any) -> Any:
    return lookup(int(device.pci_id.partition(":")[2], 16))


def what_follows_the_driver_follows_it(stack: Stack) -> None:
    assert stack.host
    (drivers, fabrics) = (
        [wish for wish in stack.host.wishes if wish.component == component]
        for component in ("nvidia_driver", "nvidia_fabric")
    )
    assert len(drivers) <= 1
    for wish in fabrics:
        assert drivers
        assert wish.version_of == drivers[0].family
        assert wish.version == drivers[0].version


def the_plan_can_be_told(facts: Facts, stack: Stack) -> None:
    """Every step and every outcome before it has its words."""
    steps = plan(facts, stack)
    for step in steps:
        assert step.before
        assert step.after
        assert step.why
        assert step.action in ("install", "change", "mend")
    for outcome in preflight(facts, stack, steps, allow_busy=False):
        assert outcome.observed
        assert outcome.expected


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(facts=machines(), wishes=POLICIES)
def test_every_plan_keeps_the_rules(facts: Facts, wishes: Policy) -> None:
    stack = resolved(facts, wishes)
    event("refused: " + stack.argument if isinstance(stack, Conflict) else "planned")
    if isinstance(stack, Conflict):
        return
    assert stack.host
    assert facts.host
    row = row_of(facts.system)
    every_package_is_in_its_archive(row, stack)
    there_is_one_origin(row, stack, wishes.host.nvidia_source, facts.host.origin)
    no_toolkit_brings_a_driver(stack)
    the_flavour_is_one_that_every_gpu_allows(facts, stack)
    what_follows_the_driver_follows_it(stack)
    the_plan_can_be_told(facts, stack)
    the_report_holds_it(stack)


def the_report_holds_it(stack: Stack) -> None:
    """Programs read the report by its schema: every field of a stack is in it."""
    jsonschema.validate(as_data(stack), {**SCHEMA, "$ref": "#/$defs/stack"})


SCHEMA = {
    key: value
    for key, value in json.loads(
        (ROOT / "docs" / "schema" / "report-1.schema.json").read_text("utf-8")
    ).items()
    if key in ("$schema", "$defs")
}


def row_of(system: System) -> tables.PackageSystem:
    versions = (system.os_version, system.os_version.split(".")[0])
    return next(r for r in tables.SYSTEMS if system.os_id in r.os_ids and r.os_version in versions)


# ---- every system by its default ---------------------------------------------------------------

H200, V100, GH200 = 0x2335, 0x1DB1, 0x2342


def defaults() -> Iterable[Any]:
    for row in tables.SYSTEMS:
        for origin in ("nvidia", *(["distribution"] if row.distribution else [])):
            for arch in row.arches:
                yield pytest.param(row, origin, arch, id="%s-%s-%s" % (row.folder, origin, arch))


DEBIANS, UBUNTUS = ("debian12", "debian13"), ("ubuntu2204", "ubuntu2404", "ubuntu2604")
REFUSED = {
    # One branch, too old for Blackwell; and for Arm torch's builds need CUDA 13, hence 580.
    *((folder, "distribution", "x86_64", B200) for folder in DEBIANS),
    *((folder, "distribution", "aarch64", part) for folder in DEBIANS
      for part in (H200, B200, GH200)),
    # Ubuntu has no subnet manager for a board of these.
    *((folder, "distribution", arch, B200) for folder in UBUNTUS for arch in ("x86_64", "aarch64")),
    # NVIDIA's repository of this release begins after the last branch for Volta.
    ("ubuntu2604", "nvidia", "x86_64", V100),
    # No torch build has code for a Volta beside an Arm processor.
    *((row.folder, origin, "aarch64", V100) for row in tables.SYSTEMS
      for origin in ("nvidia", "distribution")),
}  # fmt: skip


@pytest.mark.parametrize(("row", "origin", "arch"), [*defaults()])
@pytest.mark.parametrize("part", [H200, V100, B200, GH200])
def test_a_bare_machine_gets_a_driver_or_a_reason(
    row: tables.PackageSystem, origin: str, arch: str, part: int
) -> None:
    """A board of two, with no wish but the origin: the rules hold here without chance."""
    system = dataclasses.replace(
        machine().system, machine=arch, os_id=row.os_ids[0], os_version=row.os_version
    )
    host = HostSoftware("apt" if row.family == "deb" else "dnf")
    facts = machine(part, part, system=system, architecture=arch, host=host, pythons=("3.12.3",))
    bridges = ("0000:a5:00.0",) if part == B200 else ()
    facts = dataclasses.replace(facts, system=system, switches=bridges)
    own = HostPolicy(origin, nvidia_key_file="/k", nvidia_key_fingerprint="A" * 40)
    wishes = dataclasses.replace(policy(), host=own)
    stack = resolved(facts, wishes)
    if isinstance(stack, Conflict):
        assert (row.folder, origin, arch, part) in REFUSED
        assert "branch 5" not in stack.nearest, "none was wished"
        return
    assert (row.folder, origin, arch, part) not in REFUSED
    every_package_is_in_its_archive(row, stack)
    the_flavour_is_one_that_every_gpu_allows(facts, stack)
