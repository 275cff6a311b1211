#!/usr/bin/env python3
"""Draw docs/images/fleet.png anew: the page of a constructed fleet, with one node opened.

Needs the development environment and a browser: .venv-dev/bin/python tools/fleet_picture.py
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

import ansible.module_utils
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
ansible.module_utils.__path__.append(str(ROOT / "module_utils"))
sys.path.append(str(ROOT / "tests" / "unit"))

PICTURE = ROOT / "docs" / "images" / "fleet.png"
WIDTH, HEIGHT = 1280, 1130
MOST_BYTES = 200_000  # every clone carries every version of it
SHOWN = ("gpu-001", "gpu-003", "rocm-005", "xpu-018", "cpu-010", "gpu-006", "xpu-008", "gpu-004")
OPENED = "gpu-004"  # the one that failed


def main() -> int:
    """Write the picture; the browser is found on PATH."""
    import report_samples

    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        print("fleet_picture: no browser found; apt-get install chromium", file=sys.stderr)
        return 1
    nodes = [node for node in report_samples.fleet(50) if node.name in SHOWN]
    content = report_samples.document(nodes)
    with tempfile.TemporaryDirectory() as folder:
        page, drawn = Path(folder) / "fleet.html", Path(folder) / PICTURE.name
        page.write_text(report_samples.texts(content, "fleet.html"), encoding="utf-8")
        draw(browser, page.as_uri(), drawn)
        return keep(drawn)


def keep(drawn: Path) -> int:
    """Put the picture in its place; one that is too heavy is refused, and the old one stays."""
    size = drawn.stat().st_size
    if size >= MOST_BYTES:
        print(
            "fleet_picture: found %d kB, expected less than %d kB; lower HEIGHT or show fewer "
            "nodes, and draw it again" % (size // 1000, MOST_BYTES // 1000),
            file=sys.stderr,
        )
        return 1
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(drawn, PICTURE)
    print("%s: %d kB" % (PICTURE.relative_to(ROOT), size // 1000))
    return 0


def draw(browser: str, address: str, picture: Path) -> None:
    """A screenshot of the top of the page; Chromium's sandbox refuses root."""
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=browser, args=arguments)
        page = launched.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        page.goto(address)
        page.get_by_role("button", name="Verdict").click()  # the worst last, to be opened there
        page.get_by_role("link", name=OPENED).click()
        page.mouse.move(0, 0)
        page.evaluate("document.activeElement.blur()")
        page.screenshot(path=picture)
        launched.close()


if __name__ == "__main__":
    sys.exit(main())
