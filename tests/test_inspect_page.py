"""The page of ``uncover inspect`` in a real browser, over a real run of shipped weights."""

import csv
import json
import re
import shutil
import threading
import zipfile
from collections import Counter
from functools import partial

import numpy as np
import pytest
import uvicorn
from clocks import least
from detect_runs import coco_of, filmed_run, rows_of, run_folder
from films import film

from pipeline import demo, heatmap_files
from pipeline.boxes import ENOUGH, as_boxes, iou
from pipeline.demo import Demo
from pipeline.detections import OUTCOMES
from pipeline.inspect.command import Inspect
from pipeline.inspect.record import At, believed
from pipeline.inspect.room import Room
from pipeline.inspect.server import Server, listen
from pipeline.parts import PARTS

pytestmark = pytest.mark.browser
TOKEN = "a-token-of-this-test"
_NAMES = ("chromium", "chromium-browser", "google-chrome")
# Chromium itself would like to talk to its maker.
_QUIET = ["--disable-background-networking", "--disable-component-update", "--disable-sync"]


@pytest.fixture(scope="module")
def chromium():
    """A browser without a window."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        pytest.skip(f"no browser here ({', '.join(_NAMES)})")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--no-first-run", *_QUIET]
        browser = playwright.chromium.launch(executable_path=found, args=arguments)
        yield browser
        browser.close()


class Look:
    """Servers and pages of one test; pages go first, so that none asks a server that is gone."""

    def __init__(self, browser):
        self.browser, self.servers, self.pages = browser, [], []

    def serve(self, folder, **settings):
        """The address of a run's page."""
        app = Server(partial(Room, folder, **settings), TOKEN).app()
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
        listening = listen(0)
        sockets = {"sockets": [listening]}
        thread = threading.Thread(target=server.run, kwargs=sockets, daemon=True)
        thread.start()
        self.servers.append((server, thread))
        return f"http://127.0.0.1:{listening.getsockname()[1]}/{TOKEN}/"

    def open(self, address, ready=True, **settings):
        """A page at an address, when its first picture is there."""
        size = {"width": 1440, "height": 900}
        page = self.browser.new_context(viewport=size, **settings).new_page()
        faults, asked = [], []

        def heard(said):
            ours = "willReadFrequently" in said.text  # said of these tests, which read canvases
            if said.type in {"error", "warning"} and not ours:
                faults.append(said.text)

        page.on("console", heard)
        page.on("pageerror", lambda error: faults.append(error))  # noqa: PLW0108 - no builtin
        page.on("dialog", lambda shown: faults.append(shown.message) or shown.dismiss())
        page.on("request", lambda request: asked.append(request.url))
        page.set_default_timeout(10_000)
        self.pages.append((page, faults, asked, re.match(r"\w+://[^/]*/", address)[0]))
        page.goto(address)
        if ready:
            page.wait_for_selector("html[data-ready='1']")
            until(page, "[...document.querySelectorAll('[data-count]')].some(x => +x.textContent)")
        return page

    def end(self):
        """No error in any console, no word to any other host."""
        for page, *_ in self.pages:
            page.context.close()
        for server, thread in self.servers:
            server.should_exit = True
            thread.join()
        for _, faults, asked, own in self.pages:
            assert [str(each) for each in faults] == []
            assert [url for url in asked if not url.startswith((own, "data:", "blob:"))] == []


@pytest.fixture
def look(chromium):
    made = Look(chromium)
    yield made
    made.end()


@pytest.fixture(scope="module")
def run(module_home):
    """The demo's own run, 96 frames, with its truth."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "FRAMES", 6)
        Demo().run()
    return module_home / "runs" / "detect" / "uncover-demo"


@pytest.fixture(scope="module")
def truth(module_home, run):
    return str(module_home / "runs" / "demo" / "truth.json")


@pytest.fixture
def page(look, run, truth):
    """The page of the demo's run."""
    return look.open(look.serve(run, labels=truth))


def table(folder):
    with (folder / "frames.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def until(page, what):
    """Wait for something in the page; its policy forbids the waiting of Playwright's own."""
    for _ in range(300):
        if page.evaluate(what):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"never: {what}")


def counts(page):
    shown = page.locator("[data-count]").evaluate_all(
        "all => all.map(one => [one.dataset.count, one.textContent])"
    )
    return {name: int(text) for name, text in shown}


def scores(page):
    return {
        name: page.locator(f"[data-score={name}]").inner_text() for name in ("precision", "recall")
    }


def current(page):
    """The number of the frame that is shown, when its facts are there, too."""
    until(page, "document.querySelector('img[alt^=\"Frame \"]')?.complete")
    return int(
        re.search(r"Frame (\d+)", page.locator("img[alt^='Frame ']").get_attribute("alt"))[1]
    )


def outcome(page):
    return page.locator("[data-outcome]").inner_text()


def set_range(page, name, value):
    page.get_by_label(f"{name}, number", exact=True).fill(f"{value:.2f}")
    page.get_by_label(f"{name}, number", exact=True).press("Enter")


def expected_at(room, conf, fallback_conf):
    """Counts, precision and recall at two thresholds, worked out without the page."""
    found, right, said, truths = Counter(), 0, 0, 0
    for index, shot in enumerate(room.record.shots):
        seen = believed(room.record, room.columns, index, At(0, conf, fallback_conf))
        found["unreadable" if shot.size == (0, 0) else seen.outcome] += 1
        if shot.truth is None:
            continue
        overlap = iou(as_boxes([each["box"] for each in seen.boxes]), as_boxes(shot.truth))
        said, truths = said + len(seen.boxes), truths + len(shot.truth)
        right += bool((overlap >= ENOUGH).any())  # a face a frame, and a box
    return found, right / said if said else None, right / truths


def test_arrows_and_letters_move_through_the_frames(page, run):
    """Next, previous, next recovered and missed: each where frames.csv says."""
    kinds = [row["outcome"] for row in table(run)]
    assert current(page) == 0
    assert outcome(page) == kinds[0]
    for key, expected in (("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1), ("End", 95)):
        page.keyboard.press(key)
        until(page, f"location.hash.includes('frame={expected}')")
        assert current(page) == expected
    page.keyboard.press("Home")
    for key, kind in (("n", "recovered"), ("m", "missed")):
        places = [number for number, each in enumerate(kinds) if each == kind]
        before = current(page)
        page.keyboard.press(key)
        expected = next(number for number in places if number > before)
        until(page, f"location.hash.includes('frame={expected}')")
        assert outcome(page) == kind
        assert current(page) == expected
    page.get_by_role("button", name="Next frame", exact=True).click()
    assert current(page) == expected + 1
    page.get_by_role("slider", name="Time line").focus()
    page.keyboard.press("Home")
    until(page, "location.hash.includes('frame=0')")
    text = page.get_by_role("slider", name="Time line").get_attribute("aria-valuetext")
    assert "found" in text


def test_counts_are_those_of_the_run_and_follow_the_thresholds(look, page, run, truth):
    room = Room(run, truth)
    own = Counter(row["outcome"] for row in table(run))
    names = ("found", "recovered", "held", "missed", "unreadable")
    assert counts(page) == {name: own[name] for name in names}
    for conf, fallback_conf in ((0.5, 0.3), (0.95, 0.1), (0.06, 0.9), (0.7, 0.06), (1.0, 1.0)):
        set_range(page, "Threshold of stage 1", conf)
        set_range(page, "Threshold of stage 2", fallback_conf)
        found, precision, recall = expected_at(room, conf, fallback_conf)
        assert counts(page) == {name: found[name] for name in names}
        told = scores(page)
        assert told["recall"] == f"{recall:.3f}"
        assert told["precision"] == ("–" if precision is None else f"{precision:.3f}")
    page.get_by_role("button", name="As the run has it").click()
    assert counts(page) == {name: own[name] for name in names}


def looked_by(folder, detector):
    """The same run as if another detector had made it."""
    config = json.loads((folder / "config.json").read_text())
    config["settings"] |= {"detector": detector, "neonatal": "2" * 64, "neonatal_conf": 0.6}
    config["settings"] |= {"neonatal_imgsz": 320}
    config["weights"]["neonatal"] = "own.pt"
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def offered(page, name):
    return page.get_by_label(name, exact=True).locator("option").all_inner_texts()


def test_the_page_of_the_neonatal_detector_speaks_of_no_stages_and_no_parts(look, home):
    page = look.open(look.serve(looked_by(filmed_run(home), "neonatal")))
    until(page, "document.querySelector('#frame-reason').textContent")
    page.get_by_role("button", name="Help").click()
    seen = page.inner_text("body").lower()
    page.keyboard.press("Escape")

    assert "heatmap on or off" in seen
    assert "stage 1" not in seen
    assert "stage 2" not in seen
    assert "ten classes" not in seen
    assert "ten parts" not in seen
    assert "threshold of the detector" in seen
    assert "the detector gives" in seen
    assert offered(page, "Map") == ["off", "evidence"]
    assert offered(page, "Levels") == ["all", "P2", "P3", "P4", "P5", "P6"]
    assert not page.locator("#labels-field").is_visible()
    for key in ("g", "3"):
        page.keyboard.press(key)
    assert page.locator("#map").input_value() == "off"
    assert not page.locator("#ten").is_visible()
    page.keyboard.press("h")
    assert page.locator("#map").input_value() == "average"


def test_each_way_to_read_a_run_of_both_has_its_own_words(look, home):
    """Together, the two stages, the neonatal detector; what one has not, the next does not show."""
    page = look.open(look.serve(looked_by(filmed_run(home), "both")))
    called = page.locator("#conf-of")
    assert called.inner_text() == "either detector"
    set_range(page, "Threshold of either detector", 0.99)
    assert not page.locator("#unasked").is_visible()  # who was asked follows from stage 1 alone
    page.get_by_label("Detectors").select_option("1")
    until(page, "document.querySelector('#conf-of').textContent === 'stage 1'")
    page.evaluate("document.activeElement.blur()")  # where people choose, letters are letters
    page.keyboard.press("3")
    page.keyboard.press("g")
    assert page.locator("#ten").is_visible()
    assert offered(page, "Levels") == ["all", "finest", "middle", "coarsest"]
    page.get_by_label("Detectors").select_option("2")
    until(page, "document.querySelector('#conf-of').textContent === 'the detector'")
    assert page.locator("#map").input_value() == "average"
    assert not page.locator("#ten").is_visible()
    assert page.locator("input[value=overlay]").is_checked()
    for _ in range(2):  # what it brings back is no part's
        page.keyboard.press("h")
    assert page.locator("#map").input_value() == "average"


def test_the_page_of_both_says_who_found_a_face(look, home):
    folder = looked_by(filmed_run(home), "both")
    rows = [json.loads(line) for line in (folder / "frames.jsonl").read_text().splitlines()]
    number, row = next((n, row) for n, row in enumerate(rows) if row["outcome"] == "found")
    row["faces"][0]["by"] = "neonatal"
    (folder / "frames.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
    page = look.open(f"{look.serve(folder)}#frame={number}")
    until(page, "document.querySelector('.label.found')")

    sure = f"{row['faces'][0]['conf']:.2f}"
    assert page.locator(".label.found").inner_text() == f"found {sure} (neonatal)"
    assert page.locator("#frame-reason").inner_text().endswith("found by neonatal.")


def test_an_address_asks_its_own_detectors_alone(look, home):
    """Levels and maps of one way to read a run are none of another."""
    address = look.serve(looked_by(filmed_run(home), "both"))
    page = look.open(f"{address}#pair=2&map=eyes&method=gradcam&levels=3")
    until(page, "document.querySelector('#maps-words').textContent")
    asked = [url for *_, urls, _ in look.pages for url in urls if "api/maps" in url]

    assert asked
    assert all("pair=2" in url for url in asked)
    assert page.locator("#map").input_value() == "average"
    page.evaluate("location.hash = '#pair=1&map=eyes&levels=4'")
    until(page, "document.querySelector('#conf-of').textContent === 'stage 1'")
    assert page.locator("#map").input_value() == "eyes"
    assert page.locator("#levels").input_value() == ""


def test_frames_that_stage_2_never_saw_are_told(look, home):
    """Without --always, a higher threshold leads to frames that nobody showed to stage 2."""
    folder = filmed_run(home)
    address = look.serve(folder)
    page = look.open(address)
    set_range(page, "Threshold of stage 1", 0.99)
    assert "never shown to stage 2" in page.locator("body").inner_text()


@pytest.mark.parametrize(("faces", "hold"), [(1, 0.0), (2, 0.25)])
def test_the_page_decides_as_the_detector_does(look, home, faces, hold):
    """Every frame, at thirty pairs of thresholds: the rule in the browser and its twin here."""
    folder = filmed_run(home, count=80, hold=hold, faces=faces)
    room, rng = Room(folder), np.random.default_rng(0)
    page = look.open(look.serve(folder))
    points = [[round(float(x), 3) for x in rng.uniform(0.05, 1, 2)] for _ in range(30)]
    found = page.evaluate(
        """async ([points, run, frames]) => {
          const { flatten, decide } = await import("uncover/outcomes");
          const cases = flatten(frames, run.outcomes);
          const how = { faces: run.pairs[0].faces, hold: run.hold };
          return points.map(([conf, fallback]) =>
            [...decide(cases, how, true, { conf, fallback }).outcome]);
        }""",
        [points, room.run(), room.columns.frames[0]],
    )
    for (conf, fallback_conf), outcomes in zip(points, found, strict=True):
        for index, outcome in enumerate(outcomes):
            seen = believed(room.record, room.columns, index, At(0, conf, fallback_conf))
            unread = room.record.shots[index].size == (0, 0)
            assert OUTCOMES[outcome] == ("unreadable" if unread else seen.outcome)


def test_held_faces_are_recomputed_as_detection_holds_them(look, home):
    """Two runs of the same candidates, with and without gaps to carry over."""
    folder = filmed_run(home, hold=0.25, faces=2)
    own = Counter(dict.fromkeys(("found", "recovered", "held", "missed", "unreadable"), 0))
    for line in (folder / "frames.jsonl").read_text().splitlines():
        own[json.loads(line)["outcome"]] += 1
    assert own["held"]
    address = look.serve(folder)
    assert counts(look.open(address)) == dict(own)


def pixels(page):
    """A sum over the heat that lies on the picture."""
    return page.evaluate(
        """() => [...document.querySelectorAll('#stage canvas')].map((canvas) =>
          canvas.width * canvas.height === 0 || !canvas.offsetParent ? 0 :
          canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data
            .reduce((sum, value) => sum + value, 0)).reduce((a, b) => a + b, 0)"""
    )


def test_heat_is_switched_from_class_to_class(page):
    """Off, the average, each part by its key; every one paints something else."""
    page.keyboard.press("m")
    page.get_by_label("Map", exact=True).select_option("average")
    page.wait_for_timeout(500)
    seen = {"average": pixels(page)}
    assert seen["average"] > 0
    for key, name in (("1", PARTS[0]), ("9", PARTS[8]), ("0", PARTS[9])):
        page.keyboard.press(key)
        page.wait_for_timeout(300)
        assert page.get_by_label("Map", exact=True).input_value() in {name, f"{PARTS.index(name)}"}
        seen[name] = pixels(page)
    assert len(set(seen.values())) == 4
    page.get_by_label("Opacity").fill("0.2")
    page.wait_for_timeout(200)
    for layout, panes in (("side by side", 2), ("wipe", 1), ("overlay", 1)):
        page.get_by_role("radiogroup", name="Layout").get_by_text(layout).click()
        page.wait_for_timeout(200)
        pictures = page.locator("#stage img").evaluate_all(
            "all => all.filter(one => one.offsetWidth > 99).map(one => one.offsetLeft)"
        )
        assert len(pictures) >= panes
    page.get_by_label("Map", exact=True).select_option("off")
    page.wait_for_timeout(200)
    assert pixels(page) == 0


def test_the_ten_classes_are_told_as_they_were_saved(page, run):
    """In the order of the parts, each with its score, weak ones marked so."""
    page.keyboard.press("m")
    page.wait_for_timeout(600)
    number = current(page)
    stack, facts = heatmap_files.read(run / "heatmaps" / f"film@{number:06d}.tif")
    page.wait_for_timeout(600)
    shown = page.locator("#multiples button").evaluate_all("all => all.map(one => one.innerText)")

    assert len(shown) == 10
    for text, name in zip(shown, PARTS, strict=True):
        assert name in text
        assert f"{facts['best'][name]:.2f}" in text
        blank = not stack[PARTS.index(name)].any()
        assert ("empty" in text) == blank
        assert ("weak" in text) == (name in facts["weak"] and not blank)
    assert facts["weak"]
    page.get_by_text("each its own").click()
    page.locator("#multiples button").nth(9).click()
    assert "mouth" in page.get_by_label("Map", exact=True).evaluate(
        "one => one.selectedOptions[0].textContent"
    )


@pytest.mark.slow
def test_heat_is_drawn_on_the_spot_by_another_method(page):
    page.keyboard.press("a")
    page.wait_for_timeout(500)
    before = pixels(page)
    page.get_by_label("Method", exact=True).select_option("hirescam")
    until(page, "document.body.innerText.includes('hirescam, one scale')")
    page.wait_for_timeout(300)
    hires = pixels(page)
    page.get_by_label("Levels", exact=True).select_option("2")
    page.wait_for_timeout(3000)
    assert len({before, hires, pixels(page)}) == 3


def test_boxes_are_where_the_run_has_them(page, run):
    """Of stage 1, of stage 2, parts, candidates; each can be switched off."""
    row = table(run)[0]
    assert row["outcome"] == "found"
    box = [float(row[key]) for key in ("x1", "y1", "x2", "y2")]

    def drawn():
        return page.locator("#stage svg rect").evaluate_all(
            """all => all.map(one =>
              ['x', 'y', 'width', 'height'].map(key => +one.getAttribute(key)))"""
        )

    near = [x for x in drawn() if np.allclose([x[0], x[1], x[0] + x[2], x[1] + x[3]], box, atol=1)]
    assert near
    for name in ("stage 1", "stage 2", "parts", "truth"):
        page.get_by_role("checkbox", name=name, exact=True).uncheck()
    page.wait_for_timeout(100)
    assert drawn() == []
    set_range(page, "Threshold of stage 1", 1)
    page.get_by_role("checkbox", name="under the threshold").check()
    page.wait_for_timeout(100)
    row = json.loads((run / "frames.jsonl").read_text().splitlines()[0])
    assert len(drawn()) >= len(row["first"]) > 0


def test_marks_survive_a_reload_and_another_server(look, page, run, truth):
    (run / "marks.json").unlink(missing_ok=True)
    page.reload()
    page.wait_for_selector("html[data-ready='1']")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("x")
    page.keyboard.press("e")
    page.keyboard.type("tube over the nose, x m n")
    page.keyboard.press("Enter")
    page.wait_for_timeout(300)
    marks = json.loads((run / "marks.json").read_text())["marks"]
    assert list(marks) == ["film@000001"]
    assert marks["film@000001"]["note"] == "tube over the nose, x m n"
    page.reload()
    page.wait_for_selector("html[data-ready='1']")
    assert current(page) == 1  # the address has kept the frame
    assert page.get_by_label("Mark this frame").is_checked()
    assert page.get_by_label("Note", exact=True).input_value() == "tube over the nose, x m n"
    other = look.serve(run, labels=truth)
    again = look.open(other + "#frame=1")
    assert again.get_by_label("Mark this frame").is_checked()


def test_what_the_filter_leaves_is_marked_and_exported(page, run, tmp_path):
    """Missed frames alone: as a list, in COCO's form, as a dataset with boxes as a start."""
    (run / "marks.json").unlink(missing_ok=True)
    for name in ("found", "recovered", "held", "unreadable"):
        page.get_by_role("group", name="Outcomes").get_by_label(name).uncheck()
    missed = [int(row["frame"]) for row in table(run) if row["outcome"] == "missed"]
    assert f"{len(missed)} of 96" in page.locator("#left").inner_text()
    page.get_by_role("button", name="Mark all shown").click()
    page.wait_for_timeout(400)
    names = {f"film@{number:06d}" for number in missed}
    assert set(json.loads((run / "marks.json").read_text())["marks"]) == names

    def download(link):
        with page.expect_download() as waiting:
            page.get_by_role("link", name=link).click()
        target = tmp_path / waiting.value.suggested_filename
        waiting.value.save_as(target)
        return target

    rows = list(csv.DictReader(download("List (CSV)").open(newline="")))
    assert [int(row["frame"]) for row in rows] == missed
    coco = json.loads(download("COCO json").read_text())
    assert len(coco["images"]) == len(missed)
    assert coco["annotations"] == []
    set_range(page, "Threshold of stage 2", 0.05)
    page.get_by_label("Labels for YOLO").select_option("parts")
    with zipfile.ZipFile(download("YOLO dataset")) as file:
        held = file.namelist()
        labels = [file.read(name).decode() for name in held if name.startswith("labels/")]
    assert sum(name.endswith(".jpg") for name in held) == len(missed)
    assert any(re.match(r"2 0\.\d+", line) for text in labels for line in text.splitlines())
    page.get_by_role("button", name="Unmark all").click()
    page.wait_for_timeout(400)
    assert json.loads((run / "marks.json").read_text())["marks"] == {}


def test_every_control_has_a_name_and_can_be_reached_by_keyboard(page):
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('button, input, select, a, [role=slider], canvas')]
          .filter((one) => one.offsetParent !== null && one.getAttribute('aria-hidden') !== 'true')
          .filter((one) => !(one.getAttribute('aria-label') || one.textContent.trim() ||
             one.labels?.[0]?.textContent.trim() || one.closest('[aria-hidden=true]')))
          .map((one) => one.outerHTML)"""
    )
    assert nameless == []
    unreachable = page.evaluate(
        """() => [...document.querySelectorAll('button, input, select, a[href]')]
          .filter((one) => one.offsetParent !== null && one.tabIndex < 0 && !one.disabled)
          .filter((one) => !one.closest('[role=listbox]')).map((one) => one.outerHTML)"""
    )
    assert unreachable == []
    page.keyboard.press("?")
    assert page.locator("dialog#help").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("dialog#help").is_visible()


@pytest.mark.parametrize("size", [(1024, 700), (700, 1000), (3840, 2160)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_its_window(look, run, size, scheme):
    """No scrolling sideways; the picture has room."""
    page = look.open(look.serve(run), color_scheme=scheme)
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.wait_for_timeout(200)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    box = page.locator("img[alt^='Frame ']").first.bounding_box()
    assert min(box["width"], box["height"]) > 200


def test_names_that_would_like_to_be_markup_stay_names(look, home):
    evil = "<img src=x onerror=alert(1)>"
    rows = rows_of(f"{evil}.mp4", evil, 20, np.random.default_rng(0))
    folder = run_folder(home / "runs" / "detect" / "evil", rows)
    address = look.serve(folder)
    page = look.open(address)
    page.keyboard.press("x")
    assert evil in page.locator("body").inner_text()
    assert page.locator("img[src=x]").count() == 0


def test_a_run_whose_pictures_are_gone_is_looked_into_all_the_same(look, home):
    rows = rows_of("gone.mp4", "gone", 20, np.random.default_rng(0))
    folder = run_folder(home / "runs" / "detect" / "gone", rows)
    address = look.serve(folder)
    page = look.open(address)
    page.keyboard.press("ArrowRight")
    assert sum(counts(page).values()) == 20
    kind = page.evaluate("fetch('picture/1').then((answer) => answer.headers.get('content-type'))")
    assert kind == "image/svg+xml"


def test_a_run_without_a_frame_says_so(look, home):
    folder = run_folder(home / "runs" / "detect" / "none", [])
    address = look.serve(folder)
    page = look.open(address, ready=False)
    page.wait_for_timeout(500)
    assert "no frames" in page.locator("body").inner_text().lower()


def test_a_page_whose_frames_come_late_is_there_before_them(look, home):
    """It waits a moment for what it will show, and not for ever."""
    address = look.serve(filmed_run(home))
    page = look.open(address)
    script = """const now = fetch;
      window.fetch = async (path, ...more) => {
        if (path.includes("api/frames")) await new Promise((done) => setTimeout(done, 3000));
        return now(path, ...more);
      };"""
    page.add_init_script(script)
    page.reload()
    until(page, "!document.querySelector('#desk').hidden")
    assert not sum(counts(page).values())
    until(page, "[...document.querySelectorAll('[data-count]')].some(x => +x.textContent)")
    page.keyboard.press("ArrowRight")
    assert current(page) == 1


def test_a_run_that_cannot_be_read_any_more_is_told(look, home):
    folder = filmed_run(home)
    address = look.serve(folder)
    (folder / "config.json").write_text("{")
    page = look.open(address, ready=False)
    until(page, "document.documentElement.dataset.ready")
    assert "no run of detect" in page.get_by_role("alert").inner_text()
    assert "could not start" in page.locator("#nothing").inner_text()


def test_a_run_that_is_being_written_can_be_read_again(look, home):
    from pipeline.journal import Journal

    rows = list(rows_of("ward.mp4", "ward", 100, np.random.default_rng(0)))
    folder = run_folder(home / "runs" / "detect" / "a", rows[:64], complete=False, journal=True)
    address = look.serve(folder)
    page = look.open(address)
    assert sum(counts(page).values()) == 64
    Journal(folder).add(rows[64:])
    page.get_by_role("button", name="Read again").click()
    until(page, "document.querySelector('#run-frames')?.textContent.includes('100')")
    until(page, "+document.querySelector('[data-count=found]')?.textContent > 0")
    assert sum(counts(page).values()) == 100


def test_an_exported_page_tells_the_same_without_a_server(look, run, truth, tmp_path):
    target = tmp_path / "page.html"
    (run / "marks.json").unlink(missing_ok=True)
    Inspect(str(run), labels=truth, export=target).run()
    page = look.open(target.as_uri())
    own = Counter(row["outcome"] for row in table(run))

    assert {name: count for name, count in counts(page).items() if count} == dict(own)
    page.keyboard.press("n")
    assert outcome(page) == "recovered"
    page.keyboard.press("a")
    page.wait_for_timeout(400)
    assert pixels(page) > 0
    assert not page.get_by_role("link", name="YOLO dataset").is_visible()


@pytest.fixture(scope="module")
def long(module_home):
    """Ten thousand frames of a film that is there."""
    film(module_home / "long.mp4", count=10_000, rate=25, size=(720, 480), codec="libx264")
    rows = rows_of("long.mp4", "long", 10_000, np.random.default_rng(0), fps=25)
    return run_folder(module_home / "runs" / "detect" / "long", rows)


@pytest.mark.slow
@pytest.mark.timed
def test_ten_thousand_frames_are_seen_at_once_and_scroll_smoothly(look, long):
    """The first picture within a second; the next in a tenth; a jump; few rows in the page."""
    address = look.serve(long)
    look.open(address)  # the browser itself is warm then
    # The browser's own clock, from when it was asked for the page until the picture is painted and
    # all frames are counted: the making of a context and the words between Playwright and browser
    # are nobody's waiting.
    painted = """new Promise((done) => new PerformanceObserver((seen) => done(seen.getEntries()))
      .observe({ type: "element", buffered: true }))
      .then((all) => Math.max(
        all.find((one) => one.identifier === "picture").renderTime,
        performance.getEntriesByName("all frames")[0].startTime))"""

    def took():
        """Seconds, the median of three."""
        return np.median([look.open(address).evaluate(painted) for _ in range(3)]) / 1000

    first, page = least(took, 1.0, tries=3), look.pages[-1][0]
    shown = "document.querySelector(\"img[alt^='Frame ']\").naturalWidth"
    assert page.evaluate(shown) == 720  # a picture of the film, not words in its place
    steps = []
    for number in range(1, 12):
        page.wait_for_timeout(60)
        steps.append(
            page.evaluate(
                """(number) => new Promise((done) => {
                  const begin = performance.now();
                  const picture = document.querySelector("img[alt^='Frame ']");
                  const look = () => {
                    const shown = document.querySelector("img[alt^='Frame ']");
                    const there = shown.alt.startsWith(`Frame ${number}`) && shown.complete;
                    if (there) requestAnimationFrame(() => done(performance.now() - begin));
                    else requestAnimationFrame(look);
                  };
                  document.body.dispatchEvent(
                    new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
                  look();
                })""",
                number,
            )
        )
    assert len(page.locator("#list > *").all()) < 200
    frame_ms = page.evaluate(
        """() => new Promise((done) => {
          const list = document.querySelector("#list"), times = [];
          let last = performance.now();
          const step = (now) => {
            times.push(now - last); last = now; list.scrollTop += 400;
            times.length < 60 ? requestAnimationFrame(step) : done(times.slice(2));
          };
          requestAnimationFrame(step);
        })"""
    )
    print(
        f"first {first:.2f} s, next {np.median(steps):.0f} ms, scroll {np.median(frame_ms):.0f} ms"
    )
    assert first < 1.0
    assert np.median(steps) < 100
    assert np.median(frame_ms) < 34


def test_labels_that_come_with_a_run_show_levels(look, home):
    folder = filmed_run(home)
    labels = coco_of(folder, home / "labels.json")
    address = look.serve(folder, labels=str(labels))
    page = look.open(address)
    page.get_by_label("Level", exact=True).select_option(label="hard")
    room = Room(folder, str(labels))
    hard = room.columns.levels.index("hard")
    count = sum(level == hard for level in room.columns.frames[0]["level"])
    assert f"{count} of 40" in page.locator("#left").inner_text()
