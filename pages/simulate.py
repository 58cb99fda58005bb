"""Simulate: set up a scan and its faults, and see at once what they do."""

from __future__ import annotations

import numpy as np
import streamlit as st

from pages.shared.address import tell_misread
from pages.shared.live_plot import live_plot, load_plotly
from pages.shared.looks import is_dark
from pages.shared.movie import movie
from pages.shared.router import through_router
from pages.shared.scan_form import ROW, URL, back_to_sample, pick_sample, scan_form
from pages.shared.scan_pictures import (
    MEASURED,
    PICTURES_PX,
    REALIGNED,
    RowPictures,
    movement_figure,
    row_pictures,
    sheets,
)
from pages.shared.scan_return import come_back, expected_in_address, remember
from pages.shared.scans import Preview, preview, stack_file
from pages.shared.sources import FROM_SIMULATE, SCAN
from pages.shared.words import HELP_GAUGE
from tomoalign_core.config import InputError, SimulationConfig
from tomoalign_core.samples import SAMPLES
from tomoalign_core.show import figures

through_router("pages/simulate.py")

MOST_PIXELS = 20_000_000  # of a stack: 80 MB; the server holds about six of them for what is on the screen
SLOW_PIXELS = 6_000_000
SECONDS_PER_PIXEL = 1.2e-7  # of a change, on one core
BYTES_PER_PIXEL = 24
MOVEMENT_PX = 330
# under a laptop's width the form goes above the pictures, in two columns, and the pictures two to a line
NARROW = """<style>
@media (max-width: 1100px) {
  .st-key-simulate > [data-testid="stLayoutWrapper"] > [data-testid="stHorizontalBlock"],
  .st-key-pictures > [data-testid="stLayoutWrapper"] > [data-testid="stHorizontalBlock"] { flex-wrap: wrap; }
  .st-key-simulate > [data-testid="stLayoutWrapper"] > [data-testid="stHorizontalBlock"] > [data-testid="stColumn"]
    { min-width: 100%; }
  .st-key-pictures > [data-testid="stLayoutWrapper"] > [data-testid="stHorizontalBlock"] > [data-testid="stColumn"]
    { min-width: 240px; }
  .st-key-simulate [data-testid="stTabPanel"] > [data-testid="stVerticalBlock"]
    { display: grid; grid-template-columns: 1fr 1fr; gap: 0.4rem 1.6rem; align-items: start; }
}
</style>"""


def bound(scan: Preview) -> None:
    """The least error that noise allows, beside the error of knowing nothing: in words, and as bars."""
    free = scan.shifts.gauge_free().rolled_about_axis()
    limits = {"dx": scan.bound_px[0], "dy": scan.bound_px[1], "roll": scan.roll_bound_deg}
    moved = {"dx": free.dx_px, "dy": free.dy_px, "roll": free.roll_deg}
    reach = {
        part: figures.Reach(bound=limits[part], nothing=float(np.sqrt(np.mean(values**2))))
        for part, values in moved.items()
        if part != "roll" or np.ptp(scan.shifts.roll_deg) > 0
    }
    gauge = float(np.sqrt(np.mean((scan.shifts.dx_px - free.dx_px) ** 2)))
    left, right = st.columns([1, 1.15], gap="medium", vertical_alignment="center")
    with left:
        st.markdown(limit_words(reach), help=HELP_GAUGE)
        st.caption(f"Another {gauge:.2g} px of the dx is gauge: the same as an object elsewhere; scores leave it out.")
    with right:
        height = 94 + 22 * len(reach)
        figure = figures.reaches(reach, dark=is_dark(), height=height)
        live_plot(figure, key="reaches", height=height, alt=limit_alt(reach))


def limit_words(reach: dict[str, figures.Reach]) -> str:
    """The Cramér-Rao bound in a sentence, and what knowing nothing costs in another."""
    nothing = listed({part: value.nothing for part, value in reach.items()})
    if all(value.bound == 0 for value in reach.values()):
        return (
            "**Without noise there is no limit**: a perfect method would find these shifts exactly. "
            f"Knowing nothing costs {nothing}."
        )
    least = listed({part: value.bound for part, value in reach.items()})
    return f"**No method can do better than {least} here** (Cramér–Rao bound). Knowing nothing costs {nothing}."


def limit_alt(reach: dict[str, figures.Reach]) -> str:
    """The bars in words."""
    return "; ".join(
        f"{part}: bound {value.bound:.3g}, knowing nothing {value.nothing:.3g} {figures.UNIT[part]}"
        for part, value in reach.items()
    )


def listed(values: dict[str, float]) -> str:
    """Errors by part as people say them.

    >>> listed({"dx": 0.0191, "dy": 1.04, "roll": 0.123})
    '0.019 px in dx, 1.0 px in dy and 0.12° in roll'
    """
    words = [f"{value:#.2g}{'°' if part == 'roll' else ' px'} in {part}" for part, value in values.items()]
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else words[0]


def pictures(scan: Preview) -> None:
    """Projection, sinogram and slice: as a perfect stage has them above, as measured below."""
    n_rows, dark = scan.proj.shape[1], is_dark()
    with st.container(key="pictures"):
        left, middle, right = st.columns(3, gap="small")
    with middle:
        st.markdown("**Sinogram** of one row")
        slot = st.container()
        row = st.slider(
            "Detector row, px", 0, n_rows - 1, n_rows // 2, key=ROW, bind=URL,
            help="The row of the sinogram and of the slice; dashed in the projections.",
        )  # fmt: skip
    seen = row_pictures(scan.key, row, dark, scan)
    with left:
        st.markdown("**Projections**")
        views = sheets(scan.key, scan)
        movie(views, scan.shifts, row=row, key="movie", alt="Projection")
        factor = next(iter(views.values())).factor
        if factor > 1:
            st.caption(f"Shown at 1/{factor} of its size.")
    with slot:
        live_plot(seen.sinograms, key="sinograms", height=PICTURES_PX, alt="Sinogram: perfect stage, and as measured")
    with right:
        how = "gridrec of tomopy" if scan.engine == "tomopy" else "Filtered backprojection"
        st.markdown("**Slice** that this row gives", help=f"{how} about the middle column.")
        live_plot(seen.slices, key="slices", height=PICTURES_PX, alt="Slice: perfect stage, and as measured")
        st.caption(f"As measured, {likeness(seen, MEASURED)}.")
    left, right = st.columns([2, 1], gap="small")
    with left:
        st.markdown("**What the stage did**, the truth that an aligner has to find")
        figure = movement_figure(scan.key, dark, scan, MOVEMENT_PX)
        live_plot(figure, key="movement", height=MOVEMENT_PX, alt="dx, dy and roll over the angle, with histograms")
    with right:
        st.markdown("**What alignment buys**", help="The measured row once its true movement is undone; noise stays.")
        live_plot(seen.realigned, key="realigned", height=PICTURES_PX // 2 + 20, alt="Slice with the movement undone")
        st.caption(f"By a perfect aligner, {likeness(seen, REALIGNED)}.")


def likeness(seen: RowPictures, name: str) -> str:
    """How near a slice comes to that of a perfect stage, in words."""
    if name not in seen.score:
        return "nothing of the object: it does not reach this row"
    psnr, ssim = seen.score[name]
    return "the same to the last bit" if np.isinf(psnr) else f"PSNR {psnr:.1f} dB, SSIM {ssim:.2f} to the perfect one"


def actions(config: SimulationConfig, scan: Preview) -> None:
    """Where this scan may go."""
    text = config.to_json(indent=None)
    st.session_state["simulation"] = text
    with st.popover("Save", icon=":material/download:"):
        st.download_button(
            "Stack (HDF5)", lambda: stack_file(scan, text), "simulated.h5", icon=":material/deployed_code:",
            on_click="ignore", width="stretch", key="save-stack",
            help="Data Exchange layout, with the true shifts and the settings inside.",
        )  # fmt: skip
        st.download_button(
            "Settings (JSON)", config.to_json(), "simulation.json", "application/json", icon=":material/data_object:",
            on_click="ignore", width="stretch", key="save-settings",
            help="For `python -m tomoalign_core simulate OUT.h5 --config simulation.json`.",
        )  # fmt: skip
    if st.button("Make a data set of this", icon=":material/dataset:", help="Many such stacks, to train a network on."):
        st.switch_page("pages/dataset.py", query_params={"base": FROM_SIMULATE})
    if st.button("Align this scan", icon=":material/align_horizontal_center:", type="primary"):
        # with the scan, as Align would put it there itself, and a browser's Back would meet two addresses of Align
        scan_json = config.model_dump_json(exclude_defaults=True)
        st.switch_page("pages/align.py", query_params={"sample": FROM_SIMULATE, SCAN: scan_json})


def size_of(config: SimulationConfig) -> int:
    """Pixels of the stack.

    Raises
    ------
    InputError
        If there are too many for a page.
    """
    scan = config.scan
    pixels = scan.n_views * scan.n_rows * scan.n_cols
    if pixels > MOST_PIXELS:
        raise InputError(
            f"{scan.n_views} views of {scan.n_rows} × {scan.n_cols} px are {pixels / 1e6:.0f} million pixels, and this "
            f"page shows up to {MOST_PIXELS / 1e6:.0f}: make it smaller, or save such a scan with "
            "`python -m tomoalign_core simulate`"
        )
    return pixels


st.html(NARROW)
load_plotly()
with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
    with st.container(horizontal=True, vertical_alignment="center", width="content"):
        st.title("Simulate", anchor=False)
        busy = st.container(width=220)  # a spinner beside the title moves nothing below
    buttons = st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center")
tell_misread("simulate", expected_in_address(), also=come_back())
with st.container(horizontal=True, vertical_alignment="center"):
    name = pick_sample()
    changed = st.container(width="content")
about = st.empty()
with st.container(key="simulate"):
    form, window = st.columns([1, 3.6], gap="medium")
try:
    with form:
        config = scan_form(name)
    remember()  # before anything slow, which a visitor who leaves would cut short
    pixels = size_of(config)
    words = SAMPLES[name].about
    if config != SAMPLES[name].config:
        words = f"Begun as: {words}"
        with changed:
            back_to_sample(name)
    if pixels > SLOW_PIXELS:
        words += (
            f" {pixels / 1e6:.0f} million pixels: about {SECONDS_PER_PIXEL * pixels:.1f} s a change, "
            f"and {BYTES_PER_PIXEL * pixels / 1e6:.0f} MB of the server's memory."
        )
    about.caption(words)
    with busy:
        scan = preview(config.to_json(indent=None))
    with window:
        bound(scan)
        pictures(scan)
    with buttons:
        actions(config, scan)
except InputError as error:
    window.error(str(error), icon=":material/error:")
remember()
