"""A browser without a screen: it does what a real one does on the Monitor page, so that twenty of them are cheap.

It opens the page by Streamlit's protocol; then, as the script of ``pages/shared/live_link.py`` does, it asks for news
again and again, and has the page rerun when there is another state or epoch. Large messages are remembered by their
hash, and the server then sends a reference.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import streamlit  # noqa: F401 (its protocol is importable after it only)
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect

REMEMBERED_RUNS = 2  # of the script, as global.maxCachedMessageAge


@dataclass
class Watcher:
    """One visitor of one page.

    ``looks_s`` and ``reruns_s`` are the seconds until each answer had come.
    """

    base: str
    page: str
    query: str
    bytes_in: int = 0
    looks_s: list[float] = field(default_factory=list)
    reruns_s: list[float] = field(default_factory=list)
    interval_s: float = 1.0
    loaded: asyncio.Event = field(default_factory=asyncio.Event)
    hidden: bool = False  # as a tab behind another one: it stays open, and asks for nothing

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[Watcher]:
        """Open the page and stay on it."""
        place = urlsplit(self.base).netloc
        options: dict[str, Any] = {"subprotocols": ["streamlit"], "origin": self.base, "compression": None}
        async with connect(f"ws://{place}/_stcore/stream", max_size=None, open_timeout=60, **options) as socket:
            self._socket: ClientConnection = socket
            self._remembered: dict[str, int] = {}
            self._script, self._runs = "", 0
            self._link: dict[str, Any] = {}
            self._asked_at: float | None = None
            await self._rerun()
            async with asyncio.TaskGroup() as tasks:
                work = [tasks.create_task(self._read()), tasks.create_task(self._look_again_and_again())]
                yield self
                for task in work:
                    task.cancel()

    async def rerun_page(self) -> None:
        """Have the page rerun, as a click on one of its controls does, and wait for it."""
        count = len(self.reruns_s)
        await self._rerun()
        while len(self.reruns_s) == count:
            await asyncio.sleep(0.002)

    async def _rerun(self) -> None:
        message = BackMsg()
        rerun = message.rerun_script
        rerun.query_string = self.query
        rerun.page_script_hash = self._script
        rerun.page_name = "" if self._script else self.page
        rerun.cached_message_hashes.extend(self._remembered)
        rerun.context_info.color_scheme = "light"
        rerun.context_info.url = f"{self.base}/{self.page}?{self.query}"
        self._asked_at = time.perf_counter()
        await self._socket.send(message.SerializeToString())

    async def _read(self) -> None:
        async for raw in self._socket:
            assert isinstance(raw, bytes)
            self.bytes_in += len(raw)
            message = ForwardMsg.FromString(raw)
            kind = message.WhichOneof("type")
            if kind == "navigation":
                self._script = message.navigation.page_script_hash
            elif kind == "script_finished":
                self._finished(message.script_finished)
            elif kind == "delta":
                self._take(message)

    def _take(self, message: ForwardMsg) -> None:
        if message.metadata.cacheable and message.hash:
            self._remembered[message.hash] = self._runs
        component = message.delta.new_element.bidi_component
        if component.component_name == "tomoalign_live_link":
            self._link = json.loads(component.json)

    def _finished(self, status: int) -> None:
        if self._asked_at is not None:
            self.reruns_s.append(time.perf_counter() - self._asked_at)
            self._asked_at = None
        if status == ForwardMsg.FINISHED_SUCCESSFULLY:
            self._runs += 1
            self._remembered = {k: run for k, run in self._remembered.items() if self._runs - run < REMEMBERED_RUNS}
            self.loaded.set()

    async def _look_again_and_again(self) -> None:
        await self.loaded.wait()
        door = urlsplit(self.base)
        reader, writer = await asyncio.open_connection(door.hostname, door.port)
        watched_s, told_at_s, have = 0.0, 0.0, self._link["version"]
        while True:
            await asyncio.sleep(self.interval_s)
            if self.hidden:
                continue
            watched_s += self.interval_s
            link = self._link
            view = {
                name: str(value).lower() if isinstance(value, bool) else value for name, value in link["view"].items()
            }
            query = urlencode(view | {"visitor": link["visitor"], "have": have})
            began = time.perf_counter()
            head = f"GET /live/{quote(link['run'])}?{query} HTTP/1.1\r\nHost: {door.netloc}\r\n\r\n"
            try:
                writer.write(head.encode())
                said = json.loads(await self._answer(reader))
            except (asyncio.IncompleteReadError, ConnectionError):  # closed after seconds of silence, as to a browser
                reader, writer = await asyncio.open_connection(door.hostname, door.port)
                continue
            self.looks_s.append(time.perf_counter() - began)
            self.interval_s, have = said["interval_s"], said["version"]
            grown = said["epochs"] != link["epochs"] and watched_s - told_at_s > said["page_every_s"]
            if said["state"] != link["state"] or grown:
                told_at_s = watched_s
                await self._rerun()

    async def _answer(self, reader: asyncio.StreamReader) -> bytes:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        assert head.startswith("http/1.1 200"), head
        length = int(head.split("content-length:")[1].split("\r\n")[0])
        self.bytes_in += length + len(head)
        return await reader.readexactly(length)
