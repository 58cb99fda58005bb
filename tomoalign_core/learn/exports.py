"""What of a run can be taken home beside its weights: its metrics as one table, its TensorBoard folder as one file."""

from __future__ import annotations

import csv
import io
import zipfile

from tomoalign_core.learn.runs import Run


def metrics_csv(run: Run) -> str:
    """All lines of the metrics as one table; means over an epoch's steps are named train/figure, cases case/figure."""
    rows = []
    for kind in ("step", "epoch"):
        for line in run.metrics(kind):
            flat = {name: value for name, value in line.items() if not isinstance(value, dict)}
            for group, values in ({"train": line.get("train", {})} | line.get("cases", {})).items():
                flat |= {f"{group}/{name}": value for name, value in values.items()}
            rows.append(flat)
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def tensorboard_zip(run: Run) -> bytes:
    """TensorBoard's event files and, where a profiler ran, its trace, in a folder named as the run."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted([*run.path.glob("events.out.tfevents.*"), *run.path.glob("trace/**/*")]):
            if path.is_file():
                archive.write(path, f"{run.id}/{path.relative_to(run.path)}")
    return file.getvalue()
