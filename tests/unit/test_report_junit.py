"""junit.xml: what a JUnit schema accepts, and what a CI server then shows."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
import xmlschema
from helpers import ROOT
from report_samples import HOSTILE, SITE, document, fleet, outcome, surveyed, texts, told

from ansible.module_utils.torchnode import report

SCHEMA = xmlschema.XMLSchema(ROOT / "tests" / "schema" / "junit-10.xsd")


def suites(nodes, requested=SITE, status="complete") -> list[ElementTree.Element]:
    """The file's suites, accepted by the schema."""
    text = texts(document(nodes, requested, status), "junit.xml")
    SCHEMA.validate(text)
    return list(ElementTree.fromstring(text.encode("utf-8")))


def kinds(suite: ElementTree.Element) -> dict[str, str]:
    """A suite's cases: name to the element inside, '' for a plain pass."""
    return {case.get("name", ""): case[0].tag if len(case) else "" for case in suite}


def test_a_fleet_is_accepted_by_the_schema():
    """A suite per node, in the report's order."""
    nodes = fleet(20, samples=4)
    assert [suite.get("name") for suite in suites(nodes)] == [node.name for node in nodes]


def test_the_schema_refuses_what_is_no_junit():
    """Or the tests here prove nothing."""
    with pytest.raises(xmlschema.XMLSchemaValidationError):
        SCHEMA.validate("<testsuites><testsuite name='a'><case/></testsuite></testsuites>")


def test_each_result_has_its_element():
    """Not required and not measured is skipped: the verdict does not count it either."""
    node = told(surveyed(), "verify", "pass", "warn", "fail", "incomplete", "skipped")
    optional = outcome("verify.optional", "incomplete", required=False)
    node.add("verify", {"stage": "verify", "outcomes": [optional.as_dict()]})
    (suite,) = suites([node])
    found = kinds(suite)
    assert [found["verify.check%d" % i] for i in range(5)] == [
        "", "system-out", "failure", "error", "skipped",
    ]  # fmt: skip
    assert found["verify.optional"] == "skipped"
    assert found["verdict"] == "failure"


def test_the_counts_are_those_of_the_cases():
    """On every suite and on the whole."""
    content = document(fleet(30, samples=4))
    root = ElementTree.fromstring(texts(content, "junit.xml").encode("utf-8"))
    for part in (root, *root):
        cases = list(part.iter("testcase"))
        assert int(part.get("tests", "")) == len(cases)
        for attribute, element in (("failures", "failure"), ("errors", "error")):
            assert int(part.get(attribute, "")) == sum(c.find(element) is not None for c in cases)
    assert int(root.get("failures", "")) > 0 < int(root.get("errors", ""))


def test_a_failure_says_cause_and_next_step():
    """In the text that CI servers show."""
    node = surveyed()
    bad = outcome("verify.driver", "fail", observed="none", cause="No driver.", remedy="Add one.")
    node.add("verify", {"stage": "verify", "outcomes": [bad.as_dict()]})
    (suite,) = suites([node])
    failure = suite.find("testcase[@name='verify.driver']/failure")
    assert failure is not None
    assert failure.get("message") == "found none; expected that"
    assert "cause: No driver." in (failure.text or "")
    assert "next: Add one." in (failure.text or "")


def test_a_node_that_nothing_is_known_about_is_red():
    """A killed controller's node has no outcome at all."""
    (suite,) = suites([report.NodeReport("dark")], status="interrupted")
    assert kinds(suite)["verdict"] == "error"


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_of_a_node_breaks_the_file(text):
    """As its name, as what was found, and as a task's message."""
    node = report.NodeReport(text)
    node.fail("verify", "a task " + text, text)
    (suite,) = suites([node])
    assert len(suite) == 2
    assert "next:" in suite.findtext("testcase/failure", "")


def test_control_characters_become_the_replacement_character():
    """XML has no spelling for them."""
    (suite,) = suites([told(report.NodeReport("a\x00b\x1b[31m\ud800"), "verify", "pass")])
    assert suite.get("name") == "a\ufffdb\ufffd[31m\ufffd"
