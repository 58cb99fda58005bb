"""A browser without a screen: it speaks Streamlit's protocol as the real one does, so that twenty of them are cheap.

A fragment with ``run_every`` is driven by the browser: an ``auto_rerun`` message asks it to send reruns of that
fragment at an interval. Large messages are remembered by their hash, and the server then sends a reference.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import streamlit  # noqa: F401 (its protocol is importable after it only)
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect

REMEMBERED_RUNS = 2  # of the script, as global.maxCachedMessageAge


@dataclass
class Watcher:
    """One visitor of one page."""

    base: str
    page: str
    query: str
    bytes_in: int = 0
    ticks: list[float] = field(default_factory=list)
    ticks_sent: int = 0
    messages: int = 0
    full_runs: int = 0
    interval_s: float | None = None
    loaded: asyncio.Event = field(default_factory=asyncio.Event)

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[Watcher]:
        """Open the page and stay on it."""
        place = urlsplit(self.base).netloc
        async with connect(
            f"ws://{place}/_stcore/stream",
            subprotocols=["streamlit"],  # type: ignore[list-item]
            origin=self.base,  # type: ignore[arg-type]
            max_size=None,
            compression=None,
        ) as socket:
            self._socket: ClientConnection = socket
            self._remembered: dict[str, int] = {}
            self._script = ""
            self._timers: dict[str, tuple[float, asyncio.Task[None]]] = {}
            self._asked: float | None = None
            reader = asyncio.create_task(self._read())
            await self._send()
            try:
                yield self
            finally:
                for task in (reader, *(timer for _, timer in self._timers.values())):
                    task.cancel()

    async def _send(self, fragment: str = "") -> None:
        message = BackMsg()
        rerun = message.rerun_script
        rerun.query_string = self.query
        rerun.page_script_hash = self._script
        rerun.page_name = "" if self._script else self.page
        rerun.fragment_id = fragment
        rerun.is_auto_rerun = bool(fragment)
        rerun.cached_message_hashes.extend(self._remembered)
        rerun.context_info.color_scheme = "light"
        rerun.context_info.url = f"{self.base}/{self.page}?{self.query}"
        await self._socket.send(message.SerializeToString())

    async def _read(self) -> None:
        async for raw in self._socket:
            assert isinstance(raw, bytes)
            self.bytes_in += len(raw)
            self.messages += 1
            message = ForwardMsg.FromString(raw)
            kind = message.WhichOneof("type")
            if kind == "new_session":
                if not message.metadata.run.fragment_ids:
                    self.full_runs += 1
                    self._set_timers({})
            elif kind == "navigation":
                self._script = message.navigation.page_script_hash
            elif kind == "auto_rerun":
                self._set_timers({message.auto_rerun.fragment_id: message.auto_rerun.interval}, keep=True)
            elif kind == "stop_auto_rerun":
                for fragment in message.stop_auto_rerun.fragment_ids:
                    self._timers.pop(fragment, (0, asyncio.create_task(asyncio.sleep(0))))[1].cancel()
            elif kind == "script_finished":
                self._finished(message.script_finished)
            elif message.metadata.cacheable and message.hash:
                self._remembered[message.hash] = self.full_runs

    def _finished(self, status: int) -> None:
        if status == ForwardMsg.FINISHED_SUCCESSFULLY:
            self._remembered = {k: run for k, run in self._remembered.items() if self.full_runs - run < REMEMBERED_RUNS}
            self.loaded.set()
        if status == ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY and self._asked is not None:
            self.ticks.append(time.perf_counter() - self._asked)
            self._asked = None

    def _set_timers(self, wanted: dict[str, float], *, keep: bool = False) -> None:
        if not keep:
            for _, task in self._timers.values():
                task.cancel()
            self._timers = {}
        for fragment, interval in wanted.items():
            old = self._timers.get(fragment)
            if old and old[0] == interval:
                continue
            if old:
                old[1].cancel()
            self._timers[fragment] = interval, asyncio.create_task(self._tick(fragment, interval))
            self.interval_s = interval

    async def _tick(self, fragment: str, interval: float) -> None:
        while True:
            await asyncio.sleep(interval)
            self.ticks_sent += 1
            if self._asked is None:
                self._asked = time.perf_counter()
            await self._send(fragment)
