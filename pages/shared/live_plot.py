"""Plotly charts that keep their zoom while their data change.

``st.plotly_chart`` mounts anew whenever its figure changes, and a zoom is gone within a second. This component keeps
its node and calls ``Plotly.react``. Plotly's JavaScript comes from the installed wheel, once per browser session.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import resources

import plotly.graph_objects as go
import streamlit as st

LOADER = """
export default function({ data, setStateValue }) {
  if (!data.source) return;
  setStateValue('loaded', true);
  if (window.Plotly || window.tomoalignPlotlyAsked) return;
  window.tomoalignPlotlyAsked = true;
  const script = document.createElement('script');
  script.textContent = data.source;
  document.head.append(script);
  window.dispatchEvent(new Event('tomoalign-plotly'));
}
"""

CHART = """
export default function({ data, parentElement }) {
  const box = parentElement.querySelector('.live-plot');
  box.style.height = data.height + 'px';
  box.setAttribute('aria-label', data.alt);
  const draw = () => {
    const figure = JSON.parse(data.figure);
    const config = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ['select2d', 'lasso2d'] };
    window.Plotly.react(box, figure.data, figure.layout, config);
    box.dataset.draws = Number(box.dataset.draws || 0) + 1;
  };
  if (window.Plotly) draw();
  else window.addEventListener('tomoalign-plotly', draw, { once: true });
}
"""

_load = st.components.v2.component("tomoalign_plotly", js=LOADER, isolate_styles=False)
_chart = st.components.v2.component(
    "tomoalign_live_plot",
    html='<div class="live-plot" role="img" style="width: 100%"></div>',
    js=CHART,
    isolate_styles=False,
)


def load_plotly() -> None:
    """Bring Plotly's JavaScript to the browser; call it once on a page, outside fragments.

    Its 5 MB go out until the browser says that it has them: to send them at each rerun takes a twentieth of a second.
    """
    loaded = st.session_state.get("plotly-source", {}).get("loaded", False)
    _load(key="plotly-source", data={"source": "" if loaded else _source()}, on_loaded_change=lambda: None)


def live_plot(figure: go.Figure | str, *, key: str, height: int, alt: str) -> None:
    """Show a figure (or its JSON) that will change; the same key keeps zoom and legend."""
    text = figure if isinstance(figure, str) else figure.to_json()
    _chart(key=key, data={"figure": text, "height": height, "alt": alt})


@lru_cache(maxsize=1)
def _source() -> str:
    return (resources.files("plotly") / "package_data" / "plotly.min.js").read_text(encoding="utf-8")
