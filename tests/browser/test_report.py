"""The report of a call test, opened from a file."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Browser

from ringback.bots.calltest import report_html
from tests.test_reports import lossy, nasty

# What is less than 4.5 to 1 against what is behind it (WCAG 2.2, 1.4.3).
CONTRAST = """() => {
  const light = (c) => {
    const [r, g, b] = c.match(/[\\d.]+/g).slice(0, 3).map((v) => {
      const s = v / 255;
      return s <= 0.03928 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (e) => {
    for (let at = e; at; at = at.parentElement) {
      const c = getComputedStyle(at).backgroundColor;
      if (!c.startsWith("rgba(0, 0, 0, 0")) return c;
    }
    return "rgb(255, 255, 255)";
  };
  const found = [];
  const words = "h1,h2,h3,h4,p,li,dt,dd,th,td,figcaption,summary,.code,.muted";
  for (const e of document.querySelectorAll(words)) {
    const [a, b] = [light(getComputedStyle(e).color), light(behind(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) found.push(`${e.tagName} ${ratio.toFixed(1)} ${e.textContent.slice(0, 30)}`);
  }
  return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1280, 800), (390, 844)], ids=["wide", "phone"])
async def test_the_page_looks_right_anywhere(
    chromium: Browser, tmp_path: Path, scheme: str, size: tuple[int, int]
) -> None:
    page = await chromium.new_page(
        color_scheme=scheme,  # type: ignore[arg-type]
        viewport={"width": size[0], "height": size[1]},
    )
    file = tmp_path / "report.html"
    file.write_text(report_html.render([lossy(), nasty()]))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.goto(file.as_uri())
    assert await page.evaluate("document.documentElement.scrollWidth") <= size[0]
    assert [url for url in asked if not url.startswith(("data:", file.as_uri()))] == []
    faint = await page.evaluate(CONTRAST)
    assert faint == []
    # By keyboard alone a plot's table opens.
    await page.locator("summary").first.focus()
    await page.keyboard.press("Enter")
    assert await page.get_by_role("region", name="Latency as a table").first.is_visible()
    await page.close()
