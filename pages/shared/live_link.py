"""What keeps a Monitor page up to date: its browser asks a door of the server for news, and puts them into the page.

A rerun of a page, however small, costs Streamlit about twenty times what an answer here costs, and with twenty visitors
each second that would be taken from the training. So a browser asks for the present figures (``/live/RUN``), redraws
charts and numbers itself, and has the page rerun only where the page has to change: another state, another epoch. The
door is in ``front_door``.
"""

from __future__ import annotations

import json
import re
from typing import Any, TypedDict

import streamlit as st

from pages.shared import reading
from pages.shared.run_charts import X_AXES, View, course_figures, more_figures
from pages.shared.run_state import has_weights, numbers
from pages.shared.watchers import watchers
from tomoalign_core.learn.jobs import workspace
from tomoalign_core.learn.runs import Run

PAGE_RERUNS_PER_S = 0.25  # for new epochs, of all visitors together

LINK = """
export default function({ data, parentElement, setTriggerValue }) {
  const place = parentElement.querySelector('.live-link');
  const link = place.link ??= { toldAt: Date.now() };
  const fresh = link.data === undefined;
  link.data = data;
  link.tell = setTriggerValue;
  link.version = data.version;
  const apply = (said) => {
    link.version = said.version;
    document.querySelector('.live-numbers')?.show(said.numbers);
    for (const [name, figure] of Object.entries(said.charts))
      document.querySelector(`[data-live="${name}"]`)?.redraw(figure);
    const turned = said.state !== link.data.state;
    const grown = said.epochs !== link.data.epochs;
    const ago_s = (Date.now() - link.toldAt) / 1000;
    if ((turned && ago_s > 2) || (grown && ago_s > said.page_every_s)) {
      link.toldAt = Date.now();
      link.tell('news', said.state);
    }
  };
  const look = async () => {
    clearTimeout(link.timer);
    if (!place.isConnected) {
      document.removeEventListener('visibilitychange', link.seen);
      return;
    }
    const asked = link.data;
    let wait_s = 1;
    if (asked.active && !document.hidden) {
      const url = new URL(`live/${encodeURIComponent(asked.run)}`, window.location.href);
      url.search = new URLSearchParams({ ...asked.view, visitor: asked.visitor, have: link.version });
      try {
        const reply = await fetch(url, { cache: 'no-store' });
        if (!reply.ok) throw new Error(reply.status);
        const said = await reply.json();
        wait_s = said.interval_s;
        if (asked === link.data) apply(said);
      } catch {
        document.querySelector('.live-numbers')?.note('The dashboard does not answer; this is what it said last.');
      }
    }
    link.timer = setTimeout(look, 1000 * wait_s);
  };
  if (fresh) {
    document.addEventListener('visibilitychange', link.seen = () => document.hidden || look());
    link.timer = setTimeout(look, 1000);
  }
}
"""

_link = st.components.v2.component(
    "tomoalign_live_link", html='<div class="live-link"></div>', js=LINK, isolate_styles=False
)


class Seen(TypedDict):
    """What the parts of a page depend on that an answer of the door cannot change."""

    state: str
    epochs: int


def now_of(run: Run) -> Seen:
    """What is to be seen of a run now; taken before the page is drawn, so that what comes meanwhile is news."""
    begun = (run.path / "metrics.jsonl").exists()
    state = (
        f"{run.status().state}, {'begun' if begun else 'not begun'}, {'weights' if has_weights(run) else 'none yet'}"
    )
    return {"state": state, "epochs": len(reading.sample_epochs(run))}


def live_link(
    run: Run, seen: Seen, view: View, version: reading.Version, *, active: bool, more: bool, visitor: str
) -> None:
    """Keep what is shown of a run up to date; the page reruns when there are news that an answer cannot bring.

    Parameters
    ----------
    seen, version : what the page shows of the run, and of its metrics.
    more : whether learning rate and roll are shown.
    """
    shown = {"version": _short(version), "view": view._asdict() | {"more": more}, **seen}
    data = {"run": run.id, "active": active, "visitor": visitor, **shown}
    _link(key=f"live-{run.id}", data=data, on_news_change=lambda: None)


def news(run_id: str, asked: dict[str, str]) -> str:
    """The answer to a browser: numbers, and the charts if they are newer than what it has.

    Raises
    ------
    KeyError
        If there is no run of this name in the workspace.
    """
    run = Run(workspace() / "runs" / run_id)
    if not re.fullmatch(r"\w[\w.-]*", run_id) or not (run.path / "config.json").is_file():
        raise KeyError(run_id)
    pace = watchers().look(asked.get("visitor", ""))
    version = reading.metrics_of(str(run.path)).refresh(at_most_every_s=pace.interval_s / 2)
    charts = {} if _short(version) == asked.get("have") else _charts(run, asked, version)
    said: dict[str, Any] = {
        "interval_s": pace.interval_s,
        "page_every_s": max(1.0, pace.watching / PAGE_RERUNS_PER_S),
        **now_of(run),
        "version": _short(version),
        "numbers": numbers(run, run.status(), pace),
    }
    drawn = ",".join(f"{json.dumps(name)}:{figure}" for name, figure in charts.items())
    return f'{json.dumps(said)[:-1]},"charts":{{{drawn}}}}}'


def _charts(run: Run, asked: dict[str, str], version: reading.Version) -> dict[str, str]:
    """The charts as this visitor sees them, as JSON by name."""
    x = asked.get("x", "step")
    view = View(
        x=x if x in X_AXES else "step",
        smoothing=_smoothing(asked.get("smoothing", "")),
        log_y=asked.get("log_y") == "true",
        case=asked.get("case", ""),
        dark=asked.get("dark") == "true",
    )
    if not version[1]:
        return {}
    drawn = course_figures(str(run.path), version, view)
    return drawn | more_figures(str(run.path), version, view) if asked.get("more") == "true" else drawn


def _short(version: reading.Version) -> str:
    return f"{version[1]}-{version[2]}"


def _smoothing(text: str) -> float:
    try:
        return min(max(float(text), 0.0), 0.99)
    except ValueError:
        return 0.9
