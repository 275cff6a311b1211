"""The burn-in as the benchmarks call it: on devices of this machine, without ansible-core."""

from __future__ import annotations

import importlib
import sys
import types
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def burn(python: str, devices: int = 1, **more: Any) -> Any:
    """One burn-in of the first CUDA devices, by the interpreter ``python``, which has torch.

    ``more`` are parameters of the module ``burn_in``. Returns what was seen (records.Burn).
    """
    parameters: dict[str, Any] = {
        "python": python, "backend": "cuda", "level": "quick", "start_timeout": 120, "slack": 30,
        "accelerators": [{"backend": "cuda", "index": number} for number in range(devices)],
        "memory_fraction": 0.96, "memory_bytes": 0,
    }  # fmt: skip
    plan, runner = (module(name) for name in ("plan", "runner"))
    return runner.run(plan.make({**parameters, **more}))


def module(name: str) -> Any:
    """A module of the burn-in by its name."""
    if "ansible" not in sys.modules:
        for package, path in (("ansible", []), ("ansible.module_utils", [ROOT / "module_utils"])):
            made = types.ModuleType(package)
            made.__path__ = [str(folder) for folder in path]
            sys.modules[package] = made
    return importlib.import_module("ansible.module_utils.torchnode.burn_in." + name)
