"""The user's files: config.yaml, prompts, and datasets in YAML or files of rows.

A file is read, checked and turned into plain frozen data here, once. Whatever is wrong
with it is one `ConfigError` or `DatasetError` that says the file, the line, what was
found and what would do. YAML is 1.2: `no` and `off` are texts, and no tag is obeyed.
"""

from __future__ import annotations

import datetime
import re
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    ValidationError,
)

from promptlab.errors import (
    ConfigError,
    DatasetError,
    PromptlabWarning,
    SpecError,
    a_number,
    brief,
    did_you_mean,
)
from promptlab.files.rows import ENDINGS, Rows, ending_of, read_rows, read_text
from promptlab.money.price_file import prices_in_force
from promptlab.paths import user_path
from promptlab.spec.dataset import Dataset
from promptlab.spec.experiment import Experiment
from promptlab.spec.grid import KNOWN, Grid
from promptlab.spec.prompt import Prompt

LARGEST_CONFIG = 20_000_000
"""Bytes of a config or prompt file; datasets may be of any size."""

SLOW_YAML = 1_000_000
"""Characters of YAML from which on reading takes so long that it is said."""

DEEPEST = 50
MOST_VALUES = 2_000_000
"""Of a YAML file: how deep it may nest, and how many values its aliases may make."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """What a config file says."""

    path: Path
    experiment: Experiment
    options: Mapping[str, Any]
    """The options of `run`."""
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
    source = _Source.read(path)
    try:
        model = ConfigModel.model_validate(_said(source.plain))
    except ValidationError as error:
        raise _explained(error, source) from error
    folder = path.parent
    _check_variables(source, model)
    with source.blamed("dataset"):
        dataset = _dataset(model.dataset, folder)
    with source.blamed("grid"):
        for name in {"zip", "exclude"} & set(model.grid):
            raise SpecError(f"{name!r} goes beside 'grid', not into it", at=(name,))
        grid = Grid(
            **{
                name: _values(name, given, folder) for name, given in model.grid.items()
            },
            zip=[
                {name: _values(name, given, folder) for name, given in group.items()}
                for group in model.zip
            ],
            exclude=model.exclude,
        )
    if inputs:
        dataset = _with_inputs(dataset, grid, inputs)
    with source.blamed():
        experiment = Experiment(
            model.name,
            grid=grid,
            dataset=dataset,
            repeats=model.repeats,
            capabilities=model.capabilities or None,
        )
    options = model.run.model_dump(exclude_none=True)
    for name in ("cache", "env_file"):
        if name in options:
            options[name] = _path(folder, options[name])
    if isinstance(options.get("prices"), str):
        options["prices"] = _path(folder, options["prices"])
    with source.blamed("run", "prices"):
        prices_in_force(options.get("prices", {}))
    outputs = [model.output] if isinstance(model.output, str) else model.output
    return Config(
        path=path,
        experiment=experiment,
        options=options,
        output=tuple(_path(folder, output) for output in outputs),
        files=(path, *(_path(folder, name) for name in _named(model))),
        description=model.description,
    )


def read_prompt(path: str | Path) -> Prompt:
    """The prompt in a file: YAML or JSON hold a list of messages, others a text.

    Raises:
        ConfigError: it cannot be read, or is no prompt.
    """
    path = user_path(path)
    if path.suffix.lower() in (".yaml", ".yml", ".json"):
        source = _Source.read(path)
        with source.blamed():
            return Prompt(source.plain)
    text = read_text(path, "utf-8-sig", LARGEST_CONFIG)
    try:
        return Prompt(text)
    except SpecError as error:
        raise ConfigError(f"{path}: {error}") from error


def read_prompts(
    path: str | Path, *, column: str | None = None, name: str | None = None
) -> dict[str, Prompt]:
    """The prompts in a file, by their names: those of a column, or the parts of a text
    between lines of `---`.

    Names stand in the column `name`; without one they are prompt_1, prompt_2, ...

    Raises:
        ConfigError: it cannot be read, has no such column, or a part is no prompt.
    """
    path = user_path(path)
    prompts = {}
    for label, text in _parts(path, "prompt", column, name).items():
        try:
            prompts[label] = Prompt(text)
        except SpecError as error:
            raise ConfigError(f"{path}, {label}: {error}") from error
    return prompts


def read_dataset(
    path: str | Path,
    *,
    encoding: str | None = None,
    metadata: Collection[str] = (),
) -> Dataset:
    """The cases in a file; its ending says how they are written.

    CSV and TSV hold texts only; Excel, JSONL, JSON, YAML and Parquet keep their types.
    A blank cell is a missing value; blank rows are left out, with a warning.

    Raises:
        DatasetError: an unknown ending, a file that cannot be read, a row that is not
            a case; the message names the line.
    """
    path = user_path(path)
    try:
        rows = _rows(path, encoding or "utf-8-sig")
    except ConfigError as error:
        raise DatasetError(str(error)) from error
    return Dataset(rows, name=path.name, metadata=metadata)


def _rows(path: Path, encoding: str) -> Rows:
    ending = ending_of(path)
    if ending in ENDINGS:
        return read_rows(path, encoding)
    if ending not in (".yaml", ".yml"):
        raise ConfigError(
            f"{path}: expected a {', '.join(ENDINGS)} or .yaml file, those of text "
            f"may be packed as in .csv.gz, got {ending or 'one without an ending'!r}"
        )
    rows = _Source.read(path, encoding).plain
    if not isinstance(rows, list):
        raise ConfigError(f"{path}: expected a list of cases, got {brief(rows)}")
    return rows


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


def _grid_schema(schema: dict[str, Any]) -> None:
    """Tells editors the names of the parameters."""
    values = schema.get("additionalProperties", {})
    schema["properties"] = dict.fromkeys(KNOWN, values)
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


Amount = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]


class RunModel(_Strict):
    """How it is run; command-line options win over these."""

    base_url: StrictStr | None = Field(None, description="Where requests are sent.")
    api_key_env: StrictStr | dict[StrictStr, StrictStr] | None = Field(
        None,
        description="The environment variable with the key, never the key itself; or "
        "that of each base URL.",
    )
    env_file: StrictStr | None = Field(None, description="A file of variables.")
    headers: dict[StrictStr, StrictStr | dict[StrictStr, StrictStr]] | None = Field(
        None, description="Further headers of every request, or those of each base URL."
    )
    max_concurrency: StrictInt | None = Field(
        None, ge=1, description="The most calls in flight at once; 32 if not given."
    )
    rpm: StrictFloat | None = Field(
        None, gt=0, description="The most requests a minute, of each model."
    )
    tpm: StrictFloat | None = Field(
        None, gt=0, description="The most tokens a minute, of each model."
    )
    leader_first: StrictBool | None = Field(
        None,
        description="Of calls that begin alike, whether one is answered before the "
        "others are sent, so that the provider's prompt cache serves them; true.",
    )
    timeout_s: StrictFloat | None = Field(None, gt=0, description="Of one call; 600.")
    max_attempts: StrictInt | None = Field(None, ge=1, description="Of one call; 6.")
    max_wait_s: StrictFloat | None = Field(
        None, ge=0, description="Between the attempts of a call, all in all; 300."
    )
    budget_usd: Amount | None = Field(
        None, description="The most that a run may spend, in US dollars."
    )
    budget_tokens: Annotated[Amount, Field(multiple_of=1)] | None = Field(
        None, description="The most that a run may take, input and output."
    )
    cache: StrictStr | None = Field(None, description="The folder of the cache.")
    prices: dict[StrictStr, dict[StrictStr, Any]] | StrictStr | None = Field(
        None,
        description="A TOML file of own prices, or these by model or pattern: input, "
        "output, cached_input, cache_write, in US dollars for a million tokens, "
        "valid_from, long_from and long, and rates of batch, flex, priority, fast.",
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
    capabilities: dict[str, dict[str, StrictBool | StrictStr]] = Field(
        default={},
        description="By model and parameter: true, false, or its name on the wire.",
    )
    run: RunModel = Field(default_factory=RunModel)
    output: StrictStr | list[StrictStr] = Field(
        default=[], description="Files for the results: .csv .xlsx .jsonl .parquet"
    )


MOVED = {
    "api_key": "a key does not belong in a file; set OPENAI_API_KEY, or name another "
    "variable in run.api_key_env",
    "allow_insecure": "a file cannot allow that; if you trust the server, pass "
    "--allow-insecure, or allow_insecure=True in Python",
    "evaluateOptions": "promptlab has 'run' and 'repeats'",
    "models": "it is 'model', under 'grid'",
    "outputPath": "it is 'output'",
    "outputs": "it is 'output'",
    "prompts": "it is 'prompt', under 'grid'",
    "providers": "it is 'model', under 'grid'",
    "tests": "it is 'dataset'",
}
MOVED |= dict.fromkeys(KNOWN, "it goes under 'grid'")
MOVED |= dict.fromkeys(RunModel.model_fields, "it goes under 'run'")
"""Keys that people bring from elsewhere, and where they belong."""

NEVER = ("api_key", "allow_insecure")
"""Those that no file may have, wherever they stand."""


@dataclass(frozen=True)
class _Source:
    """A YAML or JSON file: its values, and the lines that they stand on."""

    path: Path
    plain: Any
    lines: Mapping[tuple[Any, ...], int]

    @classmethod
    def read(cls, path: Path, encoding: str = "utf-8-sig") -> _Source:
        """Reads a file; raises `ConfigError` where it cannot be."""
        from ruamel.yaml import YAML
        from ruamel.yaml.error import MarkedYAMLError, YAMLError

        text = read_text(path, encoding, LARGEST_CONFIG)
        if len(text) > SLOW_YAML:
            warnings.warn(
                f"{path}: {len(text) / 1e6:.1f} MB of YAML may take a minute to read; "
                "cases in a JSONL file are read in a second",
                PromptlabWarning,
                stacklevel=2,
            )
        try:
            yaml = YAML(typ="rt", pure=True)
            yaml.composer.warn_double_anchors = False  # YAML allows them
            tree = yaml.load(text)
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = f", line {mark.line + 1}" if mark else ""
            problem = " ".join(str(error.problem or error.context or error).split())
            hint = next((h for said, h in YAML_HINTS.items() if said in problem), "")
            raise ConfigError(
                f"{path}{line}: not valid YAML: {problem}{hint}"
            ) from error
        except (
            YAMLError,
            ValueError,
            RecursionError,
            AttributeError,
            TypeError,
            KeyError,
            IndexError,
            AssertionError,
            NotImplementedError,
        ) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ConfigError(f"{path}: not valid YAML: {reason}") from error
        if tree is None:
            raise ConfigError(f"{path} is empty")
        reader = _TreeReader(path)
        plain = reader.plain(tree, ())
        return cls(path, plain, reader.lines)

    def line(self, place: Sequence[Any]) -> str:
        """`, line 7` for the innermost part of a place that stands on a line."""
        return _line(self.lines, place)

    def blamed(self, *default: str) -> _Blamed:
        """Turns a `SpecError` inside into a `ConfigError` that says the line."""
        return _Blamed(self, default)


def _line(lines: Mapping[tuple[Any, ...], int], place: Sequence[Any]) -> str:
    for end in range(len(place), 0, -1):
        if (line := lines.get(tuple(place[:end]))) is not None:
            return f", line {line}"
    return ""


@dataclass(frozen=True)
class _Blamed:
    source: _Source
    default: tuple[str, ...]

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if not isinstance(error, SpecError):
            return
        source = self.source
        missing = _is_missing_file(error)
        if isinstance(error, ConfigError) and not missing:
            return  # it says where in a file of its own
        if isinstance(error, DatasetError) and not missing:
            if isinstance(source.plain["dataset"], list):
                where = source.line(("dataset",))
                raise ConfigError(f"{source.path}{where}: {error}") from error
            return  # it names the file that the cases are in
        places: list[tuple[Any, ...]] = []
        if error.at:
            groups = range(len(source.plain.get("zip") or ()))
            zipped = [("zip", group, *error.at) for group in groups]
            own = (*self.default, *error.at)
            places = [own, ("grid", *error.at), *zipped, error.at]
        known = [
            p for p in places if p[: 3 if p[:1] == ("zip",) else 2] in source.lines
        ]
        where = source.line(known[0] if known else self.default)
        raise ConfigError(f"{source.path}{where}: {error}") from error


def _is_missing_file(error: BaseException) -> bool:
    """Whether it comes of a file that a config names and that cannot be read."""
    cause = error.__cause__
    return isinstance(cause, OSError) or (cause is not None and _is_missing_file(cause))


class _TreeReader:
    """Turns ruamel's tree into plain values, and notes their lines."""

    def __init__(self, path: Path) -> None:
        self.lines: dict[tuple[Any, ...], int] = {}
        self._path = path
        self._left = MOST_VALUES

    def plain(self, value: Any, place: tuple[Any, ...]) -> Any:
        self._left -= 1
        if len(place) > DEEPEST:
            where = _line(self.lines, place)
            raise ConfigError(f"{self._path}{where}: nested more than {DEEPEST} deep")
        if self._left < 0:
            raise ConfigError(f"{self._path}: more than {MOST_VALUES:,} values")
        if isinstance(value, dict):
            return {
                self._key(value, key): self._member(value, key, item, place)
                for key, item in value.items()
            }
        if isinstance(value, list):
            return [
                self._item(value, number, item, place)
                for number, item in enumerate(value)
            ]
        return self._scalar(value, place)

    def _key(self, owner: Any, key: Any) -> str:
        if isinstance(key, (str, int, float)) and not isinstance(key, bool):
            return str(key)
        known = hasattr(owner, "lc") and key in (owner.lc.data or {})
        where = f", line {owner.lc.key(key)[0] + 1}" if known else ""
        if isinstance(key, Mapping):
            raise ConfigError(
                f"{self._path}{where}: text that begins with {{{{ stands in quotes: "
                '"{{field}} ..."'
            )
        raise ConfigError(
            f"{self._path}{where}: expected a string, got {brief(key)}; quote it"
        )

    def _member(self, owner: Any, key: Any, item: Any, place: tuple[Any, ...]) -> Any:
        here = (*place, self._key(owner, key))
        if hasattr(owner, "lc") and key in (owner.lc.data or {}):
            self.lines[here] = owner.lc.key(key)[0] + 1
        return self.plain(item, here)

    def _item(self, owner: Any, number: int, item: Any, place: tuple[Any, ...]) -> Any:
        here = (*place, number)
        if hasattr(owner, "lc") and number in (owner.lc.data or {}):
            self.lines[here] = owner.lc.item(number)[0] + 1
        return self.plain(item, here)

    def _scalar(self, value: Any, place: tuple[Any, ...]) -> Any:
        if value is None or isinstance(value, bool):
            return value
        if type(value).__name__ == "ScalarBoolean":
            return bool(value)
        for kind in (str, int, float):
            if isinstance(value, kind):
                return kind(value)
        if isinstance(value, (datetime.date, datetime.time)):
            return value.isoformat()
        name = ".".join(map(str, place)) or "the file"
        where = _line(self.lines, place)
        raise ConfigError(
            f"{self._path}{where}: {name}: a value of an unknown kind (a tag?)"
        )


def _explained(error: ValidationError, source: _Source) -> ConfigError:
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
        hint = f"; {MOVED[key]}" if len(place) == 1 and key in MOVED else ""
        hint = hint or did_you_mean(key, known) or f"; there are {', '.join(known)}"
        if key in NEVER:
            hint = f"; {MOVED[key]}"
        return ConfigError(f"{where}: unknown key {name!r}{hint}")
    if found["type"] == "missing":
        return ConfigError(
            f"{where}: {name!r} is missing; {MISSING.get(name, 'add it')}"
        )
    given = found["input"]
    in_grid = place[:1] in (("grid",), ("zip",)) and len(place) > 1
    if in_grid and isinstance(place[-1], str) and not isinstance(given, (list, dict)):
        return ConfigError(f"{where}: {name}: {_one_value(str(place[-1]), given)}")
    meant = EXPECTED.get(place) or ALL_THROUGH.get(place[:1]) or _number(place)
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
    ("run", "budget_usd"): "a number >= 0",
    ("run", "budget_tokens"): "an integer >= 0",
    ("run", "prices"): "a mapping of models to prices, or the name of a TOML file",
}
ALL_THROUGH: dict[tuple[Any, ...], str] = {
    ("dataset",): "the name of a file, or a list of cases",
    ("output",): "the name of a file, or a list of them",
    ("capabilities",): "true, false or a name, by model and parameter",
}
"""What is meant at one place, or anywhere under a key, in words of our own."""

YAML_HINTS = {
    "'\\t'": "; indent with spaces, not tabs",
    "but got '{'": "; text that holds braces stands in quotes",
    "mapping values are not allowed": "; text that holds a colon stands in quotes",
    "unknown escape character": "; put text with backslashes in single quotes, or "
    "write / in paths",
}
"""What to do about what the YAML parser says."""

MISSING = {
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


def _number(place: tuple[Any, ...]) -> str:
    """What number is meant at a place; empty where none is."""
    field = _model(place[:-1]).model_fields.get(str(place[-1])) if place else None
    for bound in field.metadata if field else ():
        for name in ("ge", "gt"):
            if (low := getattr(bound, name, None)) is not None:
                whole = "int" in str(field and field.annotation)
                return a_number(low, whole=whole, above=name == "gt")
    return ""


def _keys(place: tuple[Any, ...]) -> list[str]:
    return [f.alias or name for name, f in _model(place).model_fields.items()]


def _model(place: tuple[Any, ...]) -> type[BaseModel]:
    """That of what stands at a place."""
    inner: dict[Any, type[BaseModel]] = {"run": RunModel, "dataset": DatasetModel}
    return inner.get(place[0], ConfigModel) if place else ConfigModel


# Parts of a config.


def _said(plain: Any) -> Any:
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
    ("run", "api_key_env"): "it is the name of a variable itself, without ${}",
    ("run", "headers"): "write the value, or pass headers= to run in Python",
}


def _check_variables(source: _Source, model: ConfigModel) -> None:
    """Refuses `${VARIABLE}` wherever it would be sent, or taken, as it stands.

    Prompts and system messages are texts of their own, which may hold it.
    """
    groups: list[tuple[tuple[Any, ...], Mapping[str, Any]]] = [(("grid",), model.grid)]
    groups += [(("zip", number), group) for number, group in enumerate(model.zip)]
    given: dict[tuple[Any, ...], Any] = {
        (*place, name): values
        for place, group in groups
        for name, values in group.items()
        if name not in ("prompt", "system")
    }
    given[("run",)] = model.run.model_dump(exclude_none=True)
    given |= {(name,): source.plain.get(name) for name in ("dataset", "output")}
    for place, values in given.items():
        deep = place[0] in ("run", "output")
        for at, text in _texts(values, place, deep=deep):
            if found := VARIABLE.search(text):
                hint = NO_VARIABLE.get(at[:2], "write the value itself")
                raise ConfigError(
                    f"{source.path}{source.line(at)}: {'.'.join(map(str, at))}: "
                    f"{found[0]} is not replaced by a variable of the environment; "
                    f"{hint}"
                )


def _texts(
    value: Any, place: tuple[Any, ...], *, deep: bool, level: int = 0
) -> Iterator[tuple[tuple[Any, ...], str]]:
    """The texts in a value, with their places; those further in only where `deep`."""
    if isinstance(value, str):
        yield place, value
    elif deep or level == 0:
        items: Iterable[tuple[Any, Any]] = ()
        if isinstance(value, dict):
            items = value.items()
        elif isinstance(value, list):
            items = enumerate(value)
        for key, item in items:
            yield from _texts(item, (*place, key), deep=deep, level=level + 1)


def _named(model: ConfigModel) -> Iterator[str]:
    """The names of the files that a config takes something from."""
    if isinstance(model.dataset, DatasetModel):
        yield model.dataset.file
    elif isinstance(model.dataset, str):
        yield model.dataset
    else:
        inputs = (value for case in model.dataset for value in case.values())
        yield from (i for i in inputs if isinstance(i, str) and _names_file(i))
    for group in (model.grid, *model.zip):
        for name, given in group.items():
            if isinstance(given, dict) and _names_many(name, given):
                yield str(given["file"])
                continue
            values = given.values() if isinstance(given, dict) else given
            yield from (_file_of(value) for value in values if _names_file(value))
    if model.run.env_file is not None:
        yield model.run.env_file
    if isinstance(model.run.prices, str):
        yield model.run.prices


def _dataset(given: Any, folder: Path) -> Dataset:
    if isinstance(given, str):
        return read_dataset(_path(folder, given))
    if isinstance(given, DatasetModel):
        file = _path(folder, given.file)
        read = read_dataset(file, encoding=given.encoding).rename(given.rename)
        return Dataset(read, name=read.name, metadata=given.metadata)
    return Dataset(
        {name: _input(value, folder) for name, value in case.items()} for case in given
    )


def _input(value: Any, folder: Path) -> Any:
    """An input that stands in the config; the text of the file that it names."""
    if not (isinstance(value, str) and _names_file(value)):
        return value
    return read_text(_path(folder, value), "utf-8-sig", LARGEST_CONFIG)


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
                + (hint or f"; prompts use {', '.join(used) or 'no field'}")
            )
    return dataset.with_inputs(**inputs)


def _values(name: str, given: Any, folder: Path) -> Any:
    """The values of a parameter, with what stands in files of its own."""
    _check_misspelt(name, given)
    if _names_many(name, given):
        return _many(name, given, folder)
    if isinstance(given, Mapping):
        return {label: _value(name, value, folder) for label, value in given.items()}
    if name in ("prompt", "system") and any(_names_file(value) for value in given):
        return {
            _label(name, value, number): _value(name, value, folder)
            for number, value in enumerate(given, start=1)
        }
    return [_value(name, value, folder) for value in given]


def _names_many(name: str, given: Any) -> bool:
    """Whether all values of a parameter stand in one file."""
    return (
        name in ("prompt", "system")
        and isinstance(given, Mapping)
        and {"file"} <= set(given) <= {"file", "column", "name"}
    )


def _many(name: str, given: Mapping[str, Any], folder: Path) -> Any:
    path = _path(folder, str(given["file"]))
    columns = {n: str(given[n]) for n in ("column", "name") if n in given}
    try:
        if name == "prompt":
            return read_prompts(path, **columns)
        return _parts(path, name, columns.get("column"), columns.get("name"))
    except SpecError as error:
        error.at = (name,)
        raise


DIVIDER = re.compile(r"^---[ \t]*$", re.MULTILINE)
"""The line between two prompts in a file of text."""


def _parts(
    path: Path, kind: str, column: str | None, name: str | None
) -> dict[str, str]:
    """The texts in a file, by their names."""
    if ending_of(path) not in ENDINGS:
        for given in (column, name):
            if given is not None:
                raise ConfigError(f"{path} has no column {given!r}: it is no table")
        text = read_text(path, "utf-8-sig", LARGEST_CONFIG)
        parts = [part.strip("\n") for part in DIVIDER.split(text) if part.strip()]
        if not parts:
            raise ConfigError(f"{path} is empty")
        return {f"{kind}_{n}": part for n, part in enumerate(parts, start=1)}
    rows = [row for row in read_rows(path) if isinstance(row, Mapping)]
    column = _column(path, rows, column, name)
    texts: dict[str, str] = {}
    for number, row in enumerate(rows, start=1):
        label = f"{kind}_{number}" if name is None else row.get(name)
        where = f"{path}, row {number}"
        if not isinstance(row.get(column), str):
            found = brief(row.get(column))
            raise ConfigError(f"{where}: {column!r}: expected a string, got {found}")
        if label is None or str(label) in texts:
            problem = "has no name" if label is None else f"is called {label!r} too"
            raise ConfigError(f"{where} {problem}; give each its own in {name!r}")
        texts[str(label)] = row[column]
    return texts


def _column(path: Path, rows: Rows, column: str | None, name: str | None) -> str:
    """The column that holds the texts: the one that is named, or the only one beside
    that of names."""
    have = list(dict.fromkeys(key for row in rows for key in row))
    for given in filter(None, (column, name)):
        if given not in have:
            hint = did_you_mean(given, have) or f"; it has {', '.join(have)}"
            raise ConfigError(f"{path} has no column {given!r}{hint}")
    others = [key for key in have if key != name]
    if column is None and len(others) != 1:
        raise ConfigError(f"{path} has {', '.join(have)}; name the one with `column`")
    return column or others[0]


FILE = "file://"
"""What may stand before the name of a file, as in promptfoo's configs."""


def _names_file(value: Any) -> bool:
    if isinstance(value, str):
        return value.startswith(FILE) and "\n" not in value
    return isinstance(value, dict) and set(value) == {"file"}


def _file_of(value: Any) -> str:
    return value if isinstance(value, str) else str(value["file"])


def _path(folder: Path, name: str) -> Path:
    """A file that a config names: relative to the config's folder."""
    return folder / user_path(name.removeprefix(FILE))


def _label(name: str, value: Any, number: int) -> str:
    return Path(_file_of(value)).stem if _names_file(value) else f"{name}_{number}"


FILE_NAME = re.compile(r"\S+\.[A-Za-z]\w{0,7}")


def _check_misspelt(name: str, given: Any) -> None:
    """Refuses `{fle: x.md}` for what it was to be: a file."""
    asks = name in ("prompt", "system") and isinstance(given, dict)
    if asks and "file" not in given:
        for key, value in given.items():
            is_file = isinstance(value, str) and FILE_NAME.fullmatch(value)
            if is_file and (hint := did_you_mean(key, ["file"])):
                raise SpecError(
                    f"{name}: unknown key {key!r} for {value!r}{hint}", at=(name,)
                )


def _value(name: str, value: Any, folder: Path) -> Any:
    _check_misspelt(name, value)
    if not _names_file(value):
        return value
    try:
        return _read_value(name, _path(folder, _file_of(value)))
    except SpecError as error:
        error.at = (name,)
        raise


def _read_value(name: str, path: Path) -> Any:
    if name == "prompt":
        return read_prompt(path)
    if name == "system":
        return read_text(path, "utf-8-sig", LARGEST_CONFIG).removesuffix("\n")
    return _Source.read(path).plain
