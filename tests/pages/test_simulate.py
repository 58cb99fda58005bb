"""Simulate takes its settings from the address and tells the bound."""

from __future__ import annotations

from kit import show, well

SCAN_OF_SIMULATE = {"views": 20, "rows": 24, "cols": 32}


def test_simulate_takes_its_settings_from_the_address_and_tells_the_bound() -> None:
    query = {name: str(value) for name, value in SCAN_OF_SIMULATE.items()}
    at = well(show("simulate", kind="Foam", noise="None", **query))
    assert "exactly" in at.info[0].value
    assert at.slider(key="views").value == 20
    at.segmented_control(key="noise").set_value("gaussian").run()
    assert "No method can do better" in well(at).info[0].value
