"""In a real browser: the rounds of a refinement are drawn in one chart as they come in, which is gone afterwards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from browsing import IN_A_BROWSER, Dashboard

from tomoalign_core.config import MisalignConfig, NoiseConfig, ScanConfig, SimulationConfig
from tomoalign_core.files.writers import write_stack
from tomoalign_core.simulate import simulate

pytestmark = IN_A_BROWSER
# which node is the chart, and how many rounds it shows, at each change of the page
WATCH = """() => {
  window.seen = [];
  new MutationObserver(() => {
    const box = document.querySelector('[data-live^="rounds"]');
    if (!box?.calcdata) return;
    box.mark ??= Math.random();
    seen.push([box.mark, box.calcdata[0].length]);
  }).observe(document.body, { childList: true, subtree: true, attributes: true });
}"""


def test_rounds_come_into_one_chart_that_goes_when_all_is_done(
    dashboard: Dashboard, open_page: Callable[..., Any]
) -> None:
    scan = simulate(
        SimulationConfig(
            scan=ScanConfig(n_views=90, n_rows=56, n_cols=80),
            misalign=MisalignConfig(dx_sigma_px=3, dy_sigma_px=2, roll_sigma_deg=2),  # which takes some rounds to find
            noise=NoiseConfig(gaussian=0.05),
            seed=3,
        )
    )
    path = dashboard.workspace / "scan.h5"
    write_stack(path, proj=scan.proj.numpy(), angle_rad=scan.angle_rad)
    query = {"source": "Server file", "path": str(path), "methods": "network+refine"}
    page = open_page(f"{dashboard.url}/align?{urlencode(query)}")
    button = page.get_by_role("button", name="Align", exact=True)
    button.wait_for()
    page.evaluate(WATCH)
    button.click()
    kept = page.get_by_text("is kept, the held-out residual")
    kept.wait_for()
    assert page.locator('[data-live^="rounds"]').count() == 0
    seen = page.evaluate("seen")
    shown = [rounds for _, rounds in seen]
    assert len({mark for mark, _ in seen}) == 1  # never mounted anew
    assert shown == sorted(shown) and shown[0] < shown[-1]  # it grew
    page.locator('[data-test-script-state="notRunning"]').wait_for()  # else what follows may fold it again
    kept.click()
    chart = page.get_by_label("Held-out residual and step after each round of the refinement")
    chart.locator("text=kept").first.wait_for()
    assert page.locator('[data-testid="stException"]').count() == 0
