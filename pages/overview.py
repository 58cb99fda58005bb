"""Overview: what TomoAlign does, in three pictures; what this machine has; where to go next."""

from __future__ import annotations

import time

import streamlit as st

from pages.shared.looks import STACKED, chart, is_dark
from pages.shared.router import through_router
from pages.shared.runs_table import runs_table
from pages.shared.scans import STAGE, preview
from pages.shared.words import roughly
from tomoalign_core.config import NoiseConfig, PhantomConfig, ScanConfig, SimulationConfig
from tomoalign_core.geometry import Shifts
from tomoalign_core.learn.forecast import forecast
from tomoalign_core.learn.jobs import read_only
from tomoalign_core.learn.presets import demo_config
from tomoalign_core.learn.runs import launch, list_runs
from tomoalign_core.show import figures

through_router("pages/overview.py")

DEMO_EPOCHS = 10  # as the command ``demo`` does by default
SAMPLE = SimulationConfig(
    scan=ScanConfig(n_views=90, n_rows=80, n_cols=112),
    phantom=PhantomConfig(kind="foam", parts=28, part_size=(0.08, 0.25), radius=0.75, height=0.75),
    misalign=STAGE,
    noise=NoiseConfig(gaussian=0.03),
    seed=11,
).to_json(indent=None)


@st.cache_resource(max_entries=2, show_spinner="Aligning a small scan to show what this is …")
def example(aligner_stamp: float | None) -> tuple[str, Shifts, float]:
    """Who aligned the example, what it found, and its seconds; anew when other weights are in the box."""
    from tomoalign_core.align import find_shifts

    scan = preview(SAMPLE)
    method, name = ("network", "network") if aligner_stamp else ("center-of-mass", "centre of mass")
    find_shifts(scan.proj, scan.shifts.angle_rad, method=method)  # the first time, libraries and weights are loaded
    began = time.perf_counter()
    return name, find_shifts(scan.proj, scan.shifts.angle_rad, method=method), time.perf_counter() - began


def three_pictures() -> None:
    """Measured, found, corrected."""
    from tomoalign_core.align import undo_shifts
    from tomoalign_core.learn.weights import PRETRAINED
    from tomoalign_core.simulate.slices import find_axis, sinogram_of, slice_of

    scan, dark = preview(SAMPLE), is_dark()
    name, found, seconds = example(PRETRAINED.stat().st_mtime if PRETRAINED.exists() else None)
    row, angle = scan.proj.shape[1] // 2, scan.shifts.angle_rad
    left, middle, right = st.columns([1, 1.15, 1.5], gap="medium", vertical_alignment="bottom")
    with left:
        st.markdown("**1 · The stage moves.** Each view lands a few pixels off: a jagged sinogram.")
        lines = sinogram_of(scan.proj, row)
        figure = figures.pictures({"measured": lines}, figures.SINOGRAM, dark=dark, height=290)
        chart(figure, key="overview-sinogram", alt="Misaligned sinogram")
    with middle:
        st.markdown(
            f"**2 · The movement is found**, here by the {name} in {seconds:.2g} s: the line runs through the truth."
        )
        figure = figures.shifts_over_angle({name: found}, scan.shifts, dark=dark, height=290)
        figure.update_layout(showlegend=False, margin_t=8)  # the sentence above says what is what
        chart(figure, key="overview-shifts", alt="Found and true shifts over the angle")
    with right:
        st.markdown("**3 · The slice is sharp** once the movement is undone.")
        aligned, _ = undo_shifts(scan.proj, found)
        axis = find_axis(aligned, angle)
        after = slice_of(sinogram_of(aligned, row), angle, axis_px=axis)
        slices = {"before": slice_of(lines, angle, axis_px=axis), "after": after}
        figure = figures.pictures(slices, figures.SLICE, dark=dark, height=290)
        chart(figure, key="overview-slices", alt="Slice before and after alignment")
    if not PRETRAINED.exists():
        st.caption("No pretrained network is in this copy; the classical centre of mass stands in for it here.")


@st.cache_data(ttl=60, show_spinner=False)
def machine() -> dict[str, str]:
    """What this machine has, the versions of packages on one line."""
    from tomoalign_core.doctor import findings

    found = findings()
    packages = [name for name in ("torch", "numpy", "scikit-image", "streamlit", "plotly", "h5py") if name in found]
    return {"packages": ", ".join(f"{name} {found.pop(name)}" for name in packages), **found}


def demo_takes() -> str:
    """How long the demo will take: by a run of its network on this machine, or as it took on another."""
    found = forecast(demo_config(DEMO_EPOCHS))
    if found:
        return f"about {roughly(found.seconds)} at the usual pace of a training here"
    return "about a minute on two cores that have nothing else to do"


def next_steps() -> None:
    """Where to go from here."""
    with st.container(horizontal=True, vertical_alignment="center"):
        if not read_only() and st.button(
            "Run the demo", type="primary", icon=":material/rocket_launch:", key="demo",
            help=f"Trains a small network for real and shows it learning; {demo_takes()}.",
        ):  # fmt: skip
            with st.spinner("Starting …"):
                run, _ = launch(demo_config(DEMO_EPOCHS))
            st.switch_page("pages/monitor.py", query_params={"run": run.id})
        st.page_link("pages/simulate.py", label="Simulate a scan", icon=":material/animation:")
        st.page_link("pages/train.py", label="Train a network", icon=":material/model_training:")
        st.page_link("pages/align.py", label="Align a stack", icon=":material/align_horizontal_center:")


st.title("TomoAlign", anchor=False)
st.html(STACKED)
st.markdown(
    "Finds the stage movements that blur a tomography scan, with a 3-D neural network that you can train and watch, "
    "and undoes them."
)
next_steps()
three_pictures()
left, right = st.columns([1.6, 1], gap="large")
with left:
    st.subheader("Recent trainings", anchor=False)
    if list_runs():
        runs_table(limit=5)
    else:
        st.info(f"None yet. **Run the demo** trains a small network; {demo_takes()}.", icon=":material/model_training:")
with right:
    st.subheader("This machine", anchor=False)
    for name, value in machine().items():
        st.caption(f"**{name}** · {value}")
