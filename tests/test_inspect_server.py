"""The server of ``uncover inspect``: for this machine alone, and for who knows the token."""

import http.client
import json
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
import uvicorn
from detect_runs import filmed_run, pictured_run, rows_of, run_folder, seen

from pipeline import images, results
from pipeline.inspect.room import Room
from pipeline.inspect.server import Server, listen
from pipeline.journal import Journal
from pipeline.video import Frame

TOKEN = "a-token-of-this-test"


def carried(content):
    return json.loads(re.search(rb'id="embedded"[^>]*>(.*?)</script>', content, re.DOTALL)[1])


class Site:
    """A page that is served, and a client that takes addresses as they are."""

    def __init__(self, folder, **settings):
        self.folder = folder
        app = Server(partial(Room, folder, **settings), TOKEN).app()
        self.server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
        listening = listen(0)
        self.port = listening.getsockname()[1]
        sockets = {"sockets": [listening]}
        self.thread = threading.Thread(target=self.server.run, kwargs=sockets)

    def __enter__(self):
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)
        return self

    def __exit__(self, *_):
        self.server.should_exit = True
        self.thread.join()

    def ask(self, address, method="GET", body=None, **headers):
        """Status, headers and body; the address is sent as it stands."""
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"Host": f"127.0.0.1:{self.port}"} | headers
        line.request(method, address, body, headers)
        answer = line.getresponse()
        content = answer.read()
        line.close()
        return answer.status, answer.headers, content

    def run(self):
        """What the page itself carries."""
        return carried(self.ask(f"/{TOKEN}/")[2])["run"]

    def get(self, address):
        """What is told to who knows the token, as JSON."""
        status, _, content = self.ask(f"/{TOKEN}/{address}")
        assert status == 200, content
        return json.loads(content)


@pytest.fixture
def site(home):
    with Site(filmed_run(home)) as made:
        yield made


ADDRESSES = ["", "api/frames", "api/frame/0", "api/marks", "picture/0"]


@pytest.mark.parametrize("address", ADDRESSES)
def test_nothing_is_told_without_the_token(site, address):
    for prefix in ("/", "/wrong/", f"/{TOKEN}x/", f"/{TOKEN[:-1]}/", "//", f"/%61{TOKEN}/"):
        status, _, content = site.ask(prefix + address)
        assert status == 403
        assert b"ward" not in content
    assert site.ask(f"/{TOKEN}/{address}")[0] == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", ""])
def test_a_wrong_host_is_refused(site, host):
    """Else a page elsewhere whose name suddenly means 127.0.0.1 could ask."""
    status, _, content = site.ask(f"/{TOKEN}/api/frames", Host=host)
    assert status == 400
    assert b"ward" not in content


TRICKS = [
    *("gather/../../record.py", "gather/%2e%2e/%2e%2e/record.py", "gather/list.csv%00.py"),
    *("gather//etc/passwd", "gather/%2fetc%2fpasswd", "gather/..%5c..%5crecord.py"),
    *("picture/%2fetc%2fpasswd", "picture/../config.json", "picture/%2e%2e%2fconfig.json"),
    *("api/maps/../../config.json", "api/maps/%2e%2e%2fconfig.json", "page/__init__.py"),
    *("api/frame/../../config.json", "gather/../config.json", "gather/..%2f..%2fconfig.json"),
    *("../config.json", "..%2fconfig.json", "api/frame/-1", "api/frame/1e3", "api/frame/40"),
    *("picture/99999999999999999999", "etc/passwd", "page/", "config.json", "marks.json"),
]


@pytest.mark.parametrize("trick", TRICKS)
def test_no_address_leads_to_a_file(site, trick):
    for method in ("GET", "HEAD"):
        status, _, content = site.ask(f"/{TOKEN}/{trick}", method)
        assert status == 404
        assert b"import" not in content
        assert b"detector" not in content


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("api/frame/0?pair=7", 400),
        ("api/frame/0?pair=-1", 400),
        ("picture/0?side=999999", 400),
        ("picture/0?side=big", 400),
        ("api/maps/3?levels=a,b", 400),
        ("gather/list.csv", 404),
    ],
)
def test_what_makes_no_sense_is_told_in_words(site, address, status):
    found, _, content = site.ask(f"/{TOKEN}/{address}")
    assert found == status
    assert json.loads(content)["error"]


def test_every_answer_forbids_guessing_framing_and_keeping(site):
    _, headers, content = site.ask(f"/{TOKEN}/")

    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    nonce = re.search(r"'nonce-([^']+)'", policy)[1]
    assert content.decode().count(f'nonce="{nonce}"') == 3
    assert site.ask(f"/{TOKEN}/")[1]["Content-Security-Policy"] != policy  # a new one each time


def test_marks_are_changed_and_refused_in_words(site):
    change = {"names": ["ward@000003"], "marked": True, "note": "tube"}
    status, _, content = site.ask(f"/{TOKEN}/api/marks", "PUT", json.dumps(change))
    assert status == 200
    assert json.loads(content)["marks"]["ward@000003"]["note"] == "tube"
    assert site.get("api/marks")["marks"].keys() == {"ward@000003"}
    bodies = ("", "[]", "{}", '{"names": "a", "marked": true}', '{"names": [3], "marked": true}')
    for body in bodies:
        status, _, content = site.ask(f"/{TOKEN}/api/marks", "PUT", body)
        assert status == 409
        assert "not a change of marks" in json.loads(content)["error"]
    assert site.ask(f"/{TOKEN}/api/marks", "POST", "{}")[0] == 405
    assert site.get("api/marks")["marks"].keys() == {"ward@000003"}


def test_a_name_that_is_no_frame_is_not_marked(site):
    change = {"names": ["nobody"], "marked": True, "note": ""}
    status, _, _ = site.ask(f"/{TOKEN}/api/marks", "PUT", json.dumps(change))
    assert status == 409
    assert site.get("api/marks")["marks"] == {}


def test_what_is_marked_is_downloaded(site):
    change = {"names": ["ward@000003"], "marked": True, "note": "tube"}
    site.ask(f"/{TOKEN}/api/marks", "PUT", json.dumps(change))
    for name, begin in (("list.csv", b"name,source"), ("coco.json", b"{"), ("yolo.zip", b"PK")):
        status, headers, content = site.ask(f"/{TOKEN}/gather/{name}?conf=.2&labels=parts")
        assert status == 200
        assert content.startswith(begin)
        assert "attachment" in headers["Content-Disposition"]
        assert f"ward-{name}" in headers["Content-Disposition"]


def test_a_missing_picture_says_so(home):
    folder = pictured_run(home)
    for path in [*(home / "pictures").iterdir(), *(folder / "annotated").iterdir()]:
        path.unlink()
    with Site(folder) as site:
        status, headers, content = site.ask(f"/{TOKEN}/picture/0?side=1280")
        assert status == 200
        assert headers["Content-Type"] == "image/svg+xml"
        assert b"not there any more" in content
        assert len(site.get("api/frames")["name"]) == 6


def test_a_run_that_grows_is_read_again(home):
    """When the page is opened anew; until then every index means what it meant."""
    rows = list(rows_of("ward.mp4", "ward", 100, np.random.default_rng(0)))
    folder = run_folder(home / "runs" / "detect" / "a", rows[:64], complete=False, journal=True)
    with Site(folder) as site:
        assert site.run()["frames"] == 64
        Journal(folder).add(rows[64:])
        assert len(site.get("api/frames")["name"]) == 64
        assert site.run()["frames"] == 100
        assert len(site.get("api/frames")["name"]) == 100


def test_a_run_that_cannot_be_read_any_more_is_told_by_the_page(home):
    folder = filmed_run(home)
    with Site(folder) as site:
        (folder / "config.json").write_text("{")
        told = carried(site.ask(f"/{TOKEN}/")[2])
    assert list(told) == ["trouble"]
    assert "no run of detect" in told["trouble"]


@pytest.mark.timed
def test_small_answers_are_sent_at_once(site):
    """Head and body are two pieces: the second must not wait until the first is acknowledged."""
    line, waited = http.client.HTTPConnection("127.0.0.1", site.port), []
    for _ in range(20):
        begin = time.perf_counter()
        line.request("GET", f"/{TOKEN}/api/marks")
        line.getresponse().read()
        waited.append(time.perf_counter() - begin)
    line.close()
    assert np.median(waited) < 0.03  # else .04 and more


def test_ten_at_once_get_what_one_gets(site):
    """Pictures out of one film, maps, marks: ten pages, each in another order."""
    alone = {n: site.ask(f"/{TOKEN}/picture/{n}?side=80")[2] for n in range(0, 40, 3)}

    def page(seed):
        for number in np.random.default_rng(seed).permutation(list(alone)).tolist():
            assert site.ask(f"/{TOKEN}/picture/{number}?side=80")[2] == alone[number]
            assert site.get(f"api/maps/{number}")["saved"]
            change = {"names": [f"ward@{number:06d}"], "marked": True, "note": None}
            assert site.ask(f"/{TOKEN}/api/marks", "PUT", json.dumps(change))[0] == 200

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(page, range(10)))
    assert len(site.get("api/marks")["marks"]) == len(alone)


@pytest.mark.timed
def test_a_picture_of_8k_is_shown_small(home):
    """33 megapixels, within two seconds here; of a fresh server, and small over the line."""
    rng, size = np.random.default_rng(0), (7680, 4320)
    rows = [results.row(Frame(None, "p0", "pictures/p0.png"), seen(rng, size), 0)]
    folder = run_folder(home / "runs" / "detect" / "large", rows)
    (home / "pictures").mkdir()
    small = rng.integers(0, 255, (270, 480, 3), np.uint8)
    images.write(home / "pictures" / "p0.png", np.kron(small, np.ones((16, 16, 1), np.uint8)))
    with Site(folder) as site:
        begin = time.perf_counter()
        _, _, content = site.ask(f"/{TOKEN}/picture/0?side=1280")
        assert time.perf_counter() - begin < 2
        assert images.decode(content).shape == (720, 1280, 3)


def test_the_command_serves_and_ends_politely(home):
    """It tells its address, answers there, and Ctrl-C ends it without a traceback."""
    folder = filmed_run(home)
    command = [sys.executable, "-m", "pipeline", "inspect", str(folder), "--no-browser"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline().split() == ["looking", "into", str(folder)]
        port, token = re.match(r"http://127.0.0.1:(\d+)/(\S+)/", process.stdout.readline()).groups()
        line = http.client.HTTPConnection("127.0.0.1", int(port))
        line.request("GET", f"/{token}/")
        assert carried(line.getresponse().read())["run"]["frames"] == 40
        line.close()
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
        assert "Traceback" not in process.stderr.read()
