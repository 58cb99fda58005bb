"""What is seen of a simulated scan: made once for the same scan, row and theme."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import streamlit as st

from pages.shared.scans import Preview
from tomoalign_core.show import figures
from tomoalign_core.show.sheets import Sheet, sheet_of

STILL, MEASURED, REALIGNED = "Perfect stage", "As measured", "Movement undone"
PICTURES_PX = 470  # height of a pair


@dataclass(frozen=True, kw_only=True)
class RowPictures:
    """Of one detector row: figures as JSON, and how near two slices come to the perfect one: PSNR in dB, and SSIM.

    There is no ``score`` where the perfect slice is empty.
    """

    sinograms: str
    slices: str
    realigned: str
    score: dict[str, tuple[float, float]]


@st.cache_data(max_entries=4, show_spinner=False)
def sheets(scan_key: str, _scan: Preview) -> dict[str, Sheet]:
    """The views of the perfect scan and of the measured one, on one scale of grey that shows both."""
    white = max(float(_scan.aligned.max()), float(np.percentile(_scan.proj[:, ::3, ::3], 99.7)), 1e-6)
    return {name: sheet_of(proj, (0.0, white)) for name, proj in ((STILL, _scan.aligned), (MEASURED, _scan.proj))}


@st.cache_data(max_entries=16, show_spinner=False)
def row_pictures(scan_key: str, row: int, dark: bool, _scan: Preview) -> RowPictures:
    """Sinograms and slices of one detector row: of a perfect stage, as measured, and with the true movement undone."""
    from tomoalign_core.metrics import psnr, ssim
    from tomoalign_core.simulate.slices import realigned_sinogram, sinogram_of, slices_of

    lines = {
        STILL: sinogram_of(_scan.aligned, row),
        MEASURED: sinogram_of(_scan.proj, row),
        REALIGNED: realigned_sinogram(_scan.proj, _scan.shifts, row),
    }
    slices = slices_of(lines, _scan.shifts.angle_rad, engine=_scan.engine)
    levels = figures.grey_levels(slices[STILL], black=0.0)

    def pair(images: dict[str, np.ndarray], axes: figures.Axes, levels: tuple[float, float]) -> str:
        look = {"levels": levels, "stacked": True, "dark": dark, "height": PICTURES_PX}
        return figures.pictures({name: images[name] for name in (STILL, MEASURED)}, axes, **look).to_json()

    single = figures.pictures(
        {REALIGNED: slices[REALIGNED]}, figures.SLICE, levels=levels, dark=dark, height=PICTURES_PX // 2 + 20
    )
    scored = (MEASURED, REALIGNED) if np.ptp(slices[STILL]) > 0 else ()
    return RowPictures(
        sinograms=pair(lines, figures.SINOGRAM, figures.grey_levels(lines[STILL], black=0.0)),
        slices=pair(slices, figures.SLICE, levels),
        realigned=single.to_json(),
        score={n: (psnr(slices[STILL], slices[n]), ssim(slices[STILL], slices[n])) for n in scored},
    )


@st.cache_data(max_entries=16, show_spinner=False)
def movement_figure(scan_key: str, dark: bool, _scan: Preview, height: int) -> str:
    """What the stage did over the angle, with histograms, as JSON."""
    return figures.movement(_scan.shifts, dark=dark, height=height).to_json()
