"""Why it did not converge: the notebook's four faults as switches, and the two ideas that mend it."""

from __future__ import annotations

import numpy as np
import streamlit as st

from pages.shared.looks import STACKED, chart, is_dark
from pages.shared.router import through_router
from tomoalign_core.config import MisalignConfig, PhantomConfig, ScanConfig, SimulationConfig
from tomoalign_core.show import figures, teaching

through_router("pages/lesson.py")

URL = "query-params"
SWITCHES = {
    "unmoved": (
        "Images never moved",
        "The notebook shifted the views into `prj_tmp`, and its loop then overwrote each with the unshifted view. "
        "What the network was asked for was not in the pictures.",
    ),
    "no_step": (
        "Optimizer never called",
        "`optimizer.step` without brackets names the function and does not call it: no weight ever changed.",
    ),
    "forced": (
        "Output forced to σ = 10",
        "`g_norm` gave every answer a standard deviation of 10 px. Such an answer is wrong by 100 px² on its own.",
    ),
    "raw_labels": (
        "Gauge in the labels",
        "Part of each label cannot be known from any data (see *Gauge* below), yet it was asked for.",
    ),
}
SCAN = SimulationConfig(
    scan=ScanConfig(n_views=48, n_rows=24, n_cols=72),
    phantom=PhantomConfig(kind="foam", parts=14, part_size=(0.12, 0.3), radius=0.6, height=0.9),
    misalign=MisalignConfig(dx_sigma_px=3, dy_sigma_px=0),
    seed=4,
)


@st.cache_resource(max_entries=2, show_spinner=False)
def recorded(_stamp: int) -> object:
    """The curves, as the command ``lesson`` measured them."""
    from tomoalign_core.learn.lesson import load_record

    return load_record()


def faults_chosen() -> object:
    """The four switches, as they stand."""
    from tomoalign_core.learn.lesson import Faults

    with st.container(border=True):
        st.markdown("**The notebook's four faults.** All are in: this is the notebook as it was written. Take one out.")
        with st.container(horizontal=True, gap="medium"):
            on = [
                st.toggle(name, True, key=key, bind=URL, help=about, width="content")
                for key, (name, about) in SWITCHES.items()
            ]
    return Faults(*on)


def verdict(faults, record) -> str:
    """What one sees, and why, in a sentence or two."""
    level, end = record.levels.of(faults, record.n_views), float(record.losses[faults.code][-30:].mean())
    spread = record.levels.variance if faults.raw_labels else record.levels.free_variance
    said = f"Ends at **{end:.3g} px²**. A network that knows nothing scores **{level:.3g} px²**: "
    said += f"{spread:.2g} is the spread of the labels"
    said += f", {level - spread:.3g} the forced spread of the answers. " if level > 2 * spread else ". "
    if faults.no_step:
        return said + "\n\nNothing is learned, as no weight changes: the line only shows which stack is up."
    if faults.forced and faults.raw_labels:
        return said + (
            "\n\nEvery answer must be 10 px wrong somewhere. The little that it falls below is the mean of the "
            "96 label tables, learned by heart: it helps with no other stack."
        )
    if faults.forced:
        return said + (
            "\n\nNow the weights move, and find a way out: the forced spread goes into the **gauge**, which is taken "
            "out of the answer and costs nothing. What is left over says nothing but 0."
        )
    if faults.unmoved:
        return said + "\n\nThere is nothing to learn from: the pictures are the same whatever the labels say."
    return said + (
        "\n\nAll that was broken is mended, and it still says nothing but 0: pooling and flattening have to learn each "
        "place of each view by heart. That is not a fault of the code, but of the idea."
    )


def curves_section(record) -> None:
    """Loss of the chosen combination, its level, and where our network goes on the same data."""
    faults = faults_chosen()
    level = record.levels.of(faults, record.n_views)
    levels = [(level, "knowing nothing")]
    if faults.raw_labels:
        levels.append((record.levels.floor, "gauge floor: what no data can tell"))
    courses = {f"the notebook's network, {sum(faults)} of 4 faults": record.losses[faults.code]}
    courses["centroid, on the same stacks"] = record.centroid
    figure = teaching.stuck_loss(courses, levels, dark=is_dark())
    left, right = st.columns([2.4, 1], gap="medium")
    with left:
        chart(figure, key="lesson-curves", alt="Loss over the steps for the chosen faults, its level, and centroid")
    with right:
        st.space("small")
        st.markdown(verdict(faults, record))
        st.caption(
            f"At {record.scale:g} of the notebook's size, {record.n_views} views, the same stacks in the same order. "
            "centroid is drawn by its gauge-removed mean square error. "
            "Measured by `python -m tomoalign_core lesson`."
        )


def equivariance_section(record) -> None:
    """What both networks answer as one view moves."""
    from tomoalign_core.learn.lesson import PROBE_PX

    st.subheader("Equivariance: why ours needs so little", anchor="equivariance", divider="gray")
    left, right = st.columns([1, 1.3], gap="medium")
    with left:
        st.markdown(
            "Move *one* view sideways and ask each network how far it went.\n\n"
            "A convolution moves with its picture, so the **centroid** of a feature map moves exactly as far as the "
            "view did: the answer is built in, for every size and every place, before anything is learned. "
            "Training only teaches which features to trust.\n\n"
            "The notebook's network pools the picture, pools *over the views*, and flattens what is left. Where a "
            "thing was is gone, and which view it was in too: it would have to learn a table."
        )
    says = {"the notebook's network, mended": record.cnn3d_says, "centroid": record.centroid_says}
    with right:
        figure = teaching.answers_to_a_movement(PROBE_PX, says, dark=is_dark())
        chart(figure, key="lesson-answers", alt="What two networks say of a view's dx as that view moves")


@st.cache_data(max_entries=64, show_spinner="Scanning the twins …")
def twins(x_px: float, y_px: float) -> dict[str, np.ndarray]:
    """Two objects under two stages: their shifts, the one sinogram, and the slice each stage's story gives."""
    from tomoalign_core.align import undo_shifts
    from tomoalign_core.simulate import simulate
    from tomoalign_core.simulate.project import project_ellipsoids
    from tomoalign_core.simulate.slices import sinogram_of, slice_of
    from tomoalign_core.simulate.twins import twin

    scan = simulate(SCAN)
    _, rows, cols = scan.proj.shape
    found: dict[str, np.ndarray] = {"angle_rad": scan.angle_rad}
    stories = {"a": (scan.phantom, scan.shifts), "b": twin(scan.phantom, scan.shifts, x_px=x_px, y_px=y_px)}
    for name, (phantom, shifts) in stories.items():
        stack = project_ellipsoids(phantom, scan.angle_rad, n_rows=rows, n_cols=cols, shifts=shifts).numpy()
        aligned, _ = undo_shifts(stack, shifts)
        found[f"dx_{name}"] = shifts.dx_px
        found[f"sinogram_{name}"] = sinogram_of(stack, rows // 2)
        found[f"slice_{name}"] = slice_of(sinogram_of(aligned, rows // 2), scan.angle_rad)
    return found


def gauge_section() -> None:
    """One sinogram, two stories."""
    from tomoalign_core.geometry import Shifts

    st.subheader("Gauge: what no data can tell", anchor="gauge", divider="gray")
    st.markdown(
        "Put the object somewhere else, and let the stage move each view back by just that: the scan is the same, "
        "pixel by pixel. **So no network, however large, can tell the two stories apart**; it can find dx only up to "
        "c + a·cos θ + b·sin θ. TomoAlign takes that part out of every loss and every error. The reconstruction loses "
        "nothing by it: the object is as sharp, only elsewhere."
    )
    left, middle, right = st.columns([1.5, 1.1, 1], gap="medium")
    with left:
        x = st.slider("Object moved to the right, px", -10.0, 10.0, 8.0, 0.5, key="x", bind=URL, help="x, the a above.")
        y = st.slider("Object moved back, px", -10.0, 10.0, -5.0, 0.5, key="y", bind=URL, help="y, the b above.")
        both = twins(x, y)
        zero = np.zeros_like(both["angle_rad"])
        tables = {
            name: Shifts.from_arrays(angle_rad=both["angle_rad"], dx_px=both[f"dx_{key}"], dy_px=zero)
            for name, key in (("story A", "a"), ("story B", "b"))
        }
        chart(teaching.two_stories(tables, dark=is_dark()), key="lesson-stories", alt="dx over the angle, both stories")
    with middle:
        apart = float(np.abs(both["sinogram_a"] - both["sinogram_b"]).max() / both["sinogram_a"].max())
        images = {"Sinogram of A": both["sinogram_a"], "Sinogram of B": both["sinogram_b"]}
        figure = figures.pictures(images, figures.SINOGRAM, stacked=True, dark=is_dark(), height=530)
        chart(figure, key="lesson-sinograms", alt="The sinograms of both stories, which are the same")
        st.caption(f"Largest difference: {100 * apart:.1g} % of the maximum.")
    with right:
        images = {"Slice, by story A": both["slice_a"], "Slice, by story B": both["slice_b"]}
        figure = figures.pictures(images, figures.SLICE, stacked=True, dark=is_dark(), height=560)
        chart(figure, key="lesson-slices", alt="The slice that each story gives: the same, elsewhere")


st.title("Why it did not converge", anchor=False)
st.html(STACKED)
st.markdown(
    "TomoAlign began as a research notebook: a 3-D convolutional network was to read the shifts of all views off a "
    "stack of projections. Its loss stood at **108.3 px²** from the first epoch to the last. Here is why, in two "
    "minutes."
)
with st.spinner("Loading …"):
    from tomoalign_core.learn.lesson import RECORD
record = recorded(RECORD.stat().st_mtime_ns)
curves_section(record)
equivariance_section(record)
gauge_section()
st.subheader("Try it", anchor=False, divider="gray")
with st.container(horizontal=True):
    st.page_link(
        "pages/train.py", label="Train the notebook's preset", icon=":material/model_training:",
        query_params={"preset": "notebook"},
    )  # fmt: skip
    st.page_link("pages/model.py", label="Look into both networks", icon=":material/lan:")
    st.page_link("pages/simulate.py", label="Misalign a scan of your own", icon=":material/animation:")
