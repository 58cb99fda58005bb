"""Simulate: set up a scan and its faults, and see at once what they do."""

from __future__ import annotations

import streamlit as st
from pydantic import ValidationError

from pages.shared.looks import chart, is_dark
from pages.shared.router import through_router
from pages.shared.scans import Preview, bound_words, preview, stack_file
from pages.shared.sources import FROM_SIMULATE, SAMPLE
from pages.shared.words import HELP_ROLL
from tomoalign_core.config import (
    InputError,
    MisalignConfig,
    NoiseConfig,
    PhantomConfig,
    ScanConfig,
    SimulationConfig,
    first_fault,
)
from tomoalign_core.show import figures

through_router("pages/simulate.py")

URL = "query-params"
KINDS = {
    "ellipsoids": "Blobs",
    "foam": "Foam",
    "pillar": "Pillar (taller than the view)",
    "shepp3d": "Shepp–Logan head",
}
NOISES = {"gaussian": "Gaussian", "counts": "Photon counts", "none": "None"}


def object_form() -> tuple[PhantomConfig, ScanConfig, int]:
    """Phantom, geometry and seed."""
    kind = st.selectbox("Phantom", list(KINDS), format_func=KINDS.get, key="kind", bind=URL, help="The object scanned.")
    views = st.slider("Views", 10, 240, 60, 2, key="views", bind=URL, help="Number of projections.")
    rows = st.slider("Rows, px", 16, 256, 80, 8, key="rows", bind=URL, help="Height of the detector.")
    cols = st.slider("Columns, px", 16, 256, 104, 8, key="cols", bind=URL, help="Width of the detector.")
    span = st.slider(
        "Range, degrees",
        30,
        360,
        180,
        5,
        key="range",
        bind=URL,
        help="Angle from the first view to the end of the last.",
    )
    seed = st.number_input(
        "Seed",
        0,
        2**31,
        0,
        key="seed",
        bind=URL,
        help="Another number draws another object, other shifts, other noise.",
    )
    phantom = PhantomConfig(kind=kind, height=(1.2, 1.8)) if kind == "pillar" else PhantomConfig(kind=kind)
    return phantom, ScanConfig(n_views=views, n_rows=rows, n_cols=cols, range_deg=span), seed


def stage_form() -> MisalignConfig:
    """What the stage does wrong."""
    jitter = "Standard deviation of a new random shift in every view."
    values = {
        "dx_sigma_px": st.slider("Jitter dx, px", 0.0, 20.0, 4.0, 0.1, key="dx", bind=URL, help=f"Sideways. {jitter}"),
        "dy_sigma_px": st.slider(
            "Jitter dy, px", 0.0, 20.0, 1.0, 0.1, key="dy", bind=URL, help=f"Up and down. {jitter}"
        ),
        "roll_sigma_deg": st.slider("Roll, degrees", 0.0, 5.0, 0.0, 0.1, key="roll", bind=URL, help=HELP_ROLL),
        "rounded": st.toggle(
            "Whole pixels",
            key="rounded",
            bind=URL,
            help="Round jitter to whole px and whole degrees, as the notebook did.",
        ),
        "drift_px": st.slider(
            "Drift, px", 0.0, 20.0, 0.0, 0.5, key="drift", bind=URL, help="A slow random walk; its root mean square."
        ),
        "jumps": st.slider("Jumps", 0, 10, 0, key="jumps", bind=URL, help="Sudden shifts that stay from then on."),
        "jump_px": st.slider(
            "Size of jumps, px", 0.0, 20.0, 5.0, 0.5, key="jump", bind=URL, help="Standard deviation."
        ),
    }
    outliers = st.slider(
        "Outliers, %", 0, 30, 0, key="outliers", bind=URL, help="Share of views thrown about 15 px off."
    )
    return MisalignConfig(**values, outlier_fraction=outliers / 100)


def noise_form() -> NoiseConfig:
    """What the detector and the source do."""
    kind = st.segmented_control(
        "Noise", list(NOISES), default="gaussian", format_func=NOISES.get, key="noise", bind=URL, required=True,
        help="Gaussian: the same everywhere. Photon counts: most where the object absorbs most.",
    )  # fmt: skip
    values: dict[str, float | None] = {}
    if kind == "gaussian":
        sigma = st.slider(
            "Noise, % of the maximum", 0.0, 50.0, 3.0, 0.5, key="gaussian", bind=URL, help="Standard deviation."
        )
        values["gaussian"] = sigma / 100
    elif kind == "counts":
        values["counts"] = st.number_input(
            "Photons per pixel", 1.0, 1e7, 500.0, 100.0, key="counts", bind=URL, format="%.0f",
            help="In the open beam; fewer photons, more noise.",
        )  # fmt: skip
    background = st.slider(
        "Background, % of the maximum", 0, 100, 0, 5, key="background", bind=URL,
        help="Each view gains an offset between 0 and this.",
    )  # fmt: skip
    return NoiseConfig(**values, background=background / 100)


def settings() -> SimulationConfig:
    """All that is set on the left."""
    tabs = st.tabs(["Object", "Stage", "Noise"])
    with tabs[0]:
        phantom, scan, seed = object_form()
    with tabs[1]:
        misalign = stage_form()
    with tabs[2]:
        noise = noise_form()
    return SimulationConfig(scan=scan, phantom=phantom, misalign=misalign, noise=noise, seed=seed)


def pictures(scan: Preview) -> None:
    """Projection, sinogram and slice: as a perfect stage has them above, as measured below."""
    from tomoalign_core.simulate.slices import sinogram_of, slice_of

    n_views, n_rows, _ = scan.proj.shape
    angle, dark = scan.shifts.angle_rad, is_dark()
    left, middle, right = st.columns(3)
    with left:
        view = st.slider("View", 0, n_views - 1, 0, key="view", help="Number of the projection shown, counted from 0.")
        pair = {f"Aligned, {angle[view] * 57.29578:.0f}°": scan.aligned[view], "Measured": scan.proj[view]}
        show_pair(pair, figures.PROJECTION, "projection", dark)
    with middle:
        row = st.slider(
            "Detector row, px", 0, n_rows - 1, n_rows // 2, key="row", help="The row of the sinogram and of the slice."
        )
        lines = {"Aligned": sinogram_of(scan.aligned, row), "Measured": sinogram_of(scan.proj, row)}
        show_pair(lines, figures.SINOGRAM, "sinogram", dark)
    with right:
        st.caption(
            "The slice that a reconstruction makes of this row", help="Filtered backprojection about the middle column."
        )
        st.space("small")
        slices = {name: slice_of(values, angle) for name, values in lines.items()}
        show_pair(slices, figures.SLICE, "slice", dark)


def show_pair(images: dict, axes: figures.Axes, what: str, dark: bool) -> None:
    """Two pictures on one scale of grey, that of the aligned one."""
    levels = figures.grey_levels(next(iter(images.values())), black=axes.black)
    figure = figures.pictures(images, axes, levels=levels, stacked=True, dark=dark, height=470)
    chart(figure, key=f"{what}-pair", alt=f"{what}: aligned above, as measured below")


st.title("Simulate", anchor=False)
form, window = st.columns([1, 3.6], gap="medium")
try:
    with form:
        config = settings()
    text = config.to_json(indent=None)
    with window:
        scan = preview(text)
        st.info(bound_words(scan.bound_px), icon=":material/straighten:")
        pictures(scan)
        st.markdown("**What the stage did** to each view, the truth that an aligner has to find")
        chart(figures.movement(scan.shifts, dark=is_dark()), key="movement", alt="dx, dy and roll over the angle")
    st.session_state["simulation"] = text
    with form:
        st.download_button(
            "Stack (HDF5)", lambda: stack_file(scan, text), "simulated.h5", icon=":material/download:", width="stretch",
            on_click="ignore", help="Data Exchange layout, with the true shifts and the settings inside.",
        )  # fmt: skip
        if st.button("Align this scan", icon=":material/align_horizontal_center:", width="stretch"):
            st.switch_page("pages/align.py", query_params={"source": SAMPLE, "sample": FROM_SIMULATE})
except ValidationError as error:
    st.error(first_fault(error), icon=":material/error:")
except InputError as error:
    st.error(str(error), icon=":material/error:")
