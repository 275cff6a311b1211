"""Checks of the interpreter, torch and the packages around it. Pure."""

from __future__ import annotations

from typing import List, Optional

from ..data.compatibility import TORCH_RELEASES
from ..data.profiles import BACKEND_MINIMA
from ..outcome import Outcome
from .subject import Subject, failed, passed, skipped, unmeasured, warned
from .versions import at_least, public, split, spoken

COMPANIONS = ("torchvision", "torchaudio")


def judge_software(subject: Subject) -> List[Outcome]:
    """All checks that need no device."""
    outcomes = [
        interpreter(subject),
        torch_import(subject),
        torch_version(subject),
        wheel_tag(subject),
        metadata_agrees(subject),
        single_torch(subject),
    ]
    outcomes += [package(subject, name) for name in ("accelerate", "transformers")]
    outcomes += [companion(subject, name) for name in COMPANIONS]
    return outcomes + operators_packages(subject)


def interpreter(subject: Subject) -> Outcome:
    """The interpreter runs and is new enough."""
    minimum, _who = subject.minimum("python", subject.profile.python)
    expected = "Python >= %s" % minimum
    version = subject.section("python").get("version")
    if version is None:
        if subject.report.timed_out:
            return unmeasured("interpreter", subject, "python", expected)
        if subject.no_stack is not None:
            return failed(
                "interpreter", "no_stack", "no stack", "a stack under " + subject.no_stack,
                prefix=subject.no_stack,
            )  # fmt: skip
        text = "; ".join(filter(None, (subject.report.ending(), last_line(subject))))
        return failed(
            "interpreter", "interpreter_unusable", "no answer", expected,
            python=subject.python, text=text, minimum=minimum,
        )  # fmt: skip
    if not at_least(version, minimum):
        return failed(
            "interpreter", "interpreter_too_old", version, expected,
            version=version, minimum=minimum,
        )  # fmt: skip
    return passed("interpreter", "Python %s at %s" % (version, subject.python), expected)


def last_line(subject: Subject) -> str:
    """The last line that the probe's process wrote to its standard error."""
    lines = subject.report.stderr_tail.strip().splitlines()
    return lines[-1].strip() if lines else ""


def torch_import(subject: Subject) -> Outcome:
    """torch can be imported."""
    report, expected = subject.report, "import torch works"
    imported = report.sections.get("torch_import")
    if imported is not None:
        observed = "%s in %s s from %s" % (
            imported["version"],
            imported["seconds"],
            imported["file"],
        )
        return passed("torch_import", observed, expected)
    error = report.errors.get("torch_import")
    if error is not None:
        return failed("torch_import", import_cause(error), error, expected, text=error)
    if report.unfinished == "torch_import" and not report.timed_out:
        text = "; ".join(filter(None, (report.ending(), last_line(subject))))
        return failed("torch_import", "torch_kills_interpreter", text, expected, text=text)
    return unmeasured("torch_import", subject, "torch_import", expected)


def import_cause(error: str) -> str:
    """The cause of an import torch that raised."""
    if "No module named 'torch'" in error:
        return "torch_missing"
    # torch imports the package of a backend by itself, so a broken one breaks torch.
    return "backend_autoload" if "Failed to load the backend extension" in error else "torch_broken"


def torch_version(subject: Subject) -> Outcome:
    """torch is new enough, by its base version."""
    minimum, who = subject.minimum("torch", subject.profile.minimum("torch"))
    expected = ">= %s" % minimum
    version = subject.torch_version
    if version is None:
        return unmeasured("torch_version", subject, "torch_import", expected)
    try:
        enough = at_least(version, minimum)
    except ValueError as problem:
        return failed(
            "torch_version", "torch_broken", version, expected, text="its version: %s" % problem
        )
    if not enough:
        return failed(
            "torch_version", "torch_too_old", spoken(version), expected,
            version=version, minimum=minimum, who=who,
        )  # fmt: skip
    return passed("torch_version", spoken(version), expected)


def wheel_tag(subject: Subject) -> Outcome:
    """This torch is the build that the stack names, by the local version in torch/version.py."""
    stack = subject.stack
    if subject.adopted or stack is None or stack.torch is None:
        return skipped("wheel_tag", "This environment was adopted: no stack names its build.")
    expected = stack.torch.label
    version = (subject.version_file or {}).get("version")
    if version is None:
        return unmeasured("wheel_tag", subject, "torch_files", expected)
    if version != expected:
        return failed(
            "wheel_tag", "wrong_build", version, expected, found=version, resolved=expected
        )
    return passed("wheel_tag", version, expected)


def metadata_agrees(subject: Subject) -> Outcome:
    """Package metadata and the module name the same public version."""
    module = subject.torch_version
    metadata = subject.report.sections.get("metadata")
    if metadata is None or module is None:
        return unmeasured("metadata_agrees", subject, "torch_import")
    recorded: Optional[str] = metadata["versions"].get("torch")
    observed = "metadata %s, module %s" % (recorded or "absent", module)
    expected = "equal public versions"
    if recorded is None:
        return warned(
            "metadata_agrees", "metadata_disagrees", observed, expected,
            metadata="nothing", module=module,
        )  # fmt: skip
    if public(recorded) != public(module):
        return failed(
            "metadata_agrees", "metadata_disagrees", observed, expected,
            metadata=recorded, module=module,
        )  # fmt: skip
    return passed("metadata_agrees", observed, expected)


def single_torch(subject: Subject) -> Outcome:
    """Only one torch can be imported."""
    found = subject.report.sections.get("torch_files")
    metadata = subject.report.sections.get("metadata")
    if found is None or metadata is None:
        return unmeasured("single_torch", subject, "torch_files")
    packages = [torch["package"] for torch in found["torches"]]
    records = ["%(location)s (metadata %(version)s)" % d for d in metadata["torch_distributions"]]
    if len(packages) > 1 or len(records) > 1:
        paths = ", ".join(packages if len(packages) > 1 else records)
        return failed("single_torch", "two_torches", paths, "one torch", paths=paths)
    if not packages and "torch_import" not in subject.report.sections:
        return skipped("single_torch", "There is no torch to count: see verify.torch_import.")
    return passed("single_torch", packages[0] if packages else "found by an import hook")


def package(subject: Subject, name: str) -> Outcome:
    """A package of the profile is installed, new enough and importable."""
    outcome = installed(subject, name)
    if outcome is not None:
        return outcome
    imported = subject.section("import." + name)
    if imported.get("torch_available") is False:
        return failed(
            name, "torch_disabled", "transformers sees no usable torch", "torch is used",
            version=imported["version"], torch=subject.torch_version,
            text=last_line(subject) or "nothing",
        )  # fmt: skip
    expected = subject.minimum(name, subject.profile.minimum(name))[0]
    return passed(name, str(imported["version"]), expected and ">= " + expected)


def installed(subject: Subject, name: str) -> Optional[Outcome]:
    """What is wrong with an installed package; None when it is present, new enough, importable."""
    metadata = subject.report.sections.get("metadata")
    minimum, who = subject.minimum(name, subject.profile.minimum(name))
    expected = ">= " + minimum if minimum else "installed"
    if metadata is None:
        return unmeasured(name, subject, "metadata", expected)
    version = metadata["versions"].get(name)
    if version is None:
        cause = "accelerate_missing" if name == "accelerate" else "package_missing"
        return failed(name, cause, "not installed", expected, package=name, minimum=minimum)
    if not at_least(version, minimum):
        return failed(
            name, "package_too_old", version, expected,
            package=name, version=version, minimum=minimum, who=who,
        )  # fmt: skip
    error = subject.report.errors.get("import." + name)
    # Without torch the import fails for torch's sake: that is torch_import's failure.
    if error is not None and "torch_import" in subject.report.sections:
        return failed(name, "package_broken", error, expected, package=name, text=error)
    if "import." + name not in subject.report.sections:
        return unmeasured(name, subject, "import." + name, expected)
    return None


def companion(subject: Subject, name: str) -> Outcome:
    """torchvision or torchaudio is there for a workload that needs it, and fits this torch."""
    if name not in subject.workload.packages:
        return skipped(name, "The workload %s does not need it." % subject.workload.name)
    outcome = installed(subject, name)
    if outcome is not None:
        return outcome
    torch = subject.torch_version or ""
    version = str(subject.section("import." + name)["version"])
    problem = mismatch(name, version, torch)
    if problem:
        return failed(
            name, "companion_mismatch", version, "the build for torch " + torch,
            package=name, version=version, torch=torch, text=problem,
        )  # fmt: skip
    return passed(name, version, "the build for torch " + torch)


def mismatch(name: str, version: str, torch: str) -> str:
    """Why a companion does not fit ``torch``; '' when it does."""
    base, _suffix, tag = split(version)
    torch_base, _torch_suffix, torch_tag = split(torch)
    if tag and torch_tag and tag != torch_tag:
        return "it is a %s build and torch is %s." % (tag, torch_tag)
    for release in TORCH_RELEASES:
        wanted = str(getattr(release, name))
        if minor(release.version) == minor(torch_base) and wanted and minor(wanted) != minor(base):
            return "torch %s goes with %s %s." % (torch_base, name, wanted)
    return ""


def minor(version: str) -> List[str]:
    """The first two parts of a version."""
    return split(version)[0].split(".")[:2]


def operators_packages(subject: Subject) -> List[Outcome]:
    """Minima on packages that no other check covers: the operator's, and the backend's on a
    package that need not be there."""
    covered = {"torch", "accelerate", "transformers", "python", "driver", "cuda", "cudnn"}
    covered.update(subject.workload.packages)
    metadata = subject.report.sections.get("metadata")
    versions = (metadata or {"versions": {}})["versions"]
    backends = {
        row.package
        for row in BACKEND_MINIMA
        if row.backend == subject.backend and versions.get(row.package)
    }
    outcomes = []
    for name in sorted({*subject.minima, *backends} - covered):
        minimum, who = subject.minimum(name, "")
        version = versions.get(name)
        check, expected = "package." + name, ">= " + minimum
        if metadata is None:
            outcomes.append(unmeasured(check, subject, "metadata", expected))
        elif version is None:
            outcomes.append(
                failed(check, "package_missing", "not installed", expected, package=name)
            )
        elif not at_least(version, minimum):
            outcomes.append(
                failed(
                    check, "package_too_old", version, expected,
                    package=name, version=version, minimum=minimum, who=who,
                )
            )  # fmt: skip
        else:
            outcomes.append(passed(check, version, expected))
    return outcomes
