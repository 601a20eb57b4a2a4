"""The page of `mirrorfleet usage --html` in a real browser, at the widths of a desktop and a phone.

Run with MIRRORFLEET_PICTURES=DIRECTORY to keep the pictures and look at them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mirrorfleet import fleet
from mirrorfleet.jobs.usage import budgets
from tests import browser as browsers
from tests.browser import Browser, Page
from tests.roles import usage_ledgers
from tests.roles.fleets import ROOT
from tests.roles.test_usage_report import gateways, printed, usage

pytestmark = [pytest.mark.slow, browsers.needed]

FLEET = ROOT / "tests/fleet/good/limits.yml"
BY = "day,person,group,model"
DESKTOP, PHONE = (1280, 900), (390, 844)

LEDGERS = (usage_ledgers.nothing, usage_ledgers.one_person, usage_ledgers.many_people)

OUTSIDE = """
[...document.body.querySelectorAll("*")].filter(each => {
  const box = each.getBoundingClientRect();
  return box.width && (box.right > innerWidth + 1 || box.left < -1);
}).map(each => each.outerHTML.slice(0, 200))
"""
"""The elements that are partly outside of the window."""

CLIPPED = """
[...document.body.querySelectorAll("td, th, b, li, p, h1, h2")].filter(
  each => getComputedStyle(each).display !== "inline" && each.scrollWidth > each.clientWidth + 1
).map(each => each.outerHTML.slice(0, 200))
"""
"""The elements whose text is wider than they are: it would run over the next one."""

OVERLAPPING = """
[...document.querySelectorAll("svg")].flatMap(chart => {
  const boxes = [...chart.querySelectorAll("text")].map(each => each.getBoundingClientRect());
  return boxes.flatMap((a, at) => boxes.slice(at + 1).filter(b =>
    a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 6 && b.top < a.bottom - 6
  ).map(() => chart.getAttribute("aria-label")));
})
"""
"""The charts two of whose labels overlap: their boxes include space above and below the letters."""

SMALL = """
Math.min(99, ...[...document.querySelectorAll("svg text")].map(
  each => each.getBoundingClientRect().height))
"""
"""The height of the smallest label of a chart in pixels."""

MARKS = """
[...document.querySelectorAll("svg")].map(chart => [chart.getAttribute("aria-label"),
  [...chart.querySelectorAll("rect, circle")].filter(
    each => each.getBoundingClientRect().height > 0.2 && getComputedStyle(each).fill !== "none"
  ).length])
"""
"""The number of visible marks of each chart."""


@pytest.fixture(scope="module", name="running")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browsers.browser(tmp_path_factory.mktemp("profile")) as running:
        yield running


@pytest.fixture(scope="module", name="pages")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the reports of all ledgers, as the command writes them."""
    directory, found = tmp_path_factory.mktemp("reports"), {}
    hosts = fleet.plan(fleet.load(FLEET)).hosts.values()
    gateway = next(host.gateway for host in hosts if host.gateway)
    starts = ",".join(map(str, budgets.starts(gateway.budgets, time.time())))
    for write in LEDGERS:
        path, page = directory / f"{write.__name__}.sqlite", directory / f"{write.__name__}.html"
        write(path, datetime.now(UTC))
        answers = {"gw-1": printed(path, BY, starts)}
        answers["gw-2"] = printed(directory / "missing.sqlite", BY, starts)
        with gateways(answers):
            assert usage("--html", str(page), file=str(FLEET)) == 0
        found[write.__name__] = page
    return found


Show = Callable[..., Page]


@pytest.fixture(name="show")
def shown(running: Browser, pages: dict[str, Path]) -> Show:
    def show(name: str, size: tuple[int, int], **options: Any) -> Page:
        page = running.page()
        page.resize(*size, **options)
        page.open(pages[name].as_uri())
        if directory := os.environ.get("MIRRORFLEET_PICTURES"):
            kind = "dark" if options else "light"
            page.picture(Path(directory) / f"{name}-{size[0]}-{kind}.png")
        return page

    return show


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("name", [each.__name__ for each in LEDGERS])
def test_nothing_overflows_and_nothing_is_loaded(
    name: str, size: tuple[int, int], show: Show, pages: dict[str, Path]
) -> None:
    page = show(name, size)
    assert page.evaluate("innerWidth") == size[0]
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    for expression in (OUTSIDE, CLIPPED, OVERLAPPING):
        assert page.evaluate(expression) == []
    assert page.evaluate(SMALL) > 9
    assert page.errors == []
    assert page.requests == [pages[name].as_uri()]


def test_charts_have_marks(show: Show) -> None:
    many = dict(show("many_people", DESKTOP).evaluate(MARKS))
    assert len(many) == 6
    assert many["Share of cache reads"] == 29, "no mark for the day without turns"
    assert many["Time to the first token"] == many["Time to the end of an answer"] == 58
    assert many["Use by group"] == 3 * 29
    assert many["Use by model"] > 3 * 29
    assert many["Errors and fallbacks"] > 20
    one = dict(show("one_person", DESKTOP).evaluate(MARKS))
    assert one == {
        **{"Use by model": 1, "Use by group": 1, "Share of cache reads": 1},
        **{"Time to the first token": 2, "Time to the end of an answer": 2},
    }
    empty = show("nothing", DESKTOP)
    assert empty.evaluate(MARKS) == []
    assert "No turns in these days." in empty.evaluate("document.body.innerText")


def test_a_phone_shows_every_value_with_its_label(show: Show) -> None:
    page = show("one_person", PHONE)
    labels = """[...document.querySelectorAll("td:not(:first-child)")].filter(
        each => each.offsetHeight && each.querySelector(".bar") === null
        && getComputedStyle(each, "::before").content.length < 4).length"""
    assert page.evaluate(labels) == 0
    assert page.evaluate("document.querySelector('thead').offsetHeight") == 0


@pytest.mark.parametrize("is_dark", [False, True], ids=["light", "dark"])
def test_text_has_contrast(is_dark: bool, show: Show) -> None:
    """WCAG asks for 4.5 to 1."""
    page = show("one_person", DESKTOP, is_dark=is_dark)
    colours = """["body", ".note", "svg text"].map(name => {
        const style = getComputedStyle(document.querySelector(name));
        return name === "svg text" ? style.fill : style.color;
    })"""
    background = (18, 18, 18) if is_dark else (255, 255, 255)  # Chromium's own
    for colour in page.evaluate(colours):
        red, green, blue = map(int, colour.removeprefix("rgb(").removesuffix(")").split(","))
        assert contrast((red, green, blue), background) >= 4.5


def contrast(one: tuple[int, int, int], other: tuple[int, int, int]) -> float:
    """Return the contrast ratio of two colours, as WCAG defines it."""
    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: tuple[int, int, int]) -> float:
    shares = (value / 255 for value in colour)
    linear = (x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in shares)
    return sum(x * part for x, part in zip(linear, (0.2126, 0.7152, 0.0722), strict=True))
