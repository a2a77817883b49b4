"""Config files: an experiment in YAML or JSON, checked and turned into plain data.

Whatever is wrong is one `ConfigError` or `DatasetError` that says the file, the line,
what was found and what would do.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationError,
    create_model,
)

from promptlab.errors import (
    ConfigError,
    SpecError,
    brief,
    did_you_mean,
)
from promptlab.execution.options import OPTIONS, Option
from promptlab.experiment import Experiment
from promptlab.files.datasets import read_dataset
from promptlab.files.prompts import read_prompts, read_texts
from promptlab.files.text import read_text
from promptlab.files.yaml_lines import LARGEST_CONFIG, YamlFile
from promptlab.formats import label
from promptlab.money.prices import prices_in_force
from promptlab.paths import user_path
from promptlab.spec.dataset import Dataset
from promptlab.spec.grid import Grid
from promptlab.spec.parameters import KNOWN
from promptlab.spec.prompt import Prompt


@dataclass(frozen=True, kw_only=True)
class Config:
    """What a config file says."""

    path: Path
    experiment: Experiment
    options: Mapping[str, Any]
    """The options of `run`."""
    threshold: Mapping[str, float]
    """By score, what its mean must reach."""
    require: Require | None
    """What a variant must be better than."""
    output: tuple[Path, ...]
    """Where the results are to be written."""
    files: tuple[Path, ...]
    """What was read: the file itself, its dataset, prompts and the like."""
    description: str = ""


def load_experiment(path: str | Path) -> Experiment:
    """The experiment that a config file defines.

    Raises:
        ConfigError: the file is wrong.
        DatasetError: its dataset is.
    """
    return load_config(user_path(path)).experiment


def load_config(path: Path, inputs: Mapping[str, Any] | None = None) -> Config:
    """A config file, with the files it names; these are relative to it.

    Every case gets `inputs`, over those it has.

    Raises:
        ConfigError: the file is wrong.
        DatasetError: its dataset is.
        SpecError: an input is one that no prompt uses and no case has.
    """
    source = YamlFile.read(path)
    try:
        model = ConfigModel.model_validate(_without_empty(source.plain))
    except ValidationError as error:
        raise _explained(error, source) from error
    folder = _Folder(path.parent)
    _check_variables(source, model)
    with source.blamed("dataset"):
        dataset = _dataset(model.dataset, folder)
    with source.blamed("grid"):
        for name in {"zip", "exclude"} & set(model.grid):
            raise SpecError(f"{name!r} belongs beside 'grid', not in it", at=(name,))
        crossed, *zipped = [
            {name: _values(name, given, folder) for name, given in group.items()}
            for group in (model.grid, *model.zip)
        ]
        grid = Grid(**crossed, zip=zipped, exclude=model.exclude)
    if inputs:
        dataset = _with_inputs(dataset, grid, inputs)
    scorers = _scorers(model.scorers, source, folder)
    with source.blamed():
        experiment = Experiment(
            model.name,
            grid=grid,
            dataset=dataset,
            repeats=model.repeats,
            scorers=scorers,
            capabilities=model.capabilities or None,
        )
    options = model.run.model_dump(exclude_none=True)
    threshold = options.pop("threshold", {})
    with source.blamed("run", "threshold"):
        check_threshold(threshold, experiment)
    required = options.pop("require", None)
    require = None if required is None else Require(**required)
    with source.blamed("run", "require"):
        check_require(require, experiment)
    for name in ("env_file", "prices"):
        if isinstance(options.get(name), str):
            options[name] = folder.file(options[name])
    if "cache" in options:
        options["cache"] = folder.path / user_path(options["cache"])
    with source.blamed("run", "prices"):
        prices_in_force(options.get("prices", {}))
    outputs = [model.output] if isinstance(model.output, str) else model.output
    return Config(
        path=path,
        experiment=experiment,
        options=options,
        threshold=threshold,
        require=require,
        output=tuple(folder.path / user_path(output) for output in outputs),
        files=(path, *folder.read),
        description=model.description,
    )


def load_scorers(path: Path) -> list[Any]:
    """The scorers that a file lists, under `scorers:` or by themselves.

    Raises:
        ConfigError: the file is wrong.
    """
    source = YamlFile.read(path)
    plain = source.plain
    listed = plain.get("scorers") if isinstance(plain, dict) else plain
    if not isinstance(listed, list):
        raise ConfigError(f"{path}: expected a list of scorers, such as [exact]")
    return _scorers(listed, source, _Folder(path.parent))


def check_threshold(threshold: Mapping[str, float], experiment: Experiment) -> None:
    """Raises `SpecError` for a threshold of what no scorer gives."""
    for name in threshold:
        _check_score("threshold", name, experiment)


def check_require(require: Require | None, experiment: Experiment) -> None:
    """Raises `SpecError` for a score that no scorer gives, and for a baseline that no
    variant has or that is all there is."""
    if require is None:
        return
    names = [scorer.name for scorer in experiment.scorers]
    if require.score is not None:
        _check_score("require", require.score, experiment)
    elif len(names) != 1:
        raise SpecError(
            f"require: which score? valid names: {', '.join(names)}"
            if names
            else "require: nothing is scored; add scorers"
        )
    grid = experiment.grid
    varied = {
        name: [label(level.label) for level in levels]
        for name in grid.parameters
        if len(levels := grid.used(name)) > 1
    }
    if not varied:
        raise SpecError("require: one variant has nothing to be better than")
    baseline = require.better_than
    if isinstance(baseline, dict):
        for name, value in baseline.items():
            if name not in varied:
                raise SpecError(
                    f"require: {name!r} is no parameter that varies"
                    f"{did_you_mean(name, varied)}; valid names: {', '.join(varied)}"
                )
            _check_value(value, varied[name])
        return
    having = [name for name, of in varied.items() if label(baseline) in of]
    if len(having) > 1:
        raise SpecError(
            f"require: {baseline!r} is a value of {', '.join(having)}; write "
            f"better_than: {{{having[0]}: {baseline}}}"
        )
    _check_value(baseline, [value for of in varied.values() for value in of])


def _check_score(option: str, name: str, experiment: Experiment) -> None:
    names = [scorer.name for scorer in experiment.scorers]
    if not any(name == n or name.startswith(f"{n}_") for n in names):
        hint = did_you_mean(name, names) or (
            f"; valid names: {', '.join(names)}" if names else "; add scorers"
        )
        raise SpecError(f"{option}: no score is called {name!r}{hint}")


def _check_value(value: Any, valid: Sequence[str]) -> None:
    if label(value) not in valid:
        hint = did_you_mean(label(value), valid)
        hint = hint or f"; valid values: {', '.join(valid[:20])}"
        raise SpecError(f"require: no variant has {brief(value)}{hint}")


def config_schema() -> dict[str, Any]:
    """The JSON Schema of a config file, for editors."""
    schema = ConfigModel.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "promptlab experiment"
    schema["patternProperties"] = {"^x-": {"description": "What anchors name."}}
    return schema


# What a config file may hold.

Levels = Annotated[
    list[Any] | dict[str, Any],
    Field(description="A list of values, or a mapping that gives each value a name."),
]


PROMPTS = (
    "A list of prompts, or a mapping that gives each a name. A prompt is a text, a "
    "list of messages, {file: steps.md}, or one prompt in several wordings: {wordings: "
    "{as written: ..., polite: ...}}, with formats: 5 beside it for as many others in "
    "another format, shots_order: 3 in another order of its examples."
)


def _grid_schema(schema: dict[str, Any]) -> None:
    """Tells editors the names of the parameters."""
    values = schema.get("additionalProperties", {})
    schema["properties"] = dict.fromkeys(KNOWN, values)
    schema["properties"]["prompt"] = {**values, "description": PROMPTS}
    schema["required"] = ["model", "prompt"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DatasetModel(_Strict):
    """A dataset in a file, and how it is read."""

    file: StrictStr
    encoding: StrictStr = "utf-8-sig"
    rename: dict[StrictStr, StrictStr] = Field(
        default={}, description="Other names for columns, by those in the file."
    )
    metadata: list[StrictStr] = Field(
        default=[],
        description="Columns that are carried along into the table, by their new "
        "names; no prompt sees them.",
    )


class Require(_Strict):
    """What the run must show; else the exit code is 4."""

    better_than: Any = Field(
        description="The baseline: a value of a parameter, such as plain, or {prompt: "
        "plain}. One variant must be better, as `promptlab compare` says it."
    )
    score: StrictStr | None = Field(
        None, description="By which score; may be left out if there is one scorer."
    )


def _run_field(option: Option) -> tuple[Any, Any]:
    """The key of an option under `run:`; None where it is not given."""
    bounds: dict[str, Any] = {"ge": option.minimum, "gt": option.above}
    if option.finite:
        bounds["allow_inf_nan"] = False
    if option.whole:
        bounds["multiple_of"] = 1
    if option.default is not None:
        bounds["json_schema_extra"] = {"default": option.default}
    kind = str if option.type is Path else option.type
    return kind | None, Field(None, description=option.help, **bounds)


if TYPE_CHECKING:
    RunModel = BaseModel
else:
    RunModel = create_model(
        "RunModel",
        __config__=ConfigDict(extra="forbid", frozen=True, strict=True),
        __doc__="How it is run; command-line options win over these.",
        threshold=(
            dict[str, float] | None,
            Field(
                None,
                description="By score, what its mean over all trials must reach, or "
                "where lower is better stay under; else the exit code is 4.",
            ),
        ),
        require=(
            Require | None,
            Field(None, description="What the run must show; else the exit code is 4."),
        ),
        **{n: _run_field(o) for n, o in OPTIONS.items() if not o.not_in_file},
    )


class ConfigModel(_Strict):
    """An experiment and how to run it."""

    schema_: StrictStr | None = Field(None, alias="$schema")
    name: StrictStr = Field(description="What runs and files are labelled with.")
    description: StrictStr = ""
    dataset: StrictStr | DatasetModel | list[dict[str, Any]] = Field(
        description="A file, relative to this one, or the cases themselves."
    )
    repeats: StrictInt = Field(
        1, ge=1, description="How often each variant is asked about each case."
    )
    grid: dict[str, Levels] = Field(
        description="The values of each parameter; all are crossed.",
        json_schema_extra=_grid_schema,
    )
    zip: list[dict[str, Levels]] = Field(
        default=[], description="Groups of parameters that vary together."
    )
    exclude: list[dict[str, Any]] = Field(
        default=[], description="Variants that match one of these are left out."
    )
    scorers: list[StrictStr | dict[StrictStr, Any]] = Field(
        default=[],
        description="What gives each answer its scores: exact, {contains: please}, "
        "{number: {tolerance: 0.5}}, {python: checks.py:function}.",
    )
    capabilities: dict[str, dict[str, StrictBool | StrictStr]] = Field(
        default={},
        description="By model and parameter: true, false, or its name on the wire.",
    )
    run: RunModel = Field(default_factory=RunModel)
    output: StrictStr | list[StrictStr] = Field(
        default=[], description="Files for the results: .csv .xlsx .jsonl .parquet"
    )


NOT_IN_FILE = {name: o.not_in_file for name, o in OPTIONS.items() if o.not_in_file}
"""Options that no file may have, wherever they stand, and why."""

MOVED = {
    "evaluateOptions": "promptlab has 'run' and 'repeats'",
    "models": "it is 'model', under 'grid'",
    "outputPath": "it is 'output'",
    "outputs": "it is 'output'",
    "prompts": "it is 'prompt', under 'grid'",
    "providers": "it is 'model', under 'grid'",
    "tests": "it is 'dataset'",
    **dict.fromkeys(KNOWN, "it goes under 'grid'"),
    **dict.fromkeys(OPTIONS, "it goes under 'run'"),
}
"""Top-level keys that people bring from elsewhere, and where they belong."""


def _explained(error: ValidationError, source: YamlFile) -> ConfigError:
    """The first thing wrong with a config file, in our words.

    A key that is misspelt comes before one that is missing: it may be the same.
    """
    found = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
    place = tuple(part for part in found["loc"] if _is_place(part, found["loc"]))
    name = ".".join(map(str, place)) or "the file"
    where = f"{source.path}{source.line(place)}"
    if found["type"] == "extra_forbidden":
        key = str(place[-1])
        known = _keys(place[:-1])
        moved = NOT_IN_FILE.get(key) or (MOVED.get(key) if len(place) == 1 else "")
        hint = f"; {moved}" if moved else did_you_mean(key, known)
        hint = hint or f"; valid names: {', '.join(known)}"
        return ConfigError(f"{where}: unknown key {name!r}{hint}")
    if found["type"] == "missing":
        return ConfigError(
            f"{where}: {name!r} is missing; {MISSING.get(name, 'add it')}"
        )
    given = found["input"]
    in_grid = place[:1] in (("grid",), ("zip",)) and len(place) > 1
    if in_grid and isinstance(place[-1], str) and not isinstance(given, (list, dict)):
        return ConfigError(f"{where}: {name}: {_one_value(str(place[-1]), given)}")
    meant = EXPECTED.get(place) or ALL_THROUGH.get(place[:1])
    usual = TYPES.get(found["type"]) or found["msg"].removeprefix("Input should be ")
    return ConfigError(
        f"{where}: {name}: expected {meant or usual}, got {brief(given)}"
    )


def _one_value(parameter: str, given: Any) -> str:
    """What is wrong with one value in place of a list of them."""
    try:
        Grid(**{"model": ["-"], "prompt": ["-"], parameter: [given]})
    except SpecError as error:
        return str(error).removeprefix(f"{parameter}: ")
    return f"expected a list of values, got {brief(given)}; write [{brief(given)}]"


TYPES = {
    "string_type": "a string",
    "int_type": "an integer",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
}
"""What is expected, by pydantic's kind of mistake."""

EXPECTED: dict[tuple[Any, ...], str] = {
    (): "a mapping of keys: name, dataset, grid",
    ("grid",): "a mapping of parameters, such as model and prompt, to their values",
    ("zip",): "a list of groups, such as [{temperature: [0, 1], seed: [1, 2]}]",
    ("exclude",): "a list of what to leave out, such as [{temperature: 1}]",
    ("run",): "a mapping of options, such as {max_concurrency: 32}",
    **{("run", n): o.number for n, o in OPTIONS.items() if o.type in (int, float)},
    ("run", "require"): "a mapping, such as {better_than: plain, score: exact}",
    ("repeats",): "an integer >= 1",
    ("run", "prices"): "a mapping of models to prices, or the name of a TOML file",
}
ALL_THROUGH: dict[tuple[Any, ...], str] = {
    ("dataset",): "the name of a file, or a list of cases",
    ("output",): "the name of a file, or a list of them",
    ("scorers",): "the name of a scorer, or {name: value}",
    ("capabilities",): "true, false or a name, by model and parameter",
}
"""What is expected at one place, or anywhere under a key."""

MISSING = {
    "run.require.better_than": "name the baseline, such as `better_than: plain`",
    "name": "give the experiment a name, such as `name: triage`",
    "dataset": "name a file, such as `dataset: cases.csv`, or list the cases",
    "grid": "list the values of `model` and `prompt` under it",
}


def _is_place(part: Any, loc: tuple[Any, ...]) -> bool:
    """Whether a part of pydantic's location stands in the file; names of the
    alternatives that it tried do not."""
    if isinstance(part, int):
        return True
    alternatives = ("str", "list", "dict", "DatasetModel", "bool", "constrained-str")
    return not (part in alternatives or "[" in part) or loc[:1] == (part,)


def _keys(place: tuple[Any, ...]) -> list[str]:
    inner: dict[tuple[Any, ...], type[BaseModel]] = {
        ("run",): RunModel,
        ("run", "require"): Require,
        ("dataset",): DatasetModel,
    }
    model = inner.get(place, ConfigModel)
    return [field.alias or name for name, field in model.model_fields.items()]


# Parts of a config.


def _scorers(given: Sequence[Any], source: YamlFile, folder: _Folder) -> list[Any]:
    """The scorers that a config lists."""
    if not given:
        return []
    from promptlab.scoring import checks  # noqa: F401 - all named ones register
    from promptlab.scoring.named import made

    scorers = []
    for number, one in enumerate(given):
        try:
            scorers.append(made(_with_functions(one, folder)))
        except SpecError as error:
            at = ("scorers", number) if isinstance(source.plain, dict) else (number,)
            where = f"{source.path}{source.line(at)}"
            raise ConfigError(f"{where}: scorers: {error}") from error
    return scorers


def _with_functions(given: Any, folder: _Folder) -> Any:
    """A scorer as it is written, with each `{python: file.py:function}` in it as that
    function."""
    if isinstance(given, list):
        return [_with_functions(item, folder) for item in given]
    if not isinstance(given, dict):
        return given
    if list(given) == ["python"]:
        return _function(given["python"], folder)
    return {name: _with_functions(value, folder) for name, value in given.items()}


def _function(given: Any, folder: _Folder) -> Any:
    """A function of a file of Python: `checks.py:polite`."""
    file, colon, name = str(given).rpartition(":")
    if not colon or not file.endswith(".py"):
        raise SpecError(f"python: expected file.py:function, got {brief(given)}")
    path = folder.file(file)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise SpecError(f"python: {path} is not a file of Python")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise SpecError(f"python: {path}: {type(error).__name__}: {error}") from error
    function = getattr(module, name, None)
    if function is None:
        names = [n for n in vars(module) if callable(vars(module)[n])]
        raise SpecError(f"python: {path} has no {name!r}{did_you_mean(name, names)}")
    return function


def _without_empty(plain: Any) -> Any:
    """A config without the optional keys that nothing follows, as when the lines under
    `run:` are comments, and without `x-` keys, which hold what anchors name."""
    if not isinstance(plain, dict):
        return plain
    optional = [key for key in _keys(()) if key not in MISSING]
    return {
        key: value
        for key, value in plain.items()
        if not key.startswith("x-") and (value is not None or key not in optional)
    }


VARIABLE = re.compile(r"\$\{[A-Za-z_]\w*\}")

NO_VARIABLE = {
    ("run", "api_key_env"): "give the name of the variable, without ${}",
    ("run", "headers"): "write the value, or pass headers= to run in Python",
}


def _check_variables(source: YamlFile, model: ConfigModel) -> None:
    """Refuses `${VARIABLE}` wherever it would be sent, or taken, as it stands.

    Prompts, system messages and inputs of cases are texts that may hold it.
    """
    groups: dict[tuple[Any, ...], Mapping[str, Any]] = {("grid",): model.grid}
    groups |= {("zip", number): group for number, group in enumerate(model.zip)}
    texts = [
        text
        for place, group in groups.items()
        for name, values in group.items()
        if name not in ("prompt", "system")
        for text in _strings(values, (*place, name), depth=1)
    ]
    texts += _strings(model.run.model_dump(exclude_none=True), ("run",), depth=9)
    texts += _strings(source.plain.get("dataset"), ("dataset",), depth=1)
    texts += _strings(source.plain.get("output"), ("output",), depth=1)
    for at, text in texts:
        if found := VARIABLE.search(text):
            hint = NO_VARIABLE.get(at[:2], "write the value itself")
            raise ConfigError(
                f"{source.path}{source.line(at)}: {'.'.join(map(str, at))}: "
                f"{found[0]} is not expanded in a config; {hint}"
            )


def _strings(
    value: Any, place: tuple[Any, ...], depth: int
) -> Iterator[tuple[tuple[Any, ...], str]]:
    """The strings in a value with their places, down to a depth."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, (dict, list)) and depth:
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            yield from _strings(item, (*place, key), depth - 1)


FILE = "file://"
"""What may stand before the name of a file, as in promptfoo's configs."""


@dataclass(frozen=True)
class _Folder:
    """The folder of a config, which the names of files are relative to."""

    path: Path
    read: list[Path] = field(default_factory=list)
    """The files that something is taken from."""

    def file(self, name: str) -> Path:
        """A file that something is to be read from."""
        self.read.append(self.path / user_path(name.removeprefix(FILE)))
        return self.read[-1]

    def text(self, name: str) -> str:
        """The text of a file."""
        return read_text(self.file(name), "utf-8-sig", LARGEST_CONFIG)


def _dataset(given: Any, folder: _Folder) -> Dataset:
    if isinstance(given, str):
        return read_dataset(folder.file(given), Dataset)
    if isinstance(given, DatasetModel):
        file = folder.file(given.file)
        read = read_dataset(file, Dataset, encoding=given.encoding).rename(given.rename)
        name, beside = read.name, read.folder
        return Dataset(read, name=name, folder=beside, metadata=given.metadata)
    cases = [
        {
            name: folder.text(value)
            if isinstance(value, str) and _file_of(value)
            else value
            for name, value in case.items()
        }
        for case in given
    ]
    return Dataset(cases, folder=folder.path.absolute())


def _with_inputs(dataset: Dataset, grid: Grid, inputs: Mapping[str, Any]) -> Dataset:
    systems = grid.levels("system") if "system" in grid.parameters else ()
    prompts = [level.value for level in grid.levels("prompt")]
    prompts += [Prompt("-").with_system(level.value) for level in systems]
    names = [*dataset.fields, *inputs]
    used = sorted({f for prompt in prompts for f in prompt.fields_among(names)})
    for name in inputs:
        if name not in used and name not in dataset.fields:
            hint = did_you_mean(name, [*used, *dataset.fields])
            raise SpecError(
                f"no prompt uses {name!r}, and no case of {dataset.name} has it"
                + (hint or f"; valid names: {', '.join(used) or 'none'}")
            )
    return dataset.with_inputs(**inputs)


def _values(name: str, given: Any, folder: _Folder) -> Any:
    """The values of a parameter, with what stands in files of its own."""
    asks = name in ("prompt", "system")
    try:
        _check_misspelt(name, given)
        if isinstance(given, Mapping):
            if asks and {"file"} <= set(given) <= {"file", "column", "name"}:
                return _many(name, given, folder)
            return {label: _value(name, v, folder) for label, v in given.items()}
        if asks and any(map(_file_of, given)):
            return {
                Path(_file_of(value) or f"{name}_{number}").stem: _value(
                    name, value, folder
                )
                for number, value in enumerate(given, start=1)
            }
        return [_value(name, value, folder) for value in given]
    except SpecError as error:
        error.at = error.at or (name,)
        raise


def _many(name: str, given: Mapping[str, Any], folder: _Folder) -> Any:
    """The values of a parameter that stand in one file."""
    path = folder.file(str(given["file"]))
    columns = {n: str(given[n]) if n in given else None for n in ("column", "name")}
    if name == "prompt":
        return read_prompts(path, Prompt, **columns)
    return read_texts(path, name, **columns)


def _file_of(value: Any) -> str | None:
    """The file that a value names, `file://x.md` or `{file: x.md}`."""
    if isinstance(value, str):
        return value if value.startswith(FILE) and "\n" not in value else None
    named = isinstance(value, dict) and set(value) == {"file"}
    return str(value["file"]) if named else None


FILE_NAME = re.compile(r"\S+\.[A-Za-z]\w{0,7}")


def _check_misspelt(name: str, given: Any) -> None:
    """Refuses `{fle: x.md}` for what it was to be: a file."""
    asks = name in ("prompt", "system") and isinstance(given, dict)
    if asks and "file" not in given:
        for key, value in given.items():
            is_file = isinstance(value, str) and FILE_NAME.fullmatch(value)
            if is_file and (hint := did_you_mean(key, ["file"])):
                raise SpecError(f"{name}: unknown key {key!r} for {value!r}{hint}")


def _value(name: str, value: Any, folder: _Folder) -> Any:
    _check_misspelt(name, value)
    worded = value.get("wordings") if isinstance(value, dict) else None
    if name == "prompt" and isinstance(worded, dict):
        read = {label: _value(name, one, folder) for label, one in worded.items()}
        return {**value, "wordings": read}
    if (file := _file_of(value)) is None:
        if name == "prompt" and isinstance(value, list):
            return Prompt(value).beside(folder.path.absolute())
        return value
    if name == "prompt":
        return Prompt.from_file(folder.file(file))
    if name == "system":
        return folder.text(file).removesuffix("\n")
    return YamlFile.read(folder.file(file)).plain
