"""The form of a simulated scan: sliders for its settings, which begin as a sample and all stand in the address.

``widget_values`` and ``configured`` are each other's inverse: settings to what the widgets show, and back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, get_args

import streamlit as st
from pydantic import ValidationError

from pages.shared.fields import whole_number
from pages.shared.words import HELP_ROLL
from tomoalign_core.config import Engine, InputError, SimulationConfig, first_fault
from tomoalign_core.engines import HOW_TO_GET_TOMOPY, tomopy_installed
from tomoalign_core.learn.jobs import read_only
from tomoalign_core.samples import SAMPLES

URL = "query-params"
ROW = "row"  # key of the slider of the row that is looked at
SAMPLE = "example"  # key of the sample that is begun with
KINDS = {
    "ellipsoids": "Blobs",
    "foam": "Foam",
    "pillar": "Pillar",
    "shepp3d": "Shepp–Logan head",
    "voxels": "Volume file",
}
NOISES = {"gaussian": "Gaussian", "counts": "Photons", "both": "Both", "none": "None"}
PHOTONS = tuple(m * 10**e for e in range(1, 7) for m in (1, 2, 5))
MOST_SEED = 2**31


class Knob(NamedTuple):
    """A slider of one field; what it shows is ``scale`` times what the settings hold, a range if that is one."""

    key: str
    label: str
    field: tuple[str, str]
    low: float
    high: float
    step: float
    help: str
    scale: int = 1


JITTER = "Standard deviation of a new random {} in every view."
OBJECT = (
    Knob("views", "Views", ("scan", "n_views"), 10, 360, 1, "Number of projections."),
    Knob("rows", "Rows, px", ("scan", "n_rows"), 16, 256, 8, "Height of the detector."),
    Knob("cols", "Columns, px", ("scan", "n_cols"), 16, 384, 8, "Width of the detector."),
    Knob(
        "range", "Range, degrees", ("scan", "range_deg"), 30.0, 360.0, 5.0,
        "Angle from the first view to the end of the last. Under 180°, a wedge of the object is never seen.",
    ),
)  # fmt: skip
ANGLES = (Knob("start", "First angle, degrees", ("scan", "start_deg"), -180.0, 180.0, 5.0, "Of the first view."),)
PARTS = (
    Knob("parts", "Parts", ("phantom", "parts"), 1, 100, 1, "Blobs, voids or inclusions; their number is drawn."),
    Knob(
        "size", "Size of parts, %", ("phantom", "part_size"), 1.0, 100.0, 1.0,
        "Their semi-axes, drawn from this range, of the radius.", 100,
    ),
    Knob(
        "radius", "Radius, %", ("phantom", "radius"), 5.0, 150.0, 5.0,
        "Of the object, drawn from this range, of half the width. Over 100 % it leaves the view sideways.", 100,
    ),
    Knob(
        "height", "Height, %", ("phantom", "height"), 5.0, 200.0, 5.0,
        "Of the object, drawn from this range, of the view's. Over 100 % it leaves the view at top and bottom.", 100,
    ),
)  # fmt: skip
BODY = Knob(
    "body", "Density of the body", ("phantom", "body"), 0.0, 2.0, 0.05,
    "That the blobs sit in, drawn from this range; theirs is 0.3 to 1.5.",
)  # fmt: skip
STAGE = (
    Knob("dx", "Jitter dx, px", ("misalign", "dx_sigma_px"), 0.0, 20.0, 0.1, "Sideways. " + JITTER.format("shift")),
    Knob("dy", "Jitter dy, px", ("misalign", "dy_sigma_px"), 0.0, 20.0, 0.1, "Up and down. " + JITTER.format("shift")),
    Knob("roll", "Roll, degrees", ("misalign", "roll_sigma_deg"), 0.0, 5.0, 0.1,
         JITTER.format("turn") + " " + HELP_ROLL),
    Knob("tilt", "Tilt of the axis, degrees", ("misalign", "axis_tilt_deg"), -90.0, 90.0, 0.1,
         "Of the rotation axis off the detector's columns, clockwise: every view is turned by it."),
    Knob("drift", "Drift, px", ("misalign", "drift_px"), 0.0, 20.0, 0.5,
         "A slow random walk of dx and dy; its root mean square."),
    Knob("jumps", "Jumps", ("misalign", "jumps"), 0, 10, 1, "Sudden shifts that stay from then on."),
    Knob("outliers", "Outliers, % of views", ("misalign", "outlier_fraction"), 0.0, 30.0, 1.0,
         "Views thrown far off, alone.", 100),
)  # fmt: skip
STAGE_MORE = (
    Knob("uniform", "Anywhere within ±, px", ("misalign", "uniform_px"), 0.0, 30.0, 0.5,
         "A further shift of dx and dy, as likely here as there."),
    Knob("jump", "Size of a jump, px", ("misalign", "jump_px"), 0.0, 30.0, 0.5, "Standard deviation."),
    Knob("outlier", "Size of an outlier, px", ("misalign", "outlier_px"), 0.0, 50.0, 1.0, "Standard deviation."),
)  # fmt: skip
GAUSSIAN = Knob(
    "gaussian", "Noise, % of the maximum", ("noise", "gaussian"), 0.5, 50.0, 0.5, "Standard deviation.", 100
)
LEVELS = (
    Knob("background", "Background, % of the maximum", ("noise", "background"), 0.0, 100.0, 5.0,
         "Each view gains an offset between 0 and this.", 100),
    Knob("gain", "Brightness, ± %", ("noise", "gain"), 0.0, 50.0, 1.0,
         "Each view is scaled by its own factor, up to this from 1.", 100),
)  # fmt: skip
KNOBS = (*OBJECT, *ANGLES, *PARTS, BODY, *STAGE, *STAGE_MORE, GAUSSIAN, *LEVELS)
TOGGLES = {
    "end": ("scan", "include_end"),
    "rounded": ("misalign", "rounded"),
    "rescale": ("noise", "rescale"),
    "cut": ("noise", "clip"),
}


def widget_values(config: SimulationConfig) -> dict[str, Any]:
    """What the widgets show for these settings, by their keys."""
    values: dict[str, Any] = {}
    for knob in KNOBS:
        shown = _scaled(getattr(getattr(config, knob.field[0]), knob.field[1]), knob.scale)
        is_span = knob in (*PARTS, BODY)
        values[knob.key] = (shown, shown) if is_span and not isinstance(shown, tuple) else shown
    values |= {key: getattr(getattr(config, part), field) for key, (part, field) in TOGGLES.items()}
    both = config.noise.gaussian > 0 and config.noise.counts is not None
    one = "counts" if config.noise.counts is not None else "gaussian" if config.noise.gaussian > 0 else "none"
    values |= {
        "kind": config.phantom.kind,
        "volume": config.phantom.path or "",
        "noise": "both" if both else one,
        "gaussian": values["gaussian"] or 3.0,
        "counts": int(config.noise.counts or 500),
        "number": config.seed,
        "object": config.phantom_seed or 0,
        "engine": config.engine,
    }
    return values


def configured(values: Mapping[str, Any]) -> SimulationConfig:
    """The settings that widgets with these values stand for; what is not there is as it is by default.

    Raises
    ------
    InputError
        With the first setting that cannot be, and why.
    """
    parts: dict[str, dict[str, Any]] = {"scan": {}, "phantom": {}, "misalign": {}, "noise": {}}
    for knob in KNOBS:
        if knob.key in values:
            parts[knob.field[0]][knob.field[1]] = _scaled(values[knob.key], 1 / knob.scale)
    for key, (part, field) in TOGGLES.items():
        parts[part][field] = values[key]
    parts["phantom"] |= {"kind": values["kind"], "path": values["volume"] if values["kind"] == "voxels" else None}
    if values["noise"] not in ("gaussian", "both"):
        parts["noise"]["gaussian"] = 0.0
    parts["noise"]["counts"] = values["counts"] if values["noise"] in ("counts", "both") else None
    try:
        return SimulationConfig(**parts, seed=values["number"], phantom_seed=values["object"], engine=values["engine"])
    except ValidationError as error:
        raise InputError(first_fault(error)) from None


def _scaled(value: Any, scale: float) -> Any:
    """A number or a range times ``scale``; the nearest decimal, so that it comes back as it was."""
    if isinstance(value, tuple):
        return tuple(_scaled(v, scale) for v in value)
    return value if scale == 1 else round(value * scale, 9)


def pick_sample() -> str:
    """The samples to begin with; picking one sets every slider."""
    return st.pills(
        "Begin with", list(SAMPLES), default=next(iter(SAMPLES)), key=SAMPLE, bind=URL, required=True, wrap=True,
        on_change=_set_all, label_visibility="collapsed",
    )  # fmt: skip


def back_to_sample(name: str) -> None:
    """A button that sets every slider to the sample again."""
    st.button(
        f"Back to {name}", icon=":material/undo:", type="tertiary", key="back", on_click=_set_all,
        help="Sets every slider as the sample has it.",
    )  # fmt: skip


def _set_all() -> None:
    config = SAMPLES[st.session_state[SAMPLE]].config
    st.session_state.update(widget_values(config) | {ROW: config.scan.n_rows // 2})


def scan_form(sample: str) -> SimulationConfig:
    """All sliders, which begin as the sample of that name.

    Raises
    ------
    InputError
        With the first setting that cannot be, and why.
    """
    begin = widget_values(SAMPLES[sample].config)
    values: dict[str, Any] = {}
    tabs = st.tabs(["Object", "Stage", "Detector"])
    with tabs[0]:
        _object(values, begin)
    with tabs[1]:
        _sliders(STAGE, values, begin)
        with st.expander("More", icon=":material/tune:"):
            _sliders(STAGE_MORE, values, begin)
            _toggle(
                "rounded", "Whole numbers", "Round jitter to whole px and degrees, as the notebook did.", values, begin
            )
    with tabs[2]:
        _detector(values, begin)
    return configured(values)


def _object(values: dict[str, Any], begin: Mapping[str, Any]) -> None:
    kinds = [kind for kind in KINDS if kind != "voxels" or not read_only()]  # a path reads the server's disk
    values["kind"] = st.selectbox(
        "Phantom", kinds, index=kinds.index(begin["kind"]), format_func=KINDS.get, key="kind", bind=URL,
        help="The object scanned. Blobs sit in a body; foam is a body full of voids; a pillar is taller than the view.",
    )  # fmt: skip
    values["volume"] = begin["volume"]
    if values["kind"] == "voxels":
        values["volume"] = st.text_input(
            "Volume", begin["volume"], key="volume", bind=URL, placeholder="/data/volume.npy",
            help="A volume [z, y, x] on the server's disk: .npy, .npz, .tif or .h5.",
        ).strip()  # fmt: skip
    _sliders(OBJECT, values, begin)
    with st.expander("More", icon=":material/tune:"):
        _sliders(ANGLES, values, begin)
        _toggle("end", "Both ends", "The last view is at the very end of the range, as tomopy has it.", values, begin)
        if values["kind"] not in ("shepp3d", "voxels"):
            _sliders(PARTS, values, begin)
        if values["kind"] == "ellipsoids":
            _sliders((BODY,), values, begin)
        _engine(values, begin)
    left, right = st.columns(2, gap="small")
    with left:
        values["object"] = whole_number(
            "Object no.", 0, MOST_SEED, value=begin["object"], key="object",
            help="Seed: another number draws another object; the same one stays whatever the stage does.",
        )  # fmt: skip
    with right:
        values["number"] = whole_number(
            "Scan no.", 0, MOST_SEED, value=begin["number"], key="number",
            help="Seed: another number draws other shifts and other noise.",
        )  # fmt: skip


def _engine(values: dict[str, Any], begin: Mapping[str, Any]) -> None:
    """Who projects: a choice only where there is one."""
    values["engine"] = "torch"
    if not tomopy_installed():
        st.caption(f"**Engine: torch.** The other one, tomopy, is not installed: `{HOW_TO_GET_TOMOPY}`")
        return
    values["engine"] = st.segmented_control(
        "Engine", get_args(Engine), default=begin["engine"], key="engine", bind=URL, required=True,
        help="torch projects ellipsoids exactly; tomopy projects voxels, shifts views and makes slices by gridrec.",
    )  # fmt: skip


def _detector(values: dict[str, Any], begin: Mapping[str, Any]) -> None:
    kinds = list(NOISES)
    values["noise"] = st.selectbox(
        "Noise", kinds, index=kinds.index(begin["noise"]), format_func=NOISES.get, key="noise", bind=URL,
        help="Gaussian: the same everywhere. Photons: counted, so most noise where the object absorbs most.",
    )  # fmt: skip
    if values["noise"] in ("gaussian", "both"):
        _sliders((GAUSSIAN,), values, begin)
    if values["noise"] in ("counts", "both"):
        values["counts"] = st.select_slider(
            "Photons per pixel", PHOTONS, begin["counts"], key="counts", bind=URL,
            format_func="{:,}".format, help="In the open beam; a quarter of the photons, twice the noise.",
        )  # fmt: skip
    _sliders(LEVELS, values, begin)
    _toggle("rescale", "Rescale views", "Divide each view by its maximum, as the notebook did.", values, begin)
    _toggle("cut", "Cut noise off", "Below 0 and above the maximum, as the notebook's noise was.", values, begin)


def _sliders(knobs: tuple[Knob, ...], values: dict[str, Any], begin: Mapping[str, Any]) -> None:
    for knob in knobs:
        values[knob.key] = st.slider(
            knob.label,
            knob.low,
            knob.high,
            begin[knob.key],
            knob.step,
            key=knob.key,
            bind=URL,
            help=knob.help,
            format="%d" if knob.step >= 1 else "%.1f" if knob.step >= 0.1 else "%.2f",
        )


def _toggle(key: str, label: str, about: str, values: dict[str, Any], begin: Mapping[str, Any]) -> None:
    values[key] = st.toggle(label, begin[key], key=key, bind=URL, help=about)
