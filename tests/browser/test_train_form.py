"""In a real browser: what is typed into the form of a training stands in the address, whatever the form began as."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from browsing import IN_A_BROWSER, Dashboard, fill

from tomoalign_core.config import RunConfig, TrainConfig
from tomoalign_core.learn.runs import create_run

pytestmark = IN_A_BROWSER


def test_fields_stay_in_the_address_when_the_form_begins_as_a_run(
    dashboard: Dashboard, open_page: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOMOALIGN_WORKSPACE", str(dashboard.workspace))
    run = create_run(RunConfig(name="first", train=TrainConfig(epochs=7)))
    run.write_status(run.status().model_copy(update={"state": "finished"}))
    page = open_page(dashboard.url + "/train?preset=full&epochs=5")

    def named(**wanted: str) -> None:
        page.wait_for_url(lambda url: all(parse_qs(urlsplit(url).query).get(k) == [v] for k, v in wanted.items()))

    fill(page, "Seed", 3)
    named(preset="full", epochs="5", seed="3")
    table = page.get_by_test_id("stDataFrame").last
    table.scroll_into_view_if_needed()
    table.click(position={"x": 18, "y": 52})  # the tick of its only row
    page.get_by_role("button", name="Duplicate with changes").click()
    page.get_by_text("Begins with the settings of first").wait_for()
    assert "epochs" not in page.url and "seed" not in page.url and "preset" not in page.url
    page.get_by_text("Already trained:").wait_for()  # stands below the fields: they are drawn anew, the script goes on
    assert page.get_by_label("Epochs", exact=True).input_value() == "7"
    fill(page, "Seed", 4)
    fill(page, "Channels", 20)
    named(**{"from": run.id}, seed="4", channels="20")
    page.reload()  # at once: what the server still has to say may take nothing out of the address
    page.get_by_text("Seed 0 → 4 · Channels 16 → 20").wait_for()
