"""A stack as a movie: two stacks, played by the browser itself, so that no view costs a rerun.

All views lie on one PNG a stack (``show.sheets``); the view that is shown stands in the address as ``view``.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import asdict

import numpy as np
import streamlit as st

from tomoalign_core.geometry import Shifts
from tomoalign_core.show.sheets import Sheet
from tomoalign_core.show.style import COLOUR

HTML = """
<div class="movie" role="group">
  <figure><figcaption></figcaption><canvas role="img"></canvas></figure>
  <figure><figcaption></figcaption><canvas role="img"></canvas></figure>
  <div class="controls">
    <button class="play" title="Play (space)" aria-label="Play">▶</button>
    <input class="view" type="range" min="0" step="1" aria-label="View">
    <button class="blink" title="Let the second picture alternate with the first" aria-pressed="false">Blink</button>
  </div>
  <div class="told" aria-live="off"></div>
</div>
"""

CSS = """
.movie { font-family: var(--st-font); color: var(--st-text-color); }
.movie figure { margin: 0 0 2px; }
.movie figcaption { font-size: 13px; line-height: 26px; text-align: center; }
.movie canvas { width: 100%; display: block; background: #000; border-radius: 3px; }
.movie .controls { display: flex; align-items: center; gap: 8px; margin-top: 8px; }
.movie .view { flex: 1; min-width: 40px; accent-color: var(--st-primary-color); cursor: pointer; }
.movie button {
  font: inherit; font-size: 13px; line-height: 1; height: 30px; padding: 0 10px; cursor: pointer;
  color: inherit; background: transparent; border: 1px solid var(--st-border-color); border-radius: 6px;
}
.movie button.play { width: 34px; padding: 0; color: var(--st-primary-color); font-size: 14px; }
.movie button:hover, .movie button:focus-visible { border-color: var(--st-primary-color); }
.movie button[aria-pressed="true"] { background: var(--st-primary-color); color: #fff; border-color: transparent; }
.movie .told { font-size: 13px; line-height: 20px; min-height: 40px; margin-top: 6px; }
.movie .told { font-variant-numeric: tabular-nums; }
.movie .told b { font-weight: 600; white-space: nowrap; margin-right: 8px; }
"""

JS = """
const players = new WeakMap();

function player(root) {
  const self = { view: 0, playing: false, blinking: false, odd: false, images: [], data: null };
  const canvases = [...root.querySelectorAll('canvas')];
  const captions = [...root.querySelectorAll('figcaption')];
  const [play, slider, blink, told] = ['.play', '.view', '.blink', '.told'].map(c => root.querySelector(c));

  const cross = (pen, scale, dx, dy, roll) => {
    const { width, height, factor, colours } = self.data, arm = Math.min(width, height) * 0.16 * scale;
    pen.save();
    pen.translate((width / 2 + dx / factor) * scale, (height / 2 + dy / factor) * scale);
    pen.rotate(roll * Math.PI / 180);
    pen.lineWidth = 1.5;
    for (const [colour, x, y] of [[colours.dx, arm, 0], [colours.dy, 0, arm]]) {
      pen.strokeStyle = colour;
      pen.beginPath(); pen.moveTo(-x, -y); pen.lineTo(x, y); pen.stroke();
    }
    pen.restore();
  };

  const draw = () => {
    const d = self.data, i = self.view;
    canvases.forEach((canvas, number) => {
      const first = number === 0 || (self.blinking && self.odd);
      const image = self.images[first ? 0 : 1];
      captions[number].textContent = d.names[first ? 0 : 1];
      if (!image) return;
      const scale = Math.max(1, Math.round(canvas.clientWidth * devicePixelRatio / d.width));
      canvas.width = d.width * scale; canvas.height = d.height * scale;
      const pen = canvas.getContext('2d');
      pen.imageSmoothingEnabled = false;
      const left = (i % d.columns) * d.width, top = Math.floor(i / d.columns) * d.height;
      pen.drawImage(image, left, top, d.width, d.height, 0, 0, canvas.width, canvas.height);
      const y = (d.row + 0.5) / d.factor * scale;
      pen.strokeStyle = 'rgba(255,255,255,.55)'; pen.setLineDash([4, 4]);
      pen.beginPath(); pen.moveTo(0, y); pen.lineTo(canvas.width, y); pen.stroke(); pen.setLineDash([]);
      if (first) cross(pen, scale, 0, 0, 0); else cross(pen, scale, d.dx[i], d.dy[i], d.roll[i]);
    });
    slider.value = i;
    const angle = (d.angle[i] < 0 ? '−' : '') + Math.abs(d.angle[i]).toFixed(1);
    slider.setAttribute('aria-valuetext', `view ${i}, ${angle} degrees`);
    const signed = (x, unit) => (x < 0 ? '−' : '+') + Math.abs(x).toFixed(2) + unit;
    const part = (name, x, unit) => {
      const b = document.createElement('b');
      b.style.color = d.colours[name]; b.textContent = `${name} ${signed(x, unit)}`;
      return b;
    };
    const moved = [part('dx', d.dx[i], ' px'), part('dy', d.dy[i], ' px')];
    if (d.roll.some(x => x)) moved.push(part('roll', d.roll[i], '°'));
    told.replaceChildren(`View ${i} (0 to ${d.n - 1}) at ${angle}° `, document.createElement('br'), ...moved);
  };

  const remember = () => {  // in the address, so that a link shows this view
    const url = new URL(location.href);
    if (self.view) url.searchParams.set('view', self.view); else url.searchParams.delete('view');
    history.replaceState(history.state, '', url);
  };
  const go = view => { self.view = (view + self.data.n) % self.data.n; draw(); };
  const pace = () => 1000 / Math.min(25, Math.max(8, self.data.n / 8));

  let last = 0;
  const tick = now => {
    if (!root.isConnected) { self.playing = self.blinking = false; return; }
    if (self.playing && now - last > pace()) { last = now; go(self.view + 1); }
    if (self.blinking && Math.floor(now / 500) % 2 !== Number(self.odd)) { self.odd = !self.odd; draw(); }
    if (self.playing || self.blinking) requestAnimationFrame(tick);
  };
  const run = () => requestAnimationFrame(tick);
  const setPlaying = on => {
    const idle = !self.playing && !self.blinking;
    self.playing = on;
    play.textContent = on ? '❚❚' : '▶';
    play.setAttribute('aria-label', on ? 'Pause' : 'Play');
    if (on && idle) run();
    if (!on) remember();
  };
  play.onclick = () => setPlaying(!self.playing);
  slider.oninput = () => { if (self.playing) setPlaying(false); go(Number(slider.value)); };
  slider.onchange = remember;
  slider.onkeydown = event => { if (event.key === ' ') { event.preventDefault(); setPlaying(!self.playing); } };
  blink.onclick = () => {
    const idle = !self.playing && !self.blinking;
    self.blinking = !self.blinking; self.odd = false;
    blink.setAttribute('aria-pressed', self.blinking);
    if (self.blinking && idle) run();
    draw();
  };
  new ResizeObserver(() => { if (self.data) draw(); }).observe(root);

  self.show = async data => {
    const first = self.data === null;
    const fresh = data.sheets.map((sheet, k) => first || sheet !== self.data.sheets[k]);
    const images = await Promise.all(data.sheets.map(async (sheet, k) => {
      if (!fresh[k]) return self.images[k];
      const image = new Image();
      await new Promise((loaded, failed) => {
        image.onload = loaded; image.onerror = failed;
        image.src = 'data:image/png;base64,' + sheet;
      });
      return image;
    }));
    if (self.wanted !== data) return;  // a newer one has come while this was decoded
    if (first) self.view = Number(new URLSearchParams(location.search).get('view')) || 0;
    Object.assign(self, { data, images });
    self.view = Math.max(0, Math.min(Math.floor(self.view), data.n - 1));
    slider.max = data.n - 1;
    canvases.forEach((canvas, k) => canvas.setAttribute('aria-label', `${data.alt}: ${data.names[k]}`));
    draw();
    root.dataset.shown = Number(root.dataset.shown || 0) + 1;
  };
  return self;
}

export default function({ data, parentElement }) {
  const root = parentElement.querySelector('.movie');
  if (!players.has(root)) players.set(root, player(root));
  const self = players.get(root);
  self.wanted = data;
  self.show(data);
}
"""

_movie = st.components.v2.component("tomoalign_movie", html=HTML, css=CSS, js=JS, isolate_styles=False)


def movie(sheets: Mapping[str, Sheet], shifts: Shifts, *, row: int, key: str, alt: str) -> None:
    """Show two stacks of the same size below each other, with a slider, play and blink.

    Parameters
    ----------
    sheets : name to views on a sheet; the first is the one without movement.
    shifts : what moved the second; each view's is told, and drawn as a cross.
    row : detector row that is marked, px.
    """
    size = asdict(next(iter(sheets.values())))
    del size["png"]
    data = {
        **size,
        "sheets": [base64.b64encode(sheet.png).decode() for sheet in sheets.values()],
        "names": list(sheets),
        "n": len(shifts),
        "angle": np.rad2deg(shifts.angle_rad).round(2).tolist(),
        "dx": shifts.dx_px.round(3).tolist(),
        "dy": shifts.dy_px.round(3).tolist(),
        "roll": shifts.roll_deg.round(3).tolist(),
        "row": row,
        "colours": COLOUR,
        "alt": alt,
    }
    _movie(key=key, data=data)
