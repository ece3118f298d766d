"""The page and its answers over HTTP, on this machine alone and only for who knows the token.

Every address begins with the token; without it nothing is told, not even that a page is there. No
part of an address ever becomes the name of a file.
"""

import json
import re
import secrets
import socket
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from threading import Lock
from typing import IO, get_args
from urllib.parse import quote

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from pipeline.errors import UserError
from pipeline.inspect import gather, marks, page
from pipeline.inspect.messages import Carried
from pipeline.inspect.pictures import Gone, sorry
from pipeline.inspect.record import At
from pipeline.inspect.room import Room

HOST = "127.0.0.1"
_LARGEST = 16384  # pixels of a side that may be asked for
_BODY = 64 << 20  # bytes that a page may send


class Server:
    """One run, and the way to read it anew while it is still being written."""

    def __init__(self, reread: Callable[[], Room], token: str) -> None:
        self.reread, self.token, self.lock = reread, token, Lock()
        self.room = reread()
        self.said: dict[int, bytes] = {}  # the columns of each pair, as JSON

    def app(self) -> ASGIApp:
        """What answers."""
        routes = [
            Route("/", self._page),
            Route("/api/frames", self._frames),
            Route("/api/frame/{index:int}", self._frame),
            Route("/api/maps/{index:int}", self._maps),
            Route("/api/marks", self._marks, methods=["GET"]),
            Route("/api/marks", self._mark, methods=["PUT"]),
            Route("/picture/{index:int}", self._picture),
            Route("/gather/{name}", self._gather),
        ]
        handlers = {HTTPException: _told, UserError: _wrong, Exception: _broken}
        app = Starlette(
            routes=[Mount(f"/{self.token}", routes=routes)],
            exception_handlers=handlers,  # type: ignore[arg-type] # it wants one for all errors
            middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])],
        )
        return _Guarded(app, self.token)

    def _page(self, request: Request) -> Response:  # noqa: ARG002 - a route
        nonce = secrets.token_urlsafe(16)
        return Response(
            page.served(nonce, self._carried()),
            media_type="text/html",
            headers={
                "Content-Security-Policy": "default-src 'none'; img-src 'self' data: blob:; "
                f"style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self'; "
                "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
            },
        )

    def _carried(self) -> Carried:
        try:
            with self.lock:
                if self.room.changed:
                    self.room, self.said = self.reread(), {}
                room = self.room
            return {"run": room.run()}
        except (UserError, OSError) as error:
            return {"trouble": str(error)}

    def _frames(self, request: Request) -> Response:
        with self.lock:
            pair = _pair(self.room, request)
            if pair not in self.said:
                self.said[pair] = _encoded(self.room.columns.frames[pair])
            return Response(self.said[pair], media_type="application/json")

    def _frame(self, request: Request) -> Response:
        room = self.room
        return _json(room.frame(_index(room, request), _pair(room, request)))

    def _maps(self, request: Request) -> Response:
        words = request.query_params.get("levels", "")
        try:
            levels = tuple(int(each) for each in words.split(",") if each)
        except ValueError as error:
            raise HTTPException(400, "levels: expected numbers between commas") from error
        room, method = self.room, request.query_params.get("method", "")
        index, pair = _index(room, request), _pair(room, request)
        return _json(room.atlas.maps(index, pair, method, levels))

    def _marks(self, request: Request) -> Response:  # noqa: ARG002 - a route
        return _json(self.room.notebook.read())

    async def _mark(self, request: Request) -> Response:
        room = self.room
        if int(request.headers.get("content-length", _BODY + 1)) > _BODY:
            raise HTTPException(413, "more than a page may send")
        change = marks.parsed(await request.body())
        unknown = next((name for name in change["names"] if name not in room.columns.places), None)
        if change["marked"] and unknown is not None:
            raise UserError(f"there is no frame {unknown!r} in this run")
        return _json(await run_in_threadpool(room.notebook.change, change))

    def _picture(self, request: Request) -> Response:
        room, side = self.room, _whole(request, "side", _LARGEST)
        index = _index(room, request)
        try:
            return Response(room.album.jpeg(index, side), media_type="image/jpeg")
        except Gone as gone:
            return Response(sorry(str(gone)), media_type="image/svg+xml")

    def _gather(self, request: Request) -> Response:
        wanted, album = _wanted(self.room, request), self.room.album
        if not wanted.marks["marks"]:
            raise HTTPException(404, "no frame is marked")
        name = request.path_params["name"]
        file = f"{wanted.record.folder.name}-{name}"
        if name == "list.csv":
            return _download(gather.as_list(wanted), file, "text/csv")
        if name == "coco.json":
            return _download(gather.as_coco(wanted), file, "application/json")
        if name != "yolo.zip":
            raise HTTPException(404)
        content = tempfile.TemporaryFile()  # noqa: SIM115 - closed when it is sent; it has no name
        gather.as_yolo(wanted, album, content)
        size = content.tell()
        content.seek(0)
        headers = {"Content-Disposition": _attachment(file), "Content-Length": str(size)}
        return StreamingResponse(_read(content), headers=headers, media_type="application/zip")


class _Guarded:
    """Nothing is answered to who does not know the token; nobody may frame or guess types."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self.app, self.token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        first = scope["path"].lstrip("/").split("/")[0]
        if not secrets.compare_digest(first.encode(), self.token.encode()):
            await Response("a wrong or missing token", 403)(scope, receive, send)
            return

        async def guarded(message: "dict[str, object]") -> None:
            if message["type"] == "http.response.start":
                headers = message.setdefault("headers", [])
                headers += _HEADERS  # type: ignore[operator] # a list, by ASGI's rules
            await send(message)

        await self.app(scope, receive, guarded)  # type: ignore[arg-type]


_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
]


def serve(reread: Callable[[], Room], port: int, ready: Callable[[str], None]) -> None:
    """Answer until Ctrl-C; ``ready`` is told the address."""
    token = secrets.token_urlsafe(24)
    app = Server(reread, token).app()
    with listen(port) as listening:
        config = uvicorn.Config(
            app,
            log_level="critical",  # what breaks is told below, what is cut off by Ctrl-C is not
            access_log=False,  # it would hold the token
            lifespan="off",
            timeout_graceful_shutdown=1,
        )
        ready(f"http://{HOST}:{listening.getsockname()[1]}/{token}/")
        try:
            uvicorn.Server(config).run(sockets=[listening])
        except KeyboardInterrupt:
            print("ended", file=sys.stderr)


def listen(port: int) -> socket.socket:
    """Where it is answered.

    The protocol is named: asyncio sends small answers at once only where it sees that it is TCP,
    else each waits some 40 ms for the browser to acknowledge its head.
    """
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
    except OSError as error:
        listening.close()
        raise UserError(f"--port {port}: {error.strerror}; 0 takes a free one") from error
    listening.listen(64)
    return listening


def _index(room: Room, request: Request) -> int:
    index = int(request.path_params["index"])
    if index >= len(room.record.shots):
        raise HTTPException(404, "there is no such frame")
    return index


def _pair(room: Room, request: Request) -> int:
    return _whole(request, "pair", len(room.record.pairs) - 1)


def _wanted(room: Room, request: Request) -> gather.Wanted:
    """Which frames and boxes are asked for."""
    pair, asked = _pair(room, request), request.query_params
    usual, labels = room.record.pairs[pair], asked.get("labels", "face")
    if labels not in get_args(gather.Labels):
        raise HTTPException(400, "labels: expected face or parts")
    try:
        conf = float(asked.get("conf", usual["conf"]))
        fallback_conf = float(asked.get("fallback_conf", usual["fallback_conf"]))
    except ValueError as error:
        raise HTTPException(400, "conf, fallback_conf: expected numbers") from error
    if not (0 <= conf <= 1 and 0 <= fallback_conf <= 1):
        raise HTTPException(400, "conf, fallback_conf: expected numbers between 0 and 1")
    at, book = At(pair, conf, fallback_conf), room.notebook.read()
    return gather.Wanted(room.record, room.columns, book, at, labels)  # type: ignore[arg-type] # it is one


def _whole(request: Request, name: str, most: int) -> int:
    """A whole number that is asked with."""
    words = request.query_params.get(name, "0")
    if not re.fullmatch("[0-9]{1,9}", words) or int(words) > most:
        raise HTTPException(400, f"{name}: expected a number from 0 to {most}")
    return int(words)


def _encoded(value: object) -> bytes:
    """As JSON of plain letters: names of files may be no UTF-8."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True).encode()


def _json(value: object) -> Response:
    return Response(_encoded(value), media_type="application/json")


def _download(text: str, name: str, kind: str) -> Response:
    content = text.encode("utf-8", "backslashreplace")
    return Response(content, media_type=kind, headers={"Content-Disposition": _attachment(name)})


def _attachment(name: str) -> str:
    return f"attachment; filename*=utf-8''{quote(name, errors='replace')}"


def _read(content: IO[bytes]) -> Iterator[bytes]:
    with content:
        while part := content.read(1 << 20):
            yield part


def _told(request: Request, error: HTTPException) -> Response:  # noqa: ARG001 - a handler
    return JSONResponse({"error": error.detail}, error.status_code)


def _wrong(request: Request, error: UserError) -> Response:  # noqa: ARG001 - a handler
    return Response(_encoded({"error": str(error)}), 409, media_type="application/json")


def _broken(request: Request, error: Exception) -> Response:  # noqa: ARG001 - a handler
    traceback.print_exception(error)
    return JSONResponse({"error": f"{error!r}; the terminal shows where"}, 500)
