"""Many trainings from one: a list of values for some fields gives a run for each combination."""

from __future__ import annotations

import re
import types
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from tomoalign_core.config import InputError, RunConfig, Settings, first_fault

MOST = 64  # runs of one sweep
LONGEST = 60  # letters of a run's name
Value = bool | int | float | str
SHORT = {
    "learning_rate": "lr",
    "weight_decay": "decay",
    "steps_per_epoch": "steps",
    "search_rows": "reach",
    "warm_up": "warm",
    "channels": "ch",
    "epochs": "ep",
    "batch": "b",
    "force_std": "forced",
}


def expand(config: RunConfig, values: Mapping[str, Sequence[Value]]) -> list[RunConfig]:
    """Every combination of the values, as changes of ``config``; those that would train the same are given once.

    Parameters
    ----------
    config : where all of them begin.
    values : values by dotted field path.

    Raises
    ------
    InputError
        With the first combination that cannot be, or if there are more than 64.

    >>> from tomoalign_core.learn.presets import preset
    >>> runs = expand(preset("quick"), {"train.learning_rate": [1e-3, 3e-3], "model.channels": [8]})
    >>> [(run.name, run.train.learning_rate, run.model.channels) for run in runs]
    [('quick-lr0.001-ch8', 0.001, 8), ('quick-lr0.003-ch8', 0.003, 8)]
    """
    for path in values:
        field_of(path)
    combinations = list(product(*values.values()))
    if len(combinations) > MOST:
        raise InputError(f"{len(combinations)} runs are too many at once; give values for {MOST} or fewer")
    found: dict[str, RunConfig] = {}
    for combination in combinations:
        changed = _changed(config, dict(zip(values, combination, strict=True)))
        found.setdefault(changed.key(), changed)
    return list(found.values())


def parse_values(text: str, path: str) -> list[Value]:
    """What a person types as the values of a field: numbers or choices with commas or blanks between them.

    Whole numbers may be a range.

    Raises
    ------
    InputError
        With the first word that is no value of the field.

    >>> parse_values("1e-4, 3e-4 1e-3", "train.learning_rate")
    [0.0001, 0.0003, 0.001]
    >>> parse_values("0-3, 7", "train.seed")
    [0, 1, 2, 3, 7]
    >>> parse_values("adamw, sgd", "train.optimizer")
    ['adamw', 'sgd']
    """
    kind = kind_of(path)
    found: list[Value] = []
    for word in re.split(r"[\s,;]+", text.strip(" ,;\n")):
        found += _read(word, kind, path)
    return list(dict.fromkeys(found))


def field_of(path: str) -> FieldInfo:
    """What the configuration says of a field: its type, limits and description.

    Raises
    ------
    InputError
        If there is no such field.
    """
    models: list[type[Settings]] = [RunConfig]
    field: FieldInfo | None = None
    for name in path.split("."):
        field = next((model.model_fields[name] for model in models if name in model.model_fields), None)
        if field is None:
            raise InputError(f"{path}: there is no such setting; examples are train.learning_rate and model.channels")
        models = _models(field.annotation)
    assert field is not None
    return field


def kind_of(path: str) -> type | tuple[str, ...]:
    """``int``, ``float``, ``bool`` or ``str``, or the choices there are.

    Raises
    ------
    InputError
        If the field is none of these.
    """
    if path == "model.name":
        return tuple(
            model.model_fields["name"].default for model in _models(RunConfig.model_fields["model"].annotation)
        )
    annotation = _plain(field_of(path).annotation)
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    for kind in (bool, int, float, str):  # a number that may be a range counts as a number
        if kind in (annotation, *get_args(annotation)):
            return kind
    raise InputError(f"{path}: takes no list of values; name one of its parts")


def _changed(config: RunConfig, values: Mapping[str, Value]) -> RunConfig:
    words = ", ".join(f"{path} = {_said(value)}" for path, value in values.items())
    settings = {name: getattr(config, name) for name in RunConfig.model_fields}
    if values.get("model.name", config.model.name) != config.model.name:
        settings["model"] = {"name": values["model.name"]}
    try:
        for path, value in values.items():
            settings = _with(settings, path.split("."), value)
        changed = RunConfig.model_validate(settings)
        return changed.changed(name=_name(config.name, values, changed.key()))
    except ValidationError as error:
        raise InputError(f"{words}: {first_fault(error)}") from None


def _with(settings: Settings | dict[str, Any], path: list[str], value: Value) -> Any:
    """The settings as a dictionary, with the value at the path."""
    if isinstance(settings, Settings):
        settings = {name: getattr(settings, name) for name in type(settings).model_fields}
    inner = value if len(path) == 1 else _with(settings[path[0]], path[1:], value)
    return settings | {path[0]: inner}


def _name(base: str, values: Mapping[str, Value], key: str) -> str:
    """A name that tells the values; where they are more than a name can hold, the content key tells it from others.

    >>> _name("quick", {"train.optimizer": "sgd", "train.clip": 1e6, "model.force_std": True}, "0123456789abcdef")
    'quick-sgd-clip1e06-forced'
    """
    parts = [_part(path.rpartition(".")[2], value) for path, value in values.items()]
    name = re.sub(r"[^A-Za-z0-9._-]", "", "-".join([base, *parts]))
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 9]}-{key[:8]}"


def _part(field: str, value: Value) -> str:
    short = SHORT.get(field, field.replace("_", ""))
    if isinstance(value, bool):
        return short if value else f"not{short}"
    return str(value) if isinstance(value, str) else f"{short}{_said(value)}"


def _said(value: Value) -> str:
    """A value with no more digits than it has.

    >>> _said(0.00030000000000000003), _said(1e-5), _said(16), _said(0.123456789)
    ('0.0003', '1e-05', '16', '0.123456789')
    """
    if not isinstance(value, float):
        return str(value)
    return next(
        text for digits in range(1, 18) if abs(float(text := f"{value:.{digits}g}") - value) <= 1e-12 * abs(value)
    )


def _read(word: str, kind: type | tuple[str, ...], path: str) -> list[Value]:
    if isinstance(kind, tuple):
        if word not in kind:
            raise InputError(f"{path}: {word!r} is not a choice; there are {', '.join(kind)}")
        return [word]
    if kind is bool:
        answers = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}
        if word.lower() not in answers:
            raise InputError(f"{path}: {word!r} is neither yes nor no")
        return [answers[word.lower()]]
    span = re.fullmatch(r"(\d+)[-–](\d+)", word) if kind is int else None
    if span:
        low, high = int(span[1]), int(span[2])
        if not 0 <= high - low < MOST:
            raise InputError(f"{path}: {word!r} must go up, by fewer than {MOST}")
        return list(range(low, high + 1))
    try:
        return [kind(word)]
    except ValueError:
        wanted = "a whole number" if kind is int else "a number"
        raise InputError(f"{path}: {word!r} is not {wanted}; write values with commas between them") from None


def _plain(annotation: Any) -> Any:
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    return annotation


def _models(annotation: Any) -> list[type[Settings]]:
    """The kinds of settings that a field may hold."""
    annotation = _plain(annotation)
    options = get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)
    return [option for option in options if isinstance(option, type) and issubclass(option, Settings)]
