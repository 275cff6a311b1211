"""fleet.html as a reader has it: opened from disk in a real browser."""

from __future__ import annotations

import pytest
from report_samples import HOSTILE, document, fleet, outcome, surveyed, texts, told

from ansible.module_utils.torchnode import report

SECTIONS = ["OUTCOMES", "BURN-IN", "STACK", "PLAN", "MACHINE", "TIMINGS"]


@pytest.fixture
def opened(browser, tmp_path):
    """Opens the page of a report; a request, an error or a word on the console fails the test."""
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    page, noise = context.new_page(), []
    page.set_default_timeout(20_000)
    page.add_init_script("window.hostile = () => { window.ran = true }")
    page.on("console", lambda message: noise.append("console: " + message.text))
    page.on("pageerror", lambda error: noise.append("error: %s" % error))
    page.on("dialog", lambda dialog: noise.append("dialog: " + dialog.message))

    def open_page(content: dict, fragment: str = ""):
        file = tmp_path / "fleet.html"
        text = texts(content, "fleet.html")
        file.write_text(text, encoding="utf-8", errors="backslashreplace")
        page.on("request", lambda request: _note(noise, request.url, file.as_uri()))
        page.goto(file.as_uri() + fragment)
        return page

    yield open_page
    context.close()
    assert noise == []


def _note(noise: list[str], url: str, allowed: str) -> None:
    if url.split("#")[0] != allowed and not url.startswith("data:"):
        noise.append("request: " + url)


def names(page) -> list[str]:
    """The nodes that the table shows, from top to bottom."""
    return page.locator("tr.node:visible a.name").all_inner_texts()


def test_the_worst_nodes_come_first(opened):
    """Each with its verdict in words, its scope and its first trouble."""
    page = opened(document(fleet(20, samples=8)))
    order = page.locator("tr.node .verdict").all_inner_texts()
    assert len(order) == 20
    assert order == sorted(order, key=["FAILED", "UNKNOWN", "DEGRADED", "PLANNED", "READY"].index)
    first = page.locator("tr.node").first.inner_text()
    assert "verified, burned in" in first
    assert "burn_in.compute.gpu5: 3 wrong values" in first


def test_a_heading_sorts_and_says_so(opened):
    """Numbers in names count as numbers; a second click turns the order."""
    nodes = [told(surveyed(name), "verify", "pass") for name in ("n10", "n9", "n1")]
    page = opened(document(nodes))
    head = page.locator("th", has_text="Node")
    head.get_by_role("button").click()
    assert names(page) == ["n1", "n9", "n10"]
    assert head.get_attribute("aria-sort") == "ascending"
    head.get_by_role("button").press("Enter")
    assert names(page) == ["n10", "n9", "n1"]
    assert head.get_attribute("aria-sort") == "descending"


def test_filters_by_verdict_backend_and_words(opened):
    """They add up, the count says so, and an opened section goes with its node."""
    content = document(fleet(20, samples=8))
    page = opened(content)
    failed = [n["name"] for n in content["nodes"] if n["verdict"] == "FAILED"]
    page.locator("tr.node a.name").first.click()
    page.get_by_role("button", name="READY").click()
    assert not set(names(page)) & set(failed)
    assert page.locator("tr.detail:visible").count() == 0
    page.get_by_role("button", name="FAILED").click()
    assert set(failed) <= set(names(page))
    assert page.locator("tr.detail:visible").count() == 1
    page.get_by_label("Backend").select_option("rocm")
    assert all(name.startswith("rocm") for name in names(page))
    page.get_by_label("Backend").select_option("")
    page.keyboard.press("Escape")
    page.locator("body").press("/")
    page.keyboard.type("a100 580.159")
    shown = names(page)
    assert 0 < len(shown) < 20
    assert page.locator("#count").inner_text() == "%d of 20 nodes" % len(shown)


def test_a_section_is_drawn_when_it_is_opened(opened):
    """By keyboard too; what is wrong first, what passed folded away."""
    page = opened(document(fleet(20, samples=8)))
    assert page.locator("tr.detail").count() == 0
    link = page.locator("tr.node a.name").first
    link.press("Enter")
    detail = page.locator("tr.detail")
    assert detail.locator("h2").all_inner_texts() == SECTIONS
    assert detail.locator(".outcome .word").all_inner_texts() == ["fail"]
    assert "Drain the node" in detail.locator("dd.next").inner_text()
    assert detail.get_by_text("the newest build with code for sm_90").is_visible()
    assert not detail.get_by_text("verify.devices").is_visible()
    detail.locator("summary").first.press("Enter")
    assert detail.get_by_text("verify.devices").is_visible()
    link.press("Enter")
    assert not detail.is_visible()


def test_the_burn_in_is_drawn_over_time(opened):
    """Four plots with a line for each of eight devices; a gap where nothing was measured."""
    content = document(fleet(1))
    samples = content["nodes"][0]["burn_in"]["devices"][0]["samples"]
    for row in samples[50:60]:
        row[1] = None
    page = opened(content, "#node-gpu-001")
    plots = page.locator("svg.plot")
    labels = [plots.nth(i).get_attribute("aria-label") for i in range(plots.count())]
    assert [label.split(" in ")[0] for label in labels] == [
        "Throughput", "Power", "Temperature", "Clock",
    ]  # fmt: skip
    assert [plots.nth(i).locator("path.series").count() for i in range(4)] == [8] * 4
    first = plots.first.locator("path.series").first.get_attribute("d")
    assert first.count("M") == 2
    assert first.count("L") > 80
    assert "NaN" not in page.locator("tr.detail").inner_html()


def test_the_stages_are_bands_at_the_same_place_in_every_plot(opened):
    """What is too narrow for its name tells it where it is pointed at; the links come last."""
    page = opened(document(fleet(1)), "#node-gpu-001")
    plots = page.locator("svg.plot")
    told = [plots.nth(i).locator("g > title").all_text_contents() for i in range(4)]
    assert told[0] == [
        "compute, 0 s to 4 min 0 s", "pulse, 4 min 0 s to 4 min 18 s",
        "memory, 4 min 18 s to 4 min 45 s", "links, 4 min 45 s to 5 min 0 s",
    ]  # fmt: skip
    places = [
        [(r.get_attribute("x"), r.get_attribute("width")) for r in plot.locator("rect.band").all()]
        for plot in plots.all()
    ]
    assert len(places[0]) == 4
    assert places == [places[0]] * 4
    assert plots.first.locator("g > text").all_text_contents() == ["compute", "memory"]


def test_a_burn_in_without_stages_or_rates_is_drawn(opened):
    """An older report, and a device that died before its first sample."""
    content = document(fleet(2))
    old, dead = (node["burn_in"] for node in content["nodes"])
    for device in old["devices"]:
        del device["spans"]
    del old["stages"]
    dead["devices"][0].update(samples=[], spans=[["compute", 0.0, None]], ending="hang")
    page = opened(content, "#node-gpu-001")
    assert page.locator("rect.band").count() == 0
    assert page.locator("path.series").first.get_attribute("d")
    page.locator("tr.node a.name").nth(1).click()
    assert page.locator("tr.detail").nth(1).locator("rect.band").count() == 16
    assert page.locator("tr.detail").get_by_text("gpu0 (hang)").count() == 1
    assert "NaN" not in page.locator("tbody").first.inner_html()


def test_one_device_is_told_from_eight(opened):
    """Choosing its name dims the others, in every plot; choosing it again shows all."""
    page = opened(document(fleet(1)), "#node-gpu-001")
    button = page.get_by_role("button", name="gpu5")
    button.press("Enter")
    assert button.get_attribute("aria-pressed") == "true"
    for plot in page.locator("svg.plot").all():
        assert plot.locator(".series.dim").count() == 7
        assert plot.locator(".series:not(.dim) title").text_content() == "gpu5"
    button.press("Enter")
    assert page.locator(".series.dim").count() == 0
    button.hover()
    assert page.locator(".series.dim").count() == 28
    page.locator("h1").hover()
    assert page.locator(".series.dim").count() == 0


def test_without_telemetry_there_is_no_empty_plot(opened):
    """A CPU tells its rate only."""
    page = opened(
        document([n for n in fleet(10, samples=8) if n.name == "cpu-010"]), "#node-cpu-010"
    )
    assert page.locator("svg.plot").count() == 1
    assert page.locator("tr.detail").get_by_text("not measured").count() == 3


def test_a_link_leads_to_its_node_through_a_filter(opened):
    """Also when the page is open already."""
    page = opened(document(fleet(20, samples=8)), "#node-gpu-003")
    assert page.locator("tr.detail").count() == 1
    page.get_by_label("Search").fill("rocm")
    page.evaluate("location.hash = '#node-gpu-004'")
    page.locator("tr.detail").nth(1).wait_for()
    assert page.evaluate("document.activeElement.textContent") == "gpu-004"
    assert page.locator("#count").inner_text() == "20 nodes"


def test_a_minute_has_sixty_seconds(opened):
    """359.7 s are 6 minutes, not 5 minutes and 60 s."""
    node = told(surveyed("n1"), "verify", "pass")
    node.timings = {"verify": 359.7}
    page = opened(document([node]))
    assert page.locator("tr.node td.number").inner_text() == "6 min 0 s"


@pytest.mark.parametrize("text", HOSTILE)
def test_what_a_node_says_never_runs(opened, text):
    """As name, message and version: shown as it is, and nothing else happens."""
    node = surveyed(text)
    bad = outcome("verify.import", "fail", observed=text, expected=text, cause=text, remedy=text)
    node.add("verify", {"stage": "verify", "outcomes": [bad.as_dict()]})
    node.fail("verify", text, text)
    page = opened(document([node, report.NodeReport("other")], status="interrupted"))
    for row in page.locator("a.name").all():
        row.click()
    assert page.locator("tr.detail:visible").count() == 2
    assert page.locator("img, iframe, object, embed, base, form").count() == 0
    assert page.locator("script").count() == 4  # the table's data, two nodes' data, and the script
    assert not page.evaluate("Boolean(window.ran)")


def test_the_policy_stops_a_script_that_got_in(browser, tmp_path):
    """The second wall: a script in the markup is blocked by its missing hash."""
    page = browser.new_page()
    text = texts(document([surveyed()]), "fleet.html")
    file = tmp_path / "planted.html"
    file.write_text(text.replace("</main>", "<script>window.ran = true</script></main>"))
    page.goto(file.as_uri())
    assert page.locator("tr.node").count() == 1
    assert not page.evaluate("Boolean(window.ran)")
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_verdicts_are_readable(opened, scheme):
    """Contrast of 4.5 to 1 at least (WCAG 2.2, 1.4.3) on the page and on an opened section."""
    page = opened(document(fleet(60, samples=8)))
    page.emulate_media(color_scheme=scheme)
    ratios = page.evaluate(CONTRAST)
    assert set(ratios) >= {"READY", "DEGRADED", "FAILED", "UNKNOWN"}
    assert min(ratios.values()) >= 4.5, ratios


CONTRAST = """() => {
  const light = (colour) => {
    const part = colour.match(/[\\d.]+/g).slice(0, 3).map((v) => v / 255)
      .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * part[0] + 0.7152 * part[1] + 0.0722 * part[2];
  };
  const paper = light(getComputedStyle(document.body).backgroundColor);
  const found = {};
  for (const cell of document.querySelectorAll("tr.node .verdict")) {
    const ink = light(getComputedStyle(cell).color);
    found[cell.textContent] = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
  }
  return found;
}"""


def test_it_prints_without_its_controls(opened):
    """And with the sections that are open."""
    page = opened(document(fleet(3, samples=8)), "#node-gpu-001")
    page.emulate_media(media="print")
    assert not page.get_by_label("Search").is_visible()
    assert page.locator("tr.detail").is_visible()


def test_a_narrow_screen_needs_no_sideways_scrolling(opened):
    """A telephone held upright."""
    page = opened(document(fleet(3, samples=8)), "#node-gpu-001")
    page.set_viewport_size({"width": 420, "height": 800})
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 420


def test_a_narrow_screen_names_each_value(opened):
    """The headings are far above, so every cell that says something says also what it is."""
    page = opened(document(fleet(6, samples=8)))
    page.set_viewport_size({"width": 420, "height": 800})
    titles = page.locator("thead th").all_inner_texts()
    cells = page.locator("tr.node").first.locator("td")
    words = [
        cells.nth(n).evaluate("cell => getComputedStyle(cell, '::before').content")
        for n in range(8)
    ]
    assert words == ["none"] + ['"%s"' % title for title in titles[1:]]  # a name needs no word
    assert cells.evaluate_all("all => all.filter(c => c.innerText && !c.offsetHeight)") == []
    page.set_viewport_size({"width": 1400, "height": 800})
    assert cells.nth(1).evaluate("c => getComputedStyle(c, '::before').content") == "none"


def test_a_thousand_nodes(opened):
    """All rows, one section drawn, the filter finds one: a page that long still works."""
    page = opened(document(fleet(1000, samples=2)))
    assert page.locator("#count").inner_text() == "1000 nodes"
    page.get_by_label("Search").fill("gpu-999")
    assert names(page) == ["gpu-999"] or names(page) == []
    page.get_by_label("Search").fill("")
    page.locator("tr.node a.name").first.click()
    assert page.locator("tr.detail").count() == 1
