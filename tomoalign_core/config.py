"""What a user can set: frozen, validated on construction, JSON in and out, with a content key.

A number may be given as a range ``(low, high)`` where the field says so: each stack then draws its own, uniformly.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

if TYPE_CHECKING:
    import numpy as np

SCHEMA = 2  # 2: the gauge of dx and dy turns with the roll
Engine = Literal["torch", "tomopy"]


class InputError(ValueError):
    """The user's input is at fault; the message is one line that says what, where and what to do."""


def _within(low: float, high: float) -> AfterValidator:
    def check(value: Any) -> Any:
        ends = value if isinstance(value, tuple) else (value, value)
        if ends[0] > ends[1]:
            raise ValueError(f"the range {value} runs backwards")
        if ends[0] < low or ends[1] > high:
            raise ValueError(f"{value} is outside {low:g} to {high:g}")
        return value

    return AfterValidator(check)


def Span(low: float, high: float) -> Any:  # noqa: N802 (reads as a type)
    """A float, or a range of floats from which each stack draws its own."""
    return Annotated[float | tuple[float, float], _within(low, high)]


def Count(low: int, high: int) -> Any:  # noqa: N802
    """A whole number, or a range of whole numbers, both ends included."""
    return Annotated[int | tuple[int, int], _within(low, high)]


def draw(span: float | tuple[float, float], rng: np.random.Generator) -> float:
    """A number as it is, or one drawn uniformly from its range."""
    return float(rng.uniform(*span)) if isinstance(span, tuple) else float(span)


def draw_count(span: int | tuple[int, int], rng: np.random.Generator) -> int:
    """A whole number as it is, or one drawn from its range, both ends included."""
    return int(rng.integers(span[0], span[1] + 1)) if isinstance(span, tuple) else int(span)


class Settings(BaseModel):
    """Base of all configurations: immutable, keyword-only, unknown names refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    not_in_key: ClassVar[frozenset[str]] = frozenset()
    # a field that came later: at its default it means what was done before there was one, so old keys stay true
    silent_at_default: ClassVar[frozenset[str]] = frozenset()

    def to_json(self, *, indent: int | None = 2) -> str:
        """The configuration as JSON; ``from_json`` reads it back to an equal object."""
        return self.model_dump_json(indent=indent)

    @classmethod
    def from_json(cls, text: str, *, where: str = "configuration") -> Self:
        """Read a configuration from JSON text.

        Raises
        ------
        InputError
            With the first offending field, its value and what was expected.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise InputError(f"{where}: {first_fault(error)}{cls._names_there(error)}") from None

    @classmethod
    def _names_there(cls, error: ValidationError) -> str:
        """Where the first fault is a name that there is not, those that there are."""
        fault, settings = error.errors()[0], cls
        if fault["type"] != "extra_forbidden":
            return ""
        for name in fault["loc"][:-1]:
            field = settings.model_fields.get(str(name))
            if field is None or not (isinstance(field.annotation, type) and issubclass(field.annotation, Settings)):
                return ""
            settings = field.annotation
        return f"; there are {', '.join(settings.model_fields)}"

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a configuration file."""
        path = Path(path)
        if not path.is_file():
            raise InputError(f"{path}: no such configuration file; give the path of a JSON file")
        try:
            return cls.from_json(path.read_text(), where=str(path))
        except UnicodeDecodeError:
            raise InputError(f"{path}: is not text; give the path of a JSON file") from None

    def changed(self, **values: Any) -> Self:
        """A validated copy with some fields replaced."""
        return type(self).model_validate({**{k: getattr(self, k) for k in type(self).model_fields}, **values})

    def key(self) -> str:
        """A content key: the same settings and the same schema give the same 16 hexadecimal digits."""
        canonical = json.dumps([SCHEMA, self._keyed()], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    def _keyed(self) -> dict[str, Any]:
        values = self.model_dump(mode="json")
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if name in self.not_in_key or (name in self.silent_at_default and value == field.default):
                del values[name]
            elif isinstance(value, Settings):
                values[name] = value._keyed()
            elif isinstance(value, tuple) and isinstance(value[0], Settings):
                values[name] = [part._keyed() for part in value]
        return values


class Fault(NamedTuple):
    """What is wrong with a setting: its names from the outermost to its own (none: the whole), value, expectation."""

    names: tuple[str, ...]
    value: Any
    expected: str


def fault_of(error: ValidationError) -> Fault:
    """The first fault of a validation error."""
    fault = error.errors()[0]
    # pydantic adds which branch of a union it tried; the user wrote only the names
    extra = ("float", "int", "function-", "tuple[")
    names = tuple(str(p) for p in fault["loc"] if not str(p).startswith(extra))
    message = fault["msg"].removeprefix("Value error, ")
    return Fault(names, fault["input"], f"{message[0].lower()}{message[1:]}")


def first_fault(error: ValidationError) -> str:
    """One line for the first fault of a validation error: field, value, what was expected."""
    names, value, expected = fault_of(error)
    return f"{'.'.join(names) or 'the file'} = {value!r:.80}: {expected}"


# ---------------------------------------------------------------- simulation


class PhantomConfig(Settings):
    """The object in the scanner."""

    kind: Literal["ellipsoids", "foam", "pillar", "shepp3d", "voxels"] = Field(
        "ellipsoids", description="Ellipsoids: random blobs. Foam: a body full of voids. Pillar: taller than the view."
    )
    parts: Count(1, 400) = Field((16, 40), description="Number of blobs, voids or inclusions")  # type: ignore[valid-type]
    part_size: Span(0.01, 1.0) = Field((0.08, 0.35), description="Semi-axes of the parts, fraction of the radius")  # type: ignore[valid-type]
    radius: Span(0.05, 3.0) = Field((0.6, 0.85), description="Radius of the object, fraction of half the width")  # type: ignore[valid-type]
    height: Span(0.05, 6.0) = Field((0.6, 0.85), description="Half height of the object, fraction of half the view")  # type: ignore[valid-type]
    body: Span(0, 2) = Field((0.2, 0.5), description="Density of the body that ellipsoids sit in; theirs is 0.3 to 1.5")  # type: ignore[valid-type]
    path: str | None = Field(None, description="Voxel volume [z, y, x]: an .npy, .npz, .tif or .h5 file")

    @model_validator(mode="after")
    def _voxels_need_a_file(self) -> Self:
        if (self.kind == "voxels") != (self.path is not None):
            raise ValueError("a phantom of kind 'voxels' needs a path, and only that kind takes one")
        return self


class ScanConfig(Settings):
    """Detector and angles."""

    n_views: Count(3, 4000) = Field(60, description="Projections")  # type: ignore[valid-type]
    n_rows: Count(8, 4096) = Field(80, description="Detector rows, px")  # type: ignore[valid-type]
    n_cols: Count(8, 4096) = Field(104, description="Detector columns, px")  # type: ignore[valid-type]
    range_deg: Span(1.0, 3600.0) = Field(180.0, description="Angular range, degrees")  # type: ignore[valid-type]
    start_deg: Span(-360.0, 360.0) = Field(0.0, description="First angle, degrees")  # type: ignore[valid-type]
    include_end: bool = Field(False, description="Both end points of the range are measured")

    def draw_shape(self, rng: np.random.Generator) -> tuple[int, int, int]:
        """The shape of a stack (N, V, U): as it is set, or drawn from its ranges."""
        n, rows, cols = (draw_count(span, rng) for span in (self.n_views, self.n_rows, self.n_cols))
        return n, rows, cols

    def largest_shape(self) -> tuple[int, int, int]:
        """The largest stack (N, V, U) that can be drawn."""
        n, rows, cols = (v[1] if isinstance(v, tuple) else v for v in (self.n_views, self.n_rows, self.n_cols))
        return n, rows, cols


class MisalignConfig(Settings):
    """What the stage does to each view. Parts add up."""

    dx_sigma_px: Span(0, 200) = Field(4.0, description="Jitter sideways, standard deviation, px")  # type: ignore[valid-type]
    dy_sigma_px: Span(0, 200) = Field(1.0, description="Jitter up and down, standard deviation, px")  # type: ignore[valid-type]
    roll_sigma_deg: Span(0, 45) = Field(0.0, description="Jitter of the roll, standard deviation, degrees")  # type: ignore[valid-type]
    axis_tilt_deg: Span(-90, 90) = Field(  # type: ignore[valid-type]
        0.0, description="Tilt of the rotation axis off the detector's columns, degrees: every view is rolled by it"
    )
    rounded: bool = Field(False, description="Round jitter to whole px and whole degrees, as the notebook did")
    uniform_px: Span(0, 200) = Field(0.0, description="Further shift, uniform in ± this, px, in dx and dy")  # type: ignore[valid-type]
    drift_px: Span(0, 200) = Field(0.0, description="Slow drift, root mean square, px, in dx and dy")  # type: ignore[valid-type]
    jumps: Count(0, 100) = Field(0, description="Number of sudden jumps that stay")  # type: ignore[valid-type]
    jump_px: Span(0, 200) = Field(5.0, description="Size of a jump, standard deviation, px")  # type: ignore[valid-type]
    outlier_fraction: Span(0, 0.5) = Field(0.0, description="Fraction of views thrown far off")  # type: ignore[valid-type]
    outlier_px: Span(0, 200) = Field(15.0, description="Size of an outlier, standard deviation, px")  # type: ignore[valid-type]
    silent_at_default = frozenset({"axis_tilt_deg"})


class NoiseConfig(Settings):
    """What the detector and the source do. The stack's clean maximum is 1 before this."""

    gaussian: Span(0, 2) = Field(0.0, description="Gaussian noise, fraction of the maximum")  # type: ignore[valid-type]
    counts: Span(1, 1e9) | None = Field(None, description="Photons per pixel of the open beam; Poisson noise")  # type: ignore[valid-type]
    background: Span(0, 5) = Field(0.0, description="Offset of each view, uniform, 0 to this fraction of the maximum")  # type: ignore[valid-type]
    gain: Span(0, 0.9) = Field(0.0, description="Each view is scaled by 1 ± this, uniform")  # type: ignore[valid-type]
    rescale: bool = Field(False, description="Divide each view by its maximum, as the notebook did")
    clip: bool = Field(False, description="Cut noise off below 0 and above 1, as the notebook's noise was")
    silent_at_default = frozenset({"clip"})


class SimulationConfig(Settings):
    """One simulated scan."""

    scan: ScanConfig = ScanConfig()
    phantom: PhantomConfig = PhantomConfig()
    misalign: MisalignConfig = MisalignConfig()
    noise: NoiseConfig = NoiseConfig()
    seed: int = Field(0, ge=0, description="The same seed gives the same stack")
    phantom_seed: int | None = Field(
        None, ge=0, description="Draw the object from a seed of its own: it stays when the scan changes"
    )
    engine: Engine = Field("torch", description="Who projects: torch, exactly; tomopy, from voxels, where installed")
    silent_at_default = frozenset({"engine", "phantom_seed"})


# ---------------------------------------------------------------- learning


class Recipe(Settings):
    """A kind of training stack; its share in the mix is its weight."""

    name: str
    weight: float = Field(1.0, gt=0)
    phantom: PhantomConfig = PhantomConfig()
    misalign: MisalignConfig = MisalignConfig()
    noise: NoiseConfig = NoiseConfig()


class ValidationCase(Settings):
    """A fixed set of stacks on which every epoch is scored."""

    name: str
    stacks: int = Field(4, ge=1, le=1000)
    simulation: SimulationConfig = SimulationConfig()


class DatasetConfig(Settings):
    """A data set is a recipe: what to draw, not what was drawn."""

    name: str = "mix"
    scan: ScanConfig = ScanConfig()
    train: tuple[Recipe, ...] = Field((Recipe(name="ellipsoids"),), min_length=1)
    fixed: int | None = Field(None, ge=1, description="Number of training stacks; none: endless, never the same twice")
    one_phantom: bool = Field(False, description="All stacks show the same object, as the notebook's did")
    validation: tuple[ValidationCase, ...] = Field((ValidationCase(name="ellipsoids"),), min_length=1)
    seed: int = Field(0, ge=0)
    engine: Engine = Field("torch", description="Who projects the training stacks; validation cases say their own")
    not_in_key = frozenset({"name"})
    silent_at_default = frozenset({"engine"})


class CentroidConfig(Settings):
    """Our network: the centroid of a feature map moves with the projection."""

    name: Literal["centroid"] = "centroid"
    channels: int = Field(16, ge=2, le=256, description="Channels of the encoder: its width")
    maps: int = Field(8, ge=1, le=64, description="Learnt pictures of each view, whose centroids are followed")
    profiles: int = Field(8, ge=1, le=64, description="Learnt sums along the rows, matched from view to view for dy")
    head: int = Field(32, ge=4, le=512, description="Width of the last layers, which weigh all estimates")
    search_rows: int = Field(10, ge=1, le=64, description="How far row profiles are searched, in steps of two rows")
    passes: int = Field(4, ge=1, le=6, description="Looks at the stack when aligning, each corrected by the one before")


class Cnn3dConfig(Settings):
    """The notebook's network, the baseline that teaches."""

    name: Literal["cnn3d"] = "cnn3d"
    force_std: bool = Field(
        False,
        description="Force the output to a standard deviation of 10, as the notebook did; keeps the loss at 100 + σ²",
    )


ModelConfig = Annotated[CentroidConfig | Cnn3dConfig, Field(discriminator="name")]


class TrainConfig(Settings):
    """How to train."""

    epochs: int = Field(24, ge=1, le=100_000, description="Rounds; at the end of each the network is scored")
    steps_per_epoch: int = Field(50, ge=1, le=1_000_000, description="Updates of the weights in an epoch")
    batch: int = Field(3, ge=1, le=1024, description="Stacks a step learns from; memory grows with it")
    loss: Literal["laplace", "smooth-l1", "mse", "raw-mse"] = Field(
        "laplace",
        description="What is made small. Of the error without its gauge, but for raw-mse, the notebook's, which no "
        "network can bring to zero. laplace also learns how sure it is",
    )
    optimizer: Literal["adamw", "sgd"] = Field(
        "adamw", description="How weights are moved. adamw: each weight at its own pace; sgd: the notebook's"
    )
    learning_rate: float = Field(3e-3, gt=0, le=10, description="Step of the weights at its largest")
    momentum: float = Field(0.9, ge=0, lt=1, description="Of sgd: the part of the last step that is kept")
    weight_decay: float = Field(1e-4, ge=0, le=1, description="Of adamw: how much weights shrink by themselves")
    schedule: Literal["one-cycle", "cosine", "constant"] = Field(
        "one-cycle",
        description="The learning rate over the training. one-cycle: rises from a 25th, then falls to nearly nothing; "
        "cosine: rises from nothing, then falls to nothing; constant: stays",
    )
    warm_up: float = Field(
        0.2, ge=0, le=0.9, description="Share of the steps in which the learning rate rises (one-cycle, cosine)"
    )
    clip: float = Field(1.0, gt=0, description="A longer gradient is shortened to this norm; a large number: never")
    precision: Literal["float32", "bfloat16", "float16"] = Field(
        "float32",
        description="Of the convolutions in training. bfloat16 and float16 (mixed precision) save memory, for centroid "
        "about a third, and on a GPU time. Centroids, least squares, resampling, losses and validation stay in float32",
    )
    seed: int = Field(0, ge=0, description="Another number, other first weights")
    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|cuda(:\d+)?)$",
        description="auto takes the GPU if there is one; cuda:1 is the second. One training at a time on each",
    )
    checkpoint_every: int = Field(50, ge=1, description="Steps between checkpoints, from which a killed run goes on")
    log_every: int = Field(1, ge=1, description="Steps between points of the training curves")
    profiler: bool = Field(
        False, description="Write a profiler trace of the first steps, to be opened in TensorBoard or Perfetto"
    )
    not_in_key = frozenset({"device", "profiler", "log_every", "checkpoint_every"})
    silent_at_default = frozenset({"warm_up", "precision"})


class RunConfig(Settings):
    """Everything that determines a training: data set, model, training, seeds."""

    name: str = Field("run", pattern=r"^[A-Za-z0-9._-]{1,60}$", description="Letters, digits, dot, dash, underscore")
    dataset: DatasetConfig = DatasetConfig()
    model: ModelConfig = CentroidConfig()
    train: TrainConfig = TrainConfig()
    not_in_key = frozenset({"name"})

    @model_validator(mode="after")
    def _cnn3d_needs_one_shape(self) -> Self:
        scan = self.dataset.scan
        if self.model.name == "cnn3d":
            ranges = [n for n in ("n_views", "n_rows", "n_cols") if isinstance(getattr(scan, n), tuple)]
            if ranges:
                raise ValueError(f"cnn3d needs one shape for all stacks, but {ranges[0]} is a range")
            if self.train.loss == "laplace":
                raise ValueError("cnn3d gives no confidence; choose smooth-l1, mse or raw-mse instead of laplace")
        return self
