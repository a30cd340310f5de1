"""The page in a real Chromium without a head: what a reader sees and can do, by pointer, by keyboard and by touch."""

import io
import re
import shutil
from collections import Counter
from functools import cache

import matplotlib.image
import pandas as pd
import pytest

from bench.perf.full_table import full_table
from bench.report.page import write_page
from sweeps.repeating import commands

pytestmark = pytest.mark.browser
webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium, of the dependency group `browser`")
Keys = pytest.importorskip("selenium.webdriver.common.keys", reason="needs selenium").Keys
Actions = pytest.importorskip("selenium.webdriver.common.action_chains", reason="needs selenium").ActionChains
WebDriverWait = pytest.importorskip("selenium.webdriver.support.ui", reason="needs selenium").WebDriverWait
Service = pytest.importorskip("selenium.webdriver.chrome.service", reason="needs selenium").Service

FLAGS = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
FLAGS += " --disable-component-update --disable-sync --disable-dev-shm-usage"
DESKTOP, LOW, PHONE = (1280, 900), (1280, 600), (390, 844)
GONE = ("S/16", "i1k", "light1", 0.1)
FAILED = ("B/16", "i1k", "medium1", 0.0)


@cache
def small_table():
    """Returns two models on two sets, two tasks each; one cell of the heatmap is missing and one diverged."""
    table = full_table()
    kept = (
        table["name"].isin(["S/16", "B/16"]) & table["ds"].isin(["i1k", "i21k"]) & table["adapt_ds"].isin(["cifar100", "kitti"])
    )
    table = table[kept & (table["adapt_resolution"] == 224)]
    keys = pd.Series(list(zip(table["name"], table["ds"], table["aug"], table["do"], strict=True)), index=table.index)
    table = table.assign(status="ok", adapt_status="ok")
    failed = keys == FAILED
    table.loc[failed, "status"] = "diverged"
    empty = ["final_val", "best_val", "final_test", *(c for c in table if c.startswith("adapt_"))]
    table.loc[failed, empty] = pd.NA
    once = ~failed | ~table["filename"].duplicated()
    return table[(keys != GONE) & once].reset_index(drop=True)


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    binary, service = shutil.which("chromium"), shutil.which("chromedriver")
    if binary is None or service is None:
        pytest.skip("needs chromium and chromedriver (Debian: apt-get install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in (*FLAGS.split(), f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    started = webdriver.Chrome(options=options, service=Service(service))
    # As if the window had the focus, which it never has without a screen.
    started.execute_cdp_cmd("Emulation.setFocusEmulationEnabled", {"enabled": True})
    yield started
    started.quit()


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    found = pd.DataFrame([{"claim": "larger is better", "verdict": "supported", "effect": 1.0, "unit": "points", "runs": 3}])
    table = small_table()
    write_page(table, path, "Two models", {"table": "t.csv"}, findings=found, commands=commands(table["filename"].unique()))
    return path.as_uri()


@pytest.fixture
def page(driver, address):
    """Returns a function that opens the page at a size, light or dark, and afterwards checks that nothing went wrong."""

    def look(size=DESKTOP, dark=False):
        metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size == PHONE}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        still = {"name": "prefers-reduced-motion", "value": "reduce"}
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme, still]})
        driver.get("about:blank")
        driver.get(address)
        return driver

    driver.get_log("browser")
    driver.get_log("performance")
    yield look
    assert driver.get_log("browser") == []


def find(driver, selector):
    return driver.find_elements("css selector", selector)


def column(driver, table, heading):
    """Returns the visible texts of a column, top to bottom."""
    return driver.execute_script(
        "const t = document.getElementById(arguments[0]);"
        "const i = [...t.tHead.rows[0].cells].findIndex(c => c.textContent.trim() === arguments[1]);"
        "return [...t.tBodies[0].rows].filter(r => r.offsetParent).map(r => r.cells[i].textContent.trim());",
        table,
        heading,
    )


def header(driver, table, heading):
    [found] = [th for th in find(driver, f"#{table} thead th") if th.text.startswith(heading)]
    return found


def control(driver, ask, name):
    [found] = find(driver, f".filters [data-ask={ask}][data-column='{name}']")
    return found


def cell(driver, name, ds, aug, do):
    """Returns the link of the heatmap's cell, by the run that is the best there."""
    of = small_table()
    of = of[(of["name"] == name) & (of["ds"] == ds) & (of["aug"] == aug) & (of["do"] == do)]
    best = of.sort_values("final_val").iloc[-1]
    [row] = [r for r in find(driver, "#runs-table tbody tr") if r.find_element("tag name", "th").text == best["filename"]]
    [link] = find(driver, f".heat a[href='#{row.get_attribute('id')}']")
    return link, best


def detail(driver):
    [found] = find(driver, ".detail")
    return found


def test_nothing_is_fetched(page):
    driver = page()
    log = " ".join(entry["message"] for entry in driver.get_log("performance"))
    asked = set(re.findall(r'"requestWillBeSent".*?"url":"(\w+):', log)) | set(re.findall(r'"url":"(https?):', log))
    assert asked <= {"file", "data", "about"}
    assert (
        driver.execute_script("return performance.getEntriesByType('resource').filter(e => !e.name.startsWith('data:')).length")
        == 0
    )
    assert all(image.get_property("naturalWidth") > 100 for image in find(driver, "img"))


def test_the_policy_stops_scripts_and_loads_of_others(driver, address):
    driver.get(address)
    driver.execute_script(
        "window.ran = false; const s = document.createElement('script'); s.textContent = 'window.ran = true';"
        "document.body.append(s); const i = new Image(); i.src = 'http://127.0.0.1:9/x.png'; document.body.append(i);"
    )
    assert driver.execute_script("return window.ran") is False
    messages = " ".join(entry["message"] for entry in driver.get_log("browser"))
    assert len(re.findall("Content Security Policy", messages)) >= 2


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_the_page_is_never_wider_than_the_screen(page, size):
    driver = page(size)
    assert driver.execute_script("return document.documentElement.scrollWidth") <= size[0]
    # What is wider scrolls by itself, also by the keyboard.
    wide = driver.execute_script(
        "return [...document.querySelectorAll('.wide')].filter(e => e.scrollWidth > e.clientWidth).map(e => e.tabIndex)"
    )
    assert wide
    assert set(wide) == {0}


def test_numbers_sort_as_numbers_and_words_as_words(page):
    driver = page()
    header(driver, "recommended-table", "parameters").find_element("tag name", "button").click()
    falling = [int(text.replace(",", "")) for text in column(driver, "recommended-table", "parameters")]
    assert falling == sorted(falling, reverse=True)
    assert header(driver, "recommended-table", "parameters").get_attribute("aria-sort") == "descending"
    header(driver, "recommended-table", "parameters").find_element("tag name", "button").click()
    assert [int(text.replace(",", "")) for text in column(driver, "recommended-table", "parameters")] == falling[::-1]
    header(driver, "recommended-table", "model").find_element("tag name", "button").send_keys(Keys.ENTER)
    assert column(driver, "recommended-table", "model") == ["B/16", "B/16", "S/16", "S/16"]
    assert [th.get_attribute("aria-sort") for th in find(driver, "#recommended-table thead th")].count("ascending") == 1


def test_rows_without_a_value_stay_below(page):
    driver = page()
    button = header(driver, "runs-table", "final_val").find_element("tag name", "button")
    for _ in range(2):
        button.click()
        shown = column(driver, "runs-table", "final_val")
        assert shown[-2:] == ["", ""]
        assert "" not in shown[:-2]


def test_size_speed_and_set_filter_both_tables(page):
    driver = page()
    output = find(driver, "#recommended .filters output")[0]
    assert output.text == "4 of 4 rows."
    control(driver, "most", "parameters").send_keys("25M")
    assert column(driver, "recommended-table", "model") == ["S/16"] * 2 == column(driver, "by-task-table", "model")
    assert output.text == "2 of 4 rows."
    control(driver, "is", "pre-trained on").send_keys("i21k")
    assert (
        column(driver, "recommended-table", "pre-trained on") == ["i21k"] == column(driver, "by-task-table", "pre-trained on")
    )
    find(driver, "#recommended .filters button")[0].click()
    assert Counter(column(driver, "recommended-table", "model")) == {"B/16": 2, "S/16": 2}
    control(driver, "least", "images/s").send_keys("1,000")
    assert column(driver, "recommended-table", "model") == ["S/16"] * 2


def test_a_limit_that_is_no_number_is_said_and_hides_nothing(page):
    driver = page()
    limit = control(driver, "most", "parameters")
    limit.send_keys("small")
    assert limit.get_attribute("aria-invalid") == "true"
    assert "4 of 4 rows. A limit is a positive number" in find(driver, "#recommended .filters output")[0].text
    limit.send_keys(Keys.BACKSPACE * 5)
    assert limit.get_attribute("aria-invalid") == "false"


def test_runs_are_found_by_words(page):
    driver = page()
    find(driver, "#runs .filters input")[0].send_keys("b_16 strong2 WD_0.03")
    shown = column(driver, "runs-table", "filename")
    names = small_table()["filename"]
    expected = names[names.str.contains("B_16.*strong2-wd_0.03")].unique()
    assert sorted(shown) == sorted(expected)
    assert len(shown) == 4


def test_the_pointer_shows_the_run_behind_a_cell_and_its_command(page):
    driver = page()
    link, best = cell(driver, "B/16", "i21k", "light1", 0.1)
    assert link.text == f"{100 * best['final_val']:.1f}"
    assert not detail(driver).is_displayed()
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", link)
    Actions(driver).move_to_element(link).perform()
    text = detail(driver).text
    assert "B/16 on i21k, light2, dropout 0.1" in text  # the paper's name of the level
    assert best["filename"] in text.splitlines()
    assert "augreg run augreg-i21k-300ep" in text.splitlines()
    assert any(line.startswith(f"augreg transfer {best['filename']} ") for line in text.splitlines())
    # It goes with the pointer. A click keeps it while the pointer goes on; Escape ends that.
    Actions(driver).move_to_element(find(driver, "#panel-2")[0]).perform()
    assert not detail(driver).is_displayed()
    link.click()
    other, _ = cell(driver, "S/16", "i21k", "none", 0.0)
    Actions(driver).move_to_element(other).perform()
    assert detail(driver).text == text
    Actions(driver).send_keys(Keys.ESCAPE).perform()
    assert not detail(driver).is_displayed()


UNCOVERED = """
const [a, b] = [arguments[0], document.querySelector(".detail")].map((e) => e.getBoundingClientRect());
const at = document.elementFromPoint((a.left + a.right) / 2, (a.top + a.bottom) / 2);
return b.height > 0 && a.top >= 0 && a.bottom <= innerHeight && (b.top >= a.bottom || b.bottom <= a.top) && at === arguments[0];
"""


@pytest.mark.parametrize("size", [LOW, PHONE])
@pytest.mark.parametrize("block", ["start", "center", "end"])
def test_the_box_never_covers_the_cell_that_it_is_about(page, size, block):
    driver = page(size)
    link = find(driver, ".heat a")[0]
    driver.execute_script("arguments[0].scrollIntoView({block: arguments[1]})", link, block)
    if size == LOW:
        Actions(driver).move_to_element(link).perform()
        assert driver.execute_script(UNCOVERED, link)
    driver.execute_script("arguments[0].focus({preventScroll: true})", link)
    for key in (Keys.ARROW_DOWN, *[Keys.ARROW_RIGHT] * 13, Keys.ARROW_UP, *[Keys.ARROW_LEFT] * 13):
        driver.switch_to.active_element.send_keys(key)
        assert driver.execute_script(UNCOVERED, driver.switch_to.active_element)
    assert driver.switch_to.active_element == link


def test_what_has_the_focus_stays_shown_when_the_pointer_was_elsewhere(page):
    driver = page()
    first, *_, other = find(driver, ".heat a")[:5]
    first.send_keys(Keys.ARROW_RIGHT)
    text = detail(driver).text
    Actions(driver).move_to_element(other).perform()
    assert detail(driver).text != text
    Actions(driver).move_to_element(find(driver, "#panel-1")[0]).perform()
    assert detail(driver).text == text
    # Gone with its cell.
    driver.execute_script("document.getElementById('provenance').scrollIntoView()")
    WebDriverWait(driver, 5).until(lambda _: not detail(driver).is_displayed())


def test_the_heatmap_by_keyboard(page):
    driver = page()
    stops = [
        len([a for a in grid.find_elements("css selector", "a") if a.get_property("tabIndex") == 0])
        for grid in find(driver, ".heat")
    ]
    assert stops == [1, 1]
    find(driver, ".heat a")[0].send_keys(Keys.ARROW_RIGHT)
    active = driver.switch_to.active_element
    assert active.get_attribute("data-cell") == "light1, dropout 0"
    for key, about in (
        (Keys.END, "heavy2, dropout 0.1"),
        (Keys.ARROW_DOWN, "heavy2, dropout 0.1"),
        (Keys.HOME, "none, dropout 0"),
    ):
        driver.switch_to.active_element.send_keys(key)
        assert driver.switch_to.active_element.get_attribute("data-cell") == about
    assert "B/16 on i1k, none" in detail(driver).text
    link = driver.switch_to.active_element
    link.send_keys(Keys.ENTER)
    assert driver.switch_to.active_element.text == "Show in the list of runs"
    driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert driver.switch_to.active_element == link
    assert not detail(driver).is_displayed()


def test_arrows_jump_over_cells_without_a_run(page):
    driver = page()
    before, _ = cell(driver, "S/16", "i1k", "light0", 0.1)
    before.send_keys(Keys.ARROW_RIGHT)
    assert driver.switch_to.active_element.get_attribute("data-cell") == "medium1, dropout 0.1"
    before, _ = cell(driver, "B/16", "i1k", "light1", 0.0)
    before.send_keys(Keys.ARROW_RIGHT)
    assert driver.switch_to.active_element.get_attribute("data-cell") == "medium2, dropout 0"


def test_the_detail_leads_to_the_row_also_where_a_filter_hid_it(page):
    driver = page()
    find(driver, "#runs .filters input")[0].send_keys("no such run")
    assert column(driver, "runs-table", "filename") == []
    link = find(driver, ".heat a")[0]
    best = driver.execute_script("return document.querySelector(arguments[0].hash).cells[0].textContent", link)
    link.send_keys(Keys.ENTER)
    driver.switch_to.active_element.send_keys(Keys.ENTER)
    [row] = find(driver, "#runs-table tr:target")
    assert row.is_displayed()
    assert row.find_element("tag name", "th").text == best


@pytest.mark.parametrize("size", [LOW, PHONE])
def test_the_row_that_the_detail_leads_to_is_in_view_and_has_the_focus(page, size):
    driver = page(size)
    link = find(driver, ".heat a")[-1]
    link.send_keys(Keys.ENTER)
    driver.switch_to.active_element.send_keys(Keys.ENTER)
    row = driver.switch_to.active_element
    assert row.get_attribute("id") == link.get_attribute("href").partition("#")[2]
    # Below the headings, and these are in view.
    cells = [find(driver, "#runs-table thead th")[0], row.find_element("tag name", "th")]
    heading, cell = (driver.execute_script("return arguments[0].getBoundingClientRect()", each) for each in cells)
    assert 0 <= heading["top"] < heading["bottom"] <= cell["top"] < cell["bottom"] <= size[1]
    assert not detail(driver).is_displayed()


def test_on_a_phone_a_tap_shows_the_run_and_leaves_room(page):
    driver = page(PHONE)
    link = find(driver, ".heat a")[2]
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", link)
    assert link.size["height"] >= 32
    link.click()
    assert link.get_attribute("data-cell") in detail(driver).text
    assert detail(driver).size["height"] <= 0.45 * PHONE[1]
    assert driver.execute_script("return document.documentElement.scrollWidth") <= PHONE[0]


def right(element):
    return element.rect["x"] + element.rect["width"]


def box(driver, table):
    """Returns what a table scrolls in."""
    return find(driver, f".wide:has(> {table})")[0]


def test_on_a_phone_headings_stand_over_their_columns_when_scrolled(page):
    driver = page(PHONE)
    boxes = find(driver, ".wide:has(tbody th.stays), .wide:has(.heat)")
    assert len(boxes) == 7
    for each in boxes:
        driver.execute_script("arguments[0].scrollIntoView(); arguments[0].scrollLeft = 9999", each)
        assert each.get_property("scrollLeft") > 0
        cells = find(each, "tr > :first-child")
        assert len({round(cell.rect["x"]) for cell in cells}) == 1
        # Other columns are behind it, and do not show through.
        for cell in cells[:3]:
            assert driver.execute_script(
                "const r = arguments[0].getBoundingClientRect();"
                "return arguments[0].contains(document.elementFromPoint(r.right - 3, (r.top + r.bottom) / 2))",
                cell,
            )
            assert cell.value_of_css_property("background-color") != "rgba(0, 0, 0, 0)"


def test_on_a_phone_captions_are_read_whole(page):
    driver = page(PHONE)
    captions, tables = find(driver, ".caption"), find(driver, "table.sortable")
    assert len(captions) == len(tables) == 7
    for caption, table in zip(captions, tables, strict=True):
        assert table.accessible_name == caption.text
        driver.execute_script("arguments[0].parentElement.scrollLeft = 9999", table)
        assert 0 <= caption.rect["x"] < right(caption) <= PHONE[0]
        assert caption.get_property("scrollWidth") <= caption.get_property("clientWidth")


def test_on_a_phone_sentences_are_seen_with_what_they_are_about(page):
    driver = page(PHONE)
    assert max(map(right, find(driver, "#findings-table tbody tr > *"))) <= PHONE[0]
    strategy, chooses = find(driver, "#standings-table tbody tr:first-child > *")[:2]
    assert strategy.rect["width"] + chooses.rect["width"] <= box(driver, "#standings-table").rect["width"]


@pytest.mark.parametrize("dark", [False, True])
def test_on_a_phone_a_shade_shows_that_a_heatmap_goes_on(page, dark):
    driver = page(PHONE, dark)
    heat = box(driver, ".heat")
    driver.execute_script("arguments[0].scrollIntoView()", heat)

    def edge():
        pixels = matplotlib.image.imread(io.BytesIO(heat.screenshot_as_png))
        return pixels[1, -1, :3].sum()

    before = edge()
    driver.execute_script("arguments[0].scrollLeft = 9999", heat)
    assert abs(edge() - before) > 0.3


def test_what_people_look_for_is_in_view(page):
    driver = page()
    for name, heading in (("recommended", "parameters"), ("recommended", "images/s"), ("standings", "against upstream_best")):
        assert right(header(driver, f"{name}-table", heading)) <= right(box(driver, f"#{name}-table"))


def test_sort_buttons_are_large_enough_to_hit(page):
    driver = page()
    # WCAG 2.2, success criterion 2.5.8 (level AA): 24 CSS pixels.
    assert min(side for button in find(driver, "th button") for side in button.size.values()) >= 24


def test_a_run_is_one_line(page):
    driver = page()
    assert max(row.rect["height"] for row in find(driver, "#runs-table tbody tr")) < 40


def test_compute_sorts_across_units(page):
    driver = page()
    header(driver, "means-table", "compute").find_element("tag name", "button").click()
    shown = column(driver, "means-table", "compute")
    assert {text.split()[1] for text in shown} == {"PFLOPs", "EFLOPs"}
    found = [float(value) * {"P": 1e15, "E": 1e18}[unit[0]] for value, unit in map(str.split, shown)]
    assert found == sorted(found, reverse=True)


CONTRASTS = """
const channel = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
const rgb = (text) => {
  const n = text.match(/[\\d.]+/g).map(Number);
  return text.startsWith("color(") ? n.slice(-3) : n.slice(0, 3).map((v) => v / 255);
};
const luminance = (c) => { const [r, g, b] = rgb(c).map(channel); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
const behind = (e) => {
  for (; e; e = e.parentElement) {
    const colour = getComputedStyle(e).backgroundColor;
    if (colour !== "rgba(0, 0, 0, 0)") return colour;
  }
};
const [selector, part] = arguments[0].split("::");
return [...document.querySelectorAll(selector)].filter((e) => part || e.textContent.trim()).map((e) => {
  const colour = getComputedStyle(e, part && `::${part}`).color;
  const [a, b] = [luminance(colour), luminance(behind(e))].sort((x, y) => y - x);
  return (a + 0.05) / (b + 0.05);
});
"""


@pytest.mark.parametrize("dark", [False, True])
def test_text_stands_out_from_what_is_behind_it(page, dark):
    driver = page(dark=dark)
    paper = driver.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", paper))) < 100) == dark
    # WCAG 2.2, success criterion 1.4.3 (level AA): 4.5 to 1.
    words = ("p", "dt", "dd", "th", "td", "nav a", "label", "output", "input[placeholder]::placeholder")
    for what in (".heat a", ".heat td.side span", *words):
        ratios = driver.execute_script(CONTRASTS, what)
        assert ratios, what
        assert min(ratios) >= 4.5, what


def test_without_its_script_the_page_is_whole(page, driver):
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        page()
        assert not any(f.is_displayed() for f in find(driver, ".filters"))
        assert find(driver, "th button") == []
        link = find(driver, ".heat a")[0]
        link.click()
        [row] = find(driver, "#runs-table tr:target")
        assert f"#{row.get_attribute('id')}" == link.get_attribute("href").partition("report.html")[2]
    finally:
        driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
