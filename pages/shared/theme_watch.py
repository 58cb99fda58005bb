"""Draw anew when the visitor's browser turns from light to dark: Streamlit itself tells only at the next click."""

from __future__ import annotations

import streamlit as st

WATCH = """
export default function({ setTriggerValue }) {
  const app = document.querySelector('.stApp');
  const ground = () => getComputedStyle(app).backgroundColor;
  let last = ground();
  const look = () => {
    if (ground() === last) return;
    last = ground();
    setTriggerValue('turned', last);
  };
  const observer = new MutationObserver(look);
  observer.observe(app, { attributes: true });
  return () => observer.disconnect();
}
"""

_watch = st.components.v2.component("tomoalign_theme_watch", js=WATCH, isolate_styles=False)


def watch_theme() -> None:
    """Rerun the page when the theme turns, so that figures take its colours."""
    _watch(key="theme-watch", on_turned_change=lambda: None)
