"""What the tests of all pages share: showing a page, reading it, and the runs that stand in its workspace."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from streamlit.testing.v1 import AppTest

from tomoalign_core.config import ScanConfig
from tomoalign_core.learn.runs import Run

ROOT = Path(__file__).parents[2]
SCAN = ScanConfig(n_views=14, n_rows=24, n_cols=28)


def in_state(trained: Path, workspace: Path, state: str) -> Run:
    """A copy of the training in the workspace, whose status says ``state``."""
    run = Run(workspace / "runs" / trained.name)
    shutil.copytree(trained, run.path)
    said = "running" if state == "interrupted" else state
    run.write_status(run.status().model_copy(update={"state": said, "eta_s": 61.0, "step": 4, "epoch": 2}))
    return run


def show(page: str, **query: str | list[str]) -> AppTest:
    """A page as a visitor with this address sees it."""
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    for name, value in query.items():
        at.query_params[name] = value
    if page != "overview":
        at.switch_page(f"pages/{page}.py")
    return at.run()


def words(at: AppTest) -> str:
    """All that is written on the page."""
    kinds = ("title", "markdown", "caption", "info", "warning", "error", "metric")
    said = [str(element.value) for kind in kinds for element in at.get(kind)]
    return "\n".join([*said, *map(str, live_numbers(at).values())])


def live_numbers(at: AppTest) -> dict[str, Any]:
    """What Monitor says of a run in words and figures: words, note, progress, and each figure by its label."""
    for element in at.get("bidi_component"):
        if element.proto.component_name == "tomoalign_live_numbers":
            said = json.loads(element.proto.json)
            return said | {label: value for label, value, _ in said.pop("values")}
    return {}


def well(at: AppTest) -> AppTest:
    """The page itself, which shows no exception box."""
    assert [box.value for box in at.exception] == []
    return at


def by_label(elements: Any, label: str) -> Any:
    """The element of that label."""
    return next(e for e in elements if e.label == label)


def live_figures(at: AppTest) -> dict[str, dict[str, Any]]:
    """The live charts of a page, as figures, by their alternative text."""
    charts = {}
    for element in at.get("bidi_component"):
        if element.proto.component_name == "tomoalign_live_plot":
            data = json.loads(element.proto.bytes)
            charts[data["about"]["alt"]] = data["figure"]
    return charts


def decoded(values: object) -> list[float]:
    """A column of a figure, which Plotly writes in base64 where it is an array."""
    if isinstance(values, dict):
        return np.frombuffer(base64.b64decode(values["bdata"]), values["dtype"]).tolist()
    return list(values)  # type: ignore[call-overload]
