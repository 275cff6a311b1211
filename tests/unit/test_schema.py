"""The report's JSON Schema refuses what is no report."""

from __future__ import annotations

import copy
import json

import jsonschema
import pytest
from report_samples import BURNED, SCHEMA, STEP, document, surveyed, told, validate

from ansible.module_utils.torchnode.model import Accelerator, Driver, Stack, Step, System, as_data
from ansible.module_utils.torchnode.outcome import Result, Stage, Verdict


def sample() -> dict:
    node = surveyed()
    node.add("resolve", {"stage": "resolve", "plan": [as_data(STEP)], "outcomes": []})
    told(node, "verify", "pass", "warn")
    node.add("burn_in", {"stage": "burn_in", "burn_in": BURNED, "outcomes": []})
    told(told(node, "burn_in", "pass"), "report")
    node.took("verify", 1.5)
    return document([node])


def set_at(content: dict, path: str, value: object) -> dict:
    """A copy with one value changed; 'nodes.0.verdict' names it; None removes it."""
    broken = copy.deepcopy(content)
    *parents, last = path.split(".")
    at = broken
    for key in parents:
        at = at[int(key)] if isinstance(at, list) else at[key]
    if value is None:
        del at[last]
    else:
        at[last] = value
    return broken


def test_the_schema_is_one():
    """Draft 2020-12, and not trivially true."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"].endswith("2020-12/schema")


def objects(schema: object, path: str = "$"):
    """(path, subschema) of every record in the schema: what has both a type and properties."""
    if isinstance(schema, dict):
        if schema.get("type") == "object" and "properties" in schema:
            yield path, schema
        for key, value in schema.items():
            yield from objects(value, f"{path}.{key}")
    elif isinstance(schema, list):
        for number, value in enumerate(schema):
            yield from objects(value, f"{path}[{number}]")


def test_every_record_is_strict():
    """Every field is required and no other is allowed: readers need not guess."""
    found = list(objects(json.loads(SCHEMA.read_text(encoding="utf-8"))))
    assert len(found) > 10
    for path, record in found:
        if not record["properties"]:
            continue
        assert record.get("additionalProperties") is False, path
        assert set(record.get("required", ())) == set(record["properties"]), path


BROKEN = [
    ("run.id", None),
    ("run.check", None),
    ("summary.READY", None),
    ("schema", "torchnode.report/2"),
    ("schema", None),
    ("status", "done"),
    ("status", "running"),  # it has an end and a final verdict
    ("surprise", 1),
    ("run.started", "yesterday"),
    ("run.requested", ["survey", "survey"]),
    ("run.requested", ["everything"]),
    ("summary.READY", -1),
    ("summary.GOOD", 1),
    ("nodes.0.verdict", "OK"),
    ("nodes.0.verdict", "FAILED"),  # nothing failed
    ("nodes.0.verdict", None),
    ("nodes.0.outcomes", []),  # a good verdict that nothing proves
    ("nodes.0.scope", ""),  # never a bare verdict
    ("nodes.0.name", ""),
    ("nodes.0.backend", None),
    ("nodes.0.accelerators", None),
    ("nodes.0.stack", None),
    ("nodes.0.plan", None),
    ("nodes.0.timings", {"lunch": 3600}),
    ("nodes.0.timings", {"verify": -1}),
    ("nodes.0.extra", 1),
    ("nodes.0.accelerators.0.pci_id", "0x2335"),
    ("nodes.0.accelerators.0.memory_bytes", "141 GB"),
    ("nodes.0.outcomes.0.result", "ok"),
    ("nodes.0.outcomes.0.id", "nodot"),
    ("nodes.0.outcomes.0.stage", "lunch"),
    ("nodes.0.outcomes.0.extra", 1),
    ("nodes.0.outcomes.3.remedy", ""),  # a warning without what to do
    ("nodes.0.plan.0.why", ""),
    ("nodes.0.stack.torch.source", "somewhere"),
    ("nodes.0.burn_in.at", ""),
]


def test_the_sample_is_whole():
    """Every optional part is there, or the broken ones below prove nothing."""
    content = sample()
    node = content["nodes"][0]
    assert node["outcomes"][3]["result"] == "warn"
    assert all(node[key] for key in node)


@pytest.mark.parametrize(("path", "value"), BROKEN)
def test_a_broken_report_does_not_validate(path, value):
    """One change each."""
    with pytest.raises(jsonschema.ValidationError):
        validate(set_at(sample(), path, value))


@pytest.mark.parametrize(
    ("definition", "record"),
    [
        ("accelerator", Accelerator),
        ("driver", Driver),
        ("system", System),
        ("stack", Stack),
        ("step", Step),
    ],
)
def test_the_schema_names_the_fields_of_the_records(definition, record):
    """A field added to a record is documented in the schema."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))["$defs"][definition]
    assert set(schema["properties"]) == set(record.__dataclass_fields__) == set(schema["required"])


def test_the_schema_names_the_words_of_the_outcomes():
    """Verdicts, results and stages are those of outcome.py."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    node, parts = schema["$defs"]["node"], schema["$defs"]
    assert node["properties"]["verdict"]["enum"] == [v.value for v in Verdict]
    assert list(schema["properties"]["summary"]["properties"]) == [v.value for v in Verdict]
    assert set(parts["outcome"]["properties"]["result"]["enum"]) == {r.value for r in Result}
    assert parts["stage"]["enum"] == [s.value for s in Stage]
