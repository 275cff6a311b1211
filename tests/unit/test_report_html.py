"""fleet.html as a text: nothing leaves its place. In a browser: test_fleet_page.py."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest
from helpers import ROOT
from report_samples import HOSTILE, document, fleet, outcome, surveyed, texts, told

from ansible.module_utils.torchnode import report

PAGE = ROOT / "module_utils" / "torchnode" / "report_page"


class Scripts(HTMLParser):
    """The page's elements, and the text of each script, as a browser's parser splits them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.scripts: list[tuple[str, str]] = []
        self._inside = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        self._inside = (dict(attrs).get("id") or "the script") if tag == "script" else ""

    def handle_data(self, data):
        if self._inside:
            self.scripts.append((self._inside, data))

    def handle_endtag(self, tag):
        self._inside = ""

    def json(self, identity: str):
        """What the script reads from the element with this id."""
        return json.loads("".join(text for name, text in self.scripts if name == identity))


def test_the_page_holds_the_whole_report():
    """A row for each node, and each node's entry as fleet.json has it."""
    content = document(fleet(12, samples=4))
    page = Scripts(texts(content, "fleet.html"))
    head = page.json("fleet-data")
    assert [row["name"] for row in head["nodes"]] == [node["name"] for node in content["nodes"]]
    assert head["summary"] == content["summary"]
    assert [page.json("node-data-%d" % i) for i in range(12)] == content["nodes"]


def test_the_first_trouble_is_the_worst_and_short():
    """One line in the table; the section has the rest."""
    node = told(surveyed(), "verify", "warn")
    bad = outcome("verify.import", "fail", observed="ImportError: " + "x" * 300 + "\nmore")
    node.add("verify", {"stage": "verify", "outcomes": [bad.as_dict()]})
    (row,) = Scripts(texts(document([node]), "fleet.html")).json("fleet-data")["nodes"]
    assert row["trouble"].startswith("verify.import: ImportError: xxx")
    assert row["trouble"].endswith("…")
    assert len(row["trouble"]) < 180


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_of_a_node_gets_out_of_its_element(text):
    """The same elements as for a harmless node, and the text comes back as it was."""
    pages = []
    for said in ("harmless", text):
        node = report.NodeReport(said)
        node.fail("verify", said, said)
        pages.append(Scripts(texts(document([node]), "fleet.html")))
    harmless, hostile = pages
    assert hostile.tags == harmless.tags
    assert hostile.json("node-data-0")["name"] == text
    assert len(hostile.scripts) == len(harmless.scripts)


def test_the_page_names_no_other_place():
    """No address that a browser would fetch, and no handler in the markup."""
    page = Scripts(texts(document(fleet(3, samples=4)), "fleet.html"))
    places = [value for name, value in page.attributes if name in ("src", "href", "action")]
    assert places == ["data:,"]
    assert not [name for name, _ in page.attributes if name.startswith("on") or name == "style"]
    assert not re.search(r"url\(|@import|https?:", (PAGE / "page.css").read_text(encoding="utf-8"))


def test_the_policy_allows_what_the_page_carries_and_nothing_else():
    """By hash: a changed script or style that the policy does not know stays dead."""
    page = Scripts(texts(document([surveyed()]), "fleet.html"))
    policy = next(value for name, value in page.attributes if "default-src" in value)
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert "unsafe" not in policy


def test_the_script_parses_no_markup():
    """Texts become text nodes only."""
    script = (PAGE / "page.js").read_text(encoding="utf-8")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", script)
