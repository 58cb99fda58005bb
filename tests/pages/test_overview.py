"""Overview starts the demo."""

from __future__ import annotations

from kit import by_label, show

from tomoalign_core.learn.runs import Run


def test_the_demo_starts_a_real_small_training(spawned: list[Run]) -> None:
    at = show("overview")
    by_label(at.button, "Run the demo").click().run()
    from tomoalign_core.learn.presets import demo_config

    assert [run.config for run in spawned] == [demo_config(10)]
