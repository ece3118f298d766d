"""The page itself, as it is served and as it is exported: one file with everything inside.

The modules import each other by bare names (``uncover/state``), which an import map resolves to
the modules themselves: twenty questions to the server would be a third of the first second.
"""

import base64
import json
from functools import cache
from importlib import resources

from pipeline.inspect.messages import Carried, Embedded

_POLICY = (
    "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline' data:; base-uri 'none'; form-action 'none'"
)


@cache
def files() -> dict[str, bytes]:
    """What the page is made of, by name."""
    return {
        each.name: each.read_bytes()
        for each in resources.files(__name__).iterdir()
        if each.name.endswith((".html", ".css", ".js"))
    }


def served(nonce: str, carried: Carried) -> str:
    """The page as the server gives it; scripts run and styles hold only with its number."""
    return _filled("", f' nonce="{nonce}"', carried)


def exported(embedded: Embedded) -> str:
    """One file that asks nobody for anything, and by its policy cannot."""
    policy = f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    return _filled(policy, "", embedded)


def _importmap() -> str:
    start = "data:text/javascript;base64,"
    modules = {
        f"uncover/{name.removesuffix('.js')}": start + base64.b64encode(content).decode()
        for name, content in files().items()
        if name.endswith(".js")
    }
    return json.dumps({"imports": modules})


def _filled(policy: str, told: str, carried: Carried | Embedded) -> str:
    """``told`` stands in each element that the policy lets pass for it."""
    text = files()["index.html"].decode()
    # No text of the run may end the element that holds it.
    inside = json.dumps(carried, separators=(",", ":")).replace("<", "\\u003c")
    places = {
        "policy": policy,
        "importmap": f'<script type="importmap"{told}>{_importmap()}</script>',
        "style": f"<style{told}>{files()['style.css'].decode()}</style>",
        "embedded": f'<script type="application/json" id="embedded">{inside}</script>',
        "start": f'<script type="module"{told}>import "uncover/main";</script>',
    }
    for name, content in places.items():
        assert text.count(f"<!--{name}-->") == 1, name
        text = text.replace(f"<!--{name}-->", content)
    return text
