"""Plotly charts that keep their zoom while their data change, and cost little to send.

``st.plotly_chart`` mounts anew whenever its figure changes, and a zoom is gone within a second. This component keeps
its node and calls ``Plotly.react``, if anything has changed. Plotly's JavaScript comes from the installed wheel,
packed, once per browser session. Data go out as bytes: as text inside JSON they would be escaped, and read twice.
"""

from __future__ import annotations

import gzip
import json
from functools import lru_cache
from importlib import resources

import plotly.graph_objects as go
import streamlit as st

LOADER = """
export default function({ data }) {
  if (window.Plotly || window.tomoalignPlotlyAsked) return;
  window.tomoalignPlotlyAsked = true;
  const unpacked = new Blob([data]).stream().pipeThrough(new DecompressionStream('gzip'));
  new Response(unpacked).text().then(source => {
    const script = document.createElement('script');
    script.textContent = source;
    document.head.append(script);
    window.dispatchEvent(new Event('tomoalign-plotly'));
  });
}
"""

CHART = """
export default function({ data, parentElement }) {
  const box = parentElement.querySelector('.live-plot');
  const text = new TextDecoder().decode(data);
  if (!box.watch) {
    box.watch = new ResizeObserver(() => {
      if (box._fullLayout && box.offsetParent) window.Plotly.Plots.resize(box);
    });
    box.watch.observe(box);
  }
  if (box.given === text) return;
  box.given = text;
  const { about, figure } = JSON.parse(text);
  const picture = { format: 'png', scale: 2, filename: about.file };
  box.dataset.live = about.live;
  box.style.height = about.height + 'px';
  box.setAttribute('aria-label', about.alt);
  box.parentElement.querySelector('button').onclick = () => {
    const paper = getComputedStyle(document.querySelector('.stApp')).backgroundColor;
    const font = { family: 'sans-serif' };  // a picture cannot reach the fonts of the page
    const layout = { ...box.layout, font, paper_bgcolor: paper, plot_bgcolor: paper };
    window.Plotly.downloadImage({ data: box.data, layout }, {
      ...picture, width: box.clientWidth, height: box.clientHeight });
  };
  box.redraw = (figure) => {
    box.newest = figure;
    if (!window.Plotly) return;
    window.Plotly.react(box, figure.data, figure.layout, {
      displaylogo: false, toImageButtonOptions: picture, modeBarButtonsToRemove: ['select2d', 'lasso2d'] });
    box.dataset.draws = Number(box.dataset.draws || 0) + 1;
  };
  box.redraw(figure);
  if (!window.Plotly) window.addEventListener('tomoalign-plotly', () => box.redraw(box.newest), { once: true });
}
"""

HTML = """
<div style="position: relative; width: 100%"><div class="live-plot" role="img" style="width: 100%"></div>
<button title="Save as PNG" style="position: absolute; right: 0; bottom: 0; padding: 0 4px; border: 0; cursor: pointer;
background: none; color: inherit; opacity: 0.55; font-size: 11px">PNG</button></div>
"""

NEWS = """
export default function({ data, parentElement }) {
  const place = parentElement.querySelector('.live-plot-news');
  const { live, figure } = JSON.parse(new TextDecoder().decode(data));
  const draw = (tries) => {
    const box = document.querySelector(`[data-live="${live}"]`);
    if (box) box.redraw(figure);
    else if (tries && place.isConnected) setTimeout(draw, 100, tries - 1);
  };
  draw(100);
}
"""

_load = st.components.v2.component("tomoalign_plotly", js=LOADER, isolate_styles=False)
_chart = st.components.v2.component("tomoalign_live_plot", html=HTML, js=CHART, isolate_styles=False)
_news = st.components.v2.component(
    "tomoalign_live_plot_news", html='<div class="live-plot-news"></div>', js=NEWS, isolate_styles=False
)


def load_plotly() -> None:
    """Bring Plotly's JavaScript to the browser; call it once on a page, outside fragments."""
    _load(key="plotly-source", data=_source())


def live_plot(
    figure: go.Figure | str, *, key: str, height: int, alt: str, file: str = "tomoalign", live: str = ""
) -> None:
    """Show a figure (or its JSON) that will change; the same key keeps zoom and legend.

    Parameters
    ----------
    file : name of the PNG that a visitor may save, without ".png".
    live : name by which ``live_link`` and ``live_news`` find it, to draw newer figures without a rerun.
    """
    text = figure if isinstance(figure, str) else figure.to_json()
    about = json.dumps({"height": height, "alt": alt, "file": file, "live": live})
    _chart(key=key, data=f'{{"about":{about},"figure":{text}}}'.encode())


def live_news(figure: go.Figure, *, live: str, key: str) -> None:
    """Draw a newer figure in a live chart while the script that showed it still runs, where its key is spent.

    Call it in one ``st.empty()``, so that what is older gives way; ``key`` is another one each time.
    """
    _news(key=key, data=f'{{"live":{json.dumps(live)},"figure":{figure.to_json()}}}'.encode())


@lru_cache(maxsize=1)
def _source() -> bytes:
    script = resources.files("plotly") / "package_data" / "plotly.min.js"
    return gzip.compress(script.read_bytes(), mtime=0)
