"""State in words, progress and figures of a run, which a browser can bring up to date without a rerun."""

from __future__ import annotations

from typing import TypedDict

import streamlit as st

SHOW = """
export default function({ data, parentElement }) {
  const box = parentElement.querySelector('.live-numbers');
  const put = (name, text) => { box.querySelector(name).textContent = text; };
  box.note = text => put('.note', text);
  box.show = (said) => {
    put('.words', said.words);
    box.note(said.note);
    put('.progress', said.progress);
    const bar = box.querySelector('[role=progressbar]');
    bar.setAttribute('aria-valuenow', Math.round(100 * said.share));
    bar.firstElementChild.style.width = 100 * said.share + '%';
    box.querySelector('.values').replaceChildren(...said.values.map(([label, value, about]) => {
      const one = document.createElement('div');
      one.title = about;
      for (const [kind, text] of [['label', label], ['value', value]])
        one.append(Object.assign(document.createElement('div'), { className: kind, textContent: text }));
      return one;
    }));
  };
  const text = JSON.stringify(data);
  if (box.given === text) return;
  box.given = text;
  box.show(data);
}
"""

HTML = """
<div class="live-numbers">
<div><span class="words"></span> <span class="note"></span></div>
<div class="progress"></div>
<div class="bar" role="progressbar" aria-label="Progress" aria-valuemin="0" aria-valuemax="100"><div></div></div>
<div class="values"></div></div>
"""

CSS = """
.live-numbers { color: var(--st-text-color); font-size: 1rem; }
.live-numbers .note { margin-left: 0.8rem; opacity: 0.65; font-size: 0.875rem; }
.live-numbers .progress { margin: 0.5rem 0 0.25rem; font-size: 0.875rem; }
.live-numbers .bar { height: 0.5rem; border-radius: 0.25rem; background: var(--st-secondary-background-color); }
.live-numbers .bar div { height: 100%; border-radius: 0.25rem; background: var(--st-primary-color);
  transition: width 0.3s; }
.live-numbers .values { display: flex; flex-wrap: wrap; gap: 0.25rem 1.75rem; margin-top: 0.75rem; }
.live-numbers .values > div { cursor: help; }
.live-numbers .label { font-size: 0.875rem; }
.live-numbers .value { font-size: 1.5rem; line-height: 1.4; font-variant-numeric: tabular-nums; }
"""


class Numbers(TypedDict):
    """What is shown; ``values`` are label, value and an explanation each."""

    words: str
    note: str
    share: float
    progress: str
    values: list[tuple[str, str, str]]


_numbers = st.components.v2.component("tomoalign_live_numbers", html=HTML, css=CSS, js=SHOW, isolate_styles=False)


def live_numbers(said: Numbers) -> None:
    """Show them; ``live_link`` replaces them by newer ones."""
    _numbers(key="live-numbers", data=said)
