"""The page itself, as it is served and as it is exported: what its modules are called.

The modules import each other by bare names (``uncover/state``), which an import map resolves: to
addresses of the server, or in an exported page to the modules themselves, inside it.
"""

import base64
import json
from functools import cache
from importlib import resources

from pipeline.inspect.messages import Embedded

_POLICY = (
    "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline' data:; base-uri 'none'; form-action 'none'"
)


@cache
def files() -> dict[str, bytes]:
    """Everything that a browser is given, by its name."""
    return {
        each.name: each.read_bytes()
        for each in resources.files(__name__).iterdir()
        if each.name.endswith((".html", ".css", ".js"))
    }


def kind(name: str) -> str:
    """The type of a file of the page."""
    kinds = {"html": "text/html", "css": "text/css", "js": "text/javascript"}
    return kinds[name.rpartition(".")[2]]


def served(nonce: str) -> str:
    """The page as the server gives it; scripts run only with its number."""
    return _filled(
        _map({name: f"./page/{name}" for name in _modules()}, nonce),
        '<link rel="stylesheet" href="page/style.css">',
        "",
        f'<script type="module" nonce="{nonce}">import "uncover/main";</script>',
    )


def exported(embedded: Embedded) -> str:
    """One file that asks nobody for anything, and by its policy cannot."""
    inside = {
        name: "data:text/javascript;base64," + base64.b64encode(files()[name]).decode()
        for name in _modules()
    }
    policy = f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    # No text of the run may end the element that holds it.
    text = json.dumps(embedded, separators=(",", ":")).replace("<", "\\u003c")
    return _filled(
        policy + _map(inside, ""),
        f"<style>{files()['style.css'].decode()}</style>",
        f'<script type="application/json" id="embedded">{text}</script>',
        '<script type="module">import "uncover/main";</script>',
    )


def _modules() -> list[str]:
    return sorted(name for name in files() if name.endswith(".js"))


def _map(places: dict[str, str], nonce: str) -> str:
    imports = {f"uncover/{name.removesuffix('.js')}": place for name, place in places.items()}
    told = f' nonce="{nonce}"' if nonce else ""
    return f'<script type="importmap"{told}>{json.dumps({"imports": imports})}</script>'


def _filled(importmap: str, style: str, embedded: str, start: str) -> str:
    text = files()["index.html"].decode()
    places = {"importmap": importmap, "style": style, "embedded": embedded, "start": start}
    for name, content in places.items():
        assert text.count(f"<!--{name}-->") == 1, name
        text = text.replace(f"<!--{name}-->", content)
    return text
