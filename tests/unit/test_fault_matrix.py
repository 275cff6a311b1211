"""The matrix of faults: what counts as found, and that every fault has a row."""

from __future__ import annotations

import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

import pytest

from ansible.module_utils.torchnode.burn_in.child import faults

TOOL = Path(__file__).resolve().parents[2] / "tools" / "fault_matrix"


@pytest.fixture(scope="module")
def matrix() -> Any:
    loader = SourceFileLoader("fault_matrix", str(TOOL))
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    sys.modules[loader.name] = module  # where dataclasses look for their annotations
    write, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = write
    return module


def test_every_fault_has_a_row_that_its_switch_knows(matrix: Any) -> None:
    kinds = {faults.parse(row.fault)[0] for row in matrix.ROWS}
    assert kinds == set(faults.KINDS)
    assert all(name in faults.__doc__ for name in faults.KINDS if faults.__doc__)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16", "tf32", "fp64", "fp8"])
def test_every_precision_of_a_gpu_is_struck(matrix: Any, precision: str) -> None:
    for backend in ("cuda", "rocm"):
        struck = {
            row.fault
            for row in matrix.ROWS
            if row.precision == precision and backend in row.backends
        }
        assert {"flip:0", "nan", "sticky:0"} <= struck


NAMES = ["cuda0", "cuda1"]
FOUND: list[tuple[dict[str, Any], dict[str, str], bool]] = [
    ({}, {"compute.cuda1": "fail"}, True),
    ({}, {"compute.cuda1": "incomplete"}, False),
    ({}, {"compute.cuda0": "fail"}, False),
    ({}, {"compute.cuda0": "fail", "compute.cuda1": "fail"}, False),
    ({"where": "node"}, {"compute": "fail"}, True),
    ({"where": "node"}, {"compute.cuda1": "fail"}, False),
    ({"where": "node", "named": True}, {"compute": "fail"}, False),
    ({"where": "every"}, {"compute.cuda0": "fail", "compute.cuda1": "fail"}, True),
    ({"where": "every"}, {"compute.cuda1": "fail"}, False),
    ({"result": "incomplete"}, {"compute.cuda1": "incomplete"}, True),
    ({}, {}, False),
]


@pytest.mark.parametrize(("row", "outcomes", "counts"), FOUND)
def test_what_counts_as_found(
    matrix: Any, row: dict[str, Any], outcomes: dict[str, str], counts: bool
) -> None:
    listed = [
        {"id": "burn_in." + name, "result": result, "observed": ""}
        for name, result in outcomes.items()
    ]
    result = {"failed": True, "torchnode": {"outcomes": listed}}
    made = matrix.Row("nan", "compute", **row)
    assert (matrix.found(made, "cuda1", NAMES, 2, result) == "") is counts
    assert matrix.found(made, "cuda1", NAMES, 0, {**result, "failed": False})
