"""Configs: what they say, and every mistake with its line."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

import promptlab as pl
from promptlab.errors import ConfigError, DatasetError
from promptlab.files.config import config_schema, load_config

from .conftest import BASE, Load, Write

PACKAGE = Path(pl.__file__).parent
STARTER = (PACKAGE / "starter.yaml").read_text("utf-8")
SHIPPED = sorted((PACKAGE.parent / "datasets").glob("*/experiment.yaml"))


def test_a_config_is_an_experiment_and_how_to_run_it(
    tmp_path: Path, load: Load
) -> None:
    config = load(
        BASE
        + "description: A try\nrepeats: 3\n"
        + "exclude: [{temperature: 1}]\n"
        + "capabilities: {m: {temperature: true, max_tokens: limit}}\n"
        + "run: {max_concurrency: 4, cache: shared, env_file: keys.env}\n"
        + "output: [out/a.csv, b.jsonl]\n"
    )

    assert config.description == "A try"
    assert config.experiment.size == "1 variant × 1 case × 3 repeats = 3 trials"
    assert config.experiment.capabilities == {
        "m": {"temperature": True, "max_tokens": "limit"}
    }
    assert config.options == {
        "max_concurrency": 4,
        "cache": tmp_path / "shared",
        "env_file": tmp_path / "keys.env",
    }
    assert config.output == (tmp_path / "out/a.csv", tmp_path / "b.jsonl")


def test_one_output_needs_no_list(tmp_path: Path, load: Load) -> None:
    assert load(BASE + "output: a.csv\n").output == (tmp_path / "a.csv",)


def test_a_config_says_what_python_says(load: Load) -> None:
    loaded = load(BASE + "zip:\n  - seed: [1, 2]\n    top_p: [0.5, 1]\n").experiment

    made = pl.Experiment(
        "letters",
        grid=pl.Grid(
            model=["m"],
            prompt={"plain": "{{t}}"},
            temperature=[0, 1],
            zip=[{"seed": [1, 2], "top_p": [0.5, 1]}],
        ),
        dataset=[{"t": "a"}],
    )
    assert loaded.to_plain() == made.to_plain()


def test_a_prompt_has_wordings_some_in_files_others_drawn(
    load: Load, write: Write
) -> None:
    write("kind.md", "Please read: {{t}}")
    worded = (
        "{wordings: {as written: 'Text: {{t}}', kind: {file: kind.md}}, formats: 2}"
    )

    loaded = load(BASE.replace('"{{t}}"', worded)).experiment

    (level,) = dict.fromkeys(v.levels["prompt"].label for v in loaded.grid)
    drawn = pl.Wordings("Text: {{t}}", formats=2, paraphrases={"kind": "-"})
    assert level == "plain"
    assert list(dict.fromkeys(v["wording"] for v in loaded.grid)) == [*drawn.prompts]
    assert "Please read: {{t}}" in json.dumps(loaded.to_plain()["grid"])


def test_a_misspelt_key_beside_wordings_is_refused_by_its_line(load: Load) -> None:
    worded = "{wordings: {as written: 'Text: {{t}}'}, format: 2}"

    with pytest.raises(ConfigError, match=r"'format' beside 'wordings'.*'formats'"):
        load(BASE.replace('"{{t}}"', worded))


def test_a_config_may_be_json(write: Write) -> None:
    plain = {
        "$schema": "experiment.schema.json",
        "name": "letters",
        "dataset": [{"t": "a"}],
        "grid": {"model": ["m"], "prompt": ["{{t}}"]},
    }

    loaded = pl.load_experiment(write("experiment.json", json.dumps(plain, indent=1)))

    assert loaded.name == "letters"


def test_files_are_relative_to_the_config(
    write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write("project/data/cases.csv", "t\na\n")
    write("project/prompts/plain.md", "Hi {{t}}\n")
    write("project/prompts/chat.yaml", "- {role: user, content: '{{t}}?'}\n")
    write("project/prompts/agent.txt", "You route.\n")
    path = write(
        "project/experiment.yaml",
        "name: files\n"
        "dataset: data/cases.csv\n"
        "grid:\n"
        "  model: [m]\n"
        "  prompt:\n"
        "    plain: {file: prompts/plain.md}\n"
        "    chat: {file: prompts/chat.yaml}\n"
        "  system: {none: null, agent: {file: prompts/agent.txt}}\n",
    )
    monkeypatch.chdir(tmp_path)

    loaded = pl.load_experiment(path.relative_to(tmp_path))

    assert [
        (q.labels["prompt"], q.labels["system"], q.prompt.turns({"t": "a"})[0])
        for q in loaded.effective_variants
    ] == [
        ("plain", "none", ({"role": "user", "content": "Hi a"},)),
        (
            "plain",
            "agent",
            (
                {"role": "system", "content": "You route."},
                {"role": "user", "content": "Hi a"},
            ),
        ),
        ("chat", "none", ({"role": "user", "content": "a?"},)),
        (
            "chat",
            "agent",
            (
                {"role": "system", "content": "You route."},
                {"role": "user", "content": "a?"},
            ),
        ),
    ]


def test_prompts_in_a_list_of_files_are_called_after_them(
    write: Write, load: Load
) -> None:
    write("plain.md", "{{t}}")

    config = load(BASE.replace('{plain: "{{t}}"}', "[{file: plain.md}, 'Hi {{t}}']"))

    levels = config.experiment.grid.levels("prompt")
    assert [level.label for level in levels] == ["plain", "prompt_2"]


def test_a_name_after_file_is_a_file_as_in_promptfoo(
    write: Write, load: Load, tmp_path: Path
) -> None:
    write("prompts/plain.md", "Hi {{t}}: {{long}}")
    write("cases.csv", "t\na\n")
    write("long.txt", "a long text")
    text = BASE.replace('{plain: "{{t}}"}', "[file://prompts/plain.md]")

    inline = load(text.replace("{t: a}", "{t: a, long: file://long.txt}"))
    listed = load(
        BASE.replace("\n  - {t: a}", " file://cases.csv")
        + f"  system: [null, file://{tmp_path / 'long.txt'}]\n"
    )

    (first, *_) = inline.experiment.trials
    assert first.variant.labels["prompt"] == "plain"
    assert first.turns[0][0]["content"] == "Hi a: a long text"
    assert [file.name for file in inline.files] == [
        *("experiment.yaml", "long.txt", "plain.md"),
    ]
    assert listed.experiment.dataset.name == "cases.csv"
    assert listed.experiment.grid.levels("system")[1].value == "a long text"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("model: [m]", 'model: ["${M}"]', "grid.model.0: ${M} is not expanded in a"),
        ("[0, 1]", '[0, 1]\n  base_url: ["http://${H}/v1"]', "grid.base_url.0: ${H}"),
        ("[0, 1]", '[0, 1]\n  user: {a: "${U}"}', "grid.user.a: ${U} is not"),
        ("[0, 1]", '[0, 1]\nrun: {base_url: "${B}"}', "run.base_url: ${B} is not"),
        (
            "[0, 1]",
            '[0, 1]\nrun: {headers: {X-Org: "a ${ORG}"}}',
            "run.headers.X-Org: ${ORG} is not expanded in a config; "
            "write the value, or pass headers= to run in Python",
        ),
        (
            "[0, 1]",
            '[0, 1]\nrun: {api_key_env: "${KEY}"}',
            "give the name of the variable, without ${}",
        ),
        ("\n  - {t: a}", ' "${DATA}/a.csv"', "dataset: ${DATA} is not expanded"),
        ("[0, 1]", '[0, 1]\noutput: ["${O}.csv"]', "output.0: ${O} is not expanded"),
    ],
)
def test_a_variable_is_never_taken_as_it_stands(
    load: Load, old: str, new: str, said: str
) -> None:
    with pytest.raises(ConfigError, match=r"experiment\.yaml, line \d+: ") as caught:
        load(BASE.replace(old, new))

    assert said in str(caught.value)


def test_a_prompt_may_hold_what_looks_like_a_variable(load: Load) -> None:
    config = load(BASE.replace("{{t}}", "echo ${HOME} {{t}}"))

    assert config.experiment.trials[0].turns[0][0]["content"] == "echo ${HOME} a"


def test_keys_for_anchors_may_stand_beside_the_others(load: Load) -> None:
    config = load("x-shared: &s {seed: [1, 2]}\n" + BASE + "  <<: *s\n")

    assert len(config.experiment.grid) == 4


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('{plain: "{{t}}"}', "\n    p: Say: this", "put text with a colon in quotes"),
        ("name: letters", 'name: "C:\\data"', "in single quotes, or write / in paths"),
        (
            '"{{t}}"',
            "[{role: develper, content: a}, {role: user, content: '{{t}}'}]",
            "got 'develper'; did you mean 'developer'",
        ),
    ],
)
def test_common_slips_are_told_what_to_write(
    load: Load, old: str, new: str, said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(BASE.replace(old, new))

    assert said in str(caught.value)


def test_any_value_may_stand_in_a_file(write: Write, load: Load) -> None:
    write("tools.json", '[{"type": "function"}]')

    config = load(BASE.replace("temperature: [0, 1]", "tools: [{file: tools.json}]"))

    (level,) = config.experiment.grid.levels("tools")
    assert level.value == [{"type": "function"}]


def test_a_config_tells_which_files_it_was_read_from(
    tmp_path: Path, write: Write, load: Load
) -> None:
    write("cases.jsonl", '{"t": "a"}')
    write("p/plain.md", "{{t}}")
    write("system.md", "You route.")
    write("tools.json", '[{"type": "function"}]')

    config = load(
        "name: x\n"
        "dataset: {file: cases.jsonl}\n"
        "grid:\n  model: [m]\n  prompt: {plain: {file: p/plain.md}, terse: 'a'}\n"
        "  tools: [{file: tools.json}]\n"
        "zip: [{system: [null, {file: system.md}], seed: [1, 2]}]\n"
        "run: {env_file: mine.env}\n"
    )

    assert config.files == (
        tmp_path / "experiment.yaml",
        tmp_path / "cases.jsonl",
        tmp_path / "p" / "plain.md",
        tmp_path / "tools.json",
        tmp_path / "system.md",
        tmp_path / "mine.env",
    )
    assert load(BASE).files == (tmp_path / "experiment.yaml",)


def test_a_key_that_nothing_follows_is_as_if_it_were_not_there(load: Load) -> None:
    keys = ("description", "repeats", "zip", "exclude", "capabilities", "run", "output")

    config = load(BASE + "".join(f"{key}:\n" for key in keys))

    assert (config.description, config.options, config.output) == ("", {}, ())
    assert len(config.experiment) == 2


@pytest.mark.filterwarnings("ignore::promptlab.PromptlabWarning")
def test_yaml_is_1_2(load: Load) -> None:
    config = load(
        BASE.replace(
            "{t: a}", "{t: no, u: off, v: 2026-11-23, w: 012, x: 1_0, y: ~}"
        ).replace('"{{t}}"', '"{{t}}{{u}}{{v}}{{w}}{{x}}"')
        + "description: yes\n"
    )

    assert config.description == "yes"
    assert config.experiment.dataset[0].inputs == {
        "t": "no",
        "u": "off",
        "v": "2026-11-23",
        "w": 12,
        "x": 10,
        "y": None,
    }


def test_yaml_aliases_and_merges_are_read(load: Load) -> None:
    config = load(
        BASE.replace("[m]", "&models [m, n]")
        + "exclude: [{model: n, temperature: 1}]\n"
        + "capabilities:\n  m: &rules {seed: true}\n  n: {<<: *rules, top_k: false}\n"
    )

    assert config.experiment.capabilities == {
        "m": {"seed": True},
        "n": {"seed": True, "top_k": False},
    }


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("name: letters\n", "", None, "'name' is missing; give the experiment a name"),
        ("dataset:\n  - {t: a}\n", "", None, "'dataset' is missing; name a file"),
        ("name: letters", "nam: letters", 1, "unknown key 'nam'; did you mean 'name'?"),
        ("name: letters", "name: [a]", 1, "name: expected a string, got ['a']"),
        (
            "name: letters",
            f"name: {'a' * 101}",
            1,
            "one line of at most 100 characters",
        ),
        ("name: letters", "name: a\nname: b", 2, "duplicate key"),
        (
            "  - {t: a}",
            "  - {t: a}\n  - b",
            2,
            "the name of a file, or a list of cases",
        ),
        ("dataset:\n  - {t: a}", "dataset: 5", 2, "the name of a file, or a list"),
        ("  - {t: a}", "  - {t: a, id: x}\n  - {t: a, id: x}", 2, "is used twice"),
        ("  - {t: a}", "  - {t: a, output: x}", 2, "cannot be called 'output'"),
        ("{t: a}", "{t: a, temperature: 1}", 2, "is a parameter of the grid"),
        ("  model: [m]", "  model: m", 5, "expected a list of values, got 'm'; write"),
        ("  model: [m]", "  model: []", 5, "model: the list of values is empty"),
        ("  model: [m]\n", "", 4, "a grid needs 'model'; this one has prompt"),
        ("  model: [m]", "  modle: [m]", 4, "a grid needs 'model'; this one has modle"),
        ('"{{t}}"', '"{{u}}"', 6, "prompt 'plain' needs ['u'], which case '1'"),
        ('"{{t}}"', '"{{t"', 6, "prompt 'plain': template, line 1: "),
        ('{plain: "{{t}}"}', "[5]", 6, "a string or a list of messages, got 5"),
        ('{plain: "{{t}}"}', "[{file: none.md}]", 6, "none.md cannot be read"),
        *(
            ('{plain: "{{t}}"}', given, 6, "unknown key 'fle' for 'x.md'; did you mean")
            for given in ("{fle: x.md}", "[{fle: x.md}]", "{plain: {fle: x.md}}")
        ),
        ("[0, 1]", "hot", 7, "grid.temperature: expected a number from 0 to 2, got 'h"),
        ("[0, 1]", "0.5", 7, "a list of values, got 0.5; write [0.5]"),
        ("[0, 1]", "[0, 3]", 7, "temperature: expected a number from 0 to 2, got 3"),
        ("[0, 1]", "[0, .nan]", 7, "temperature: a request cannot hold nan"),
        (
            "[0, 1]",
            f"[0, {'9' * 400}]",
            7,
            "temperature: a request cannot hold a number",
        ),
        (
            "[0, 1]",
            "[0, 1]\n  zip: [{a: [1]}]",
            8,
            "'zip' belongs beside 'grid', not in",
        ),
        (
            "[0, 1]",
            "[0, 1]\n  exclude: [1]",
            8,
            "'exclude' belongs beside 'grid', not in",
        ),
        (
            "[0, 1]",
            "[0, 1]\nrepeats: 0",
            8,
            "repeats: expected an integer >= 1, got 0",
        ),
        (
            "[0, 1]",
            "[0, 1]\nrepeats: two",
            8,
            "repeats: expected an integer >= 1",
        ),
        (
            "[0, 1]",
            "[0, 1]\nexclude:\n  - {modle: m}",
            8,
            "exclude: no parameter 'modle'",
        ),
        ("[0, 1]", "[0, 1]\nzip:\n  - seed: [1]\n    top_p: [0.1, 0.2]", 8, "equally"),
        ("[0, 1]", "[0, 1]\nzip:\n  - seed: [a]\n    top_p: [1]", 9, "seed: expected"),
        ("[0, 1]", "[0, 1]\nzip:\n  - seed: [1]\n    top_p: 1", 10, "a list of values"),
        (
            "[0, 1]",
            "[0, 1]\ncapabilities:\n  n: {a: true}",
            9,
            "no model 'n' in the grid",
        ),
        (
            "[0, 1]",
            "[0, 1]\ncapabilities:\n  m:\n    a: 5",
            10,
            "true, false or a name",
        ),
        ("[0, 1]", "[0, 1]\noutput: 5", 8, "the name of a file, or a list of them"),
        (
            "[0, 1]",
            "[0, 1]\nrun:\n  max_concurency: 5",
            9,
            "unknown key 'run.max_concurency'; did you mean 'max_concurrency'?",
        ),
        (
            "[0, 1]",
            "[0, 1]\nrun:\n  requests_per_minute: 5",
            9,
            "unknown key 'run.requests_per_minute'; did you mean 'rpm'?",
        ),
        (
            "[0, 1]",
            "[0, 1]\nrun:\n  max_concurrency: 0",
            9,
            "an integer >= 1",
        ),
        ("[0, 1]", "[0, 1]\nrun:\n  api_key: sk", 9, "a key does not belong in a file"),
        (
            "[0, 1]",
            "[0, 1]\nfoo: 1",
            8,
            "unknown key 'foo'; valid names: $schema, name",
        ),
        ("[0, 1]", "[0, 1]\ntrue: 1", 8, "expected a string, got True; quote it"),
        ("[0, 1]", "[0, 1]\n? [a]\n: 1", 8, "expected a string, got "),
        ("name: letters", "name: !!python/name:os.system x", 1, "unsupported value"),
        ("name: letters", "name: !mine x", 1, "unsupported value (a YAML tag?)"),
        ("name: letters", "name: *nothing", 1, "not valid YAML: found undefined alias"),
        ("name: letters", "name: [", 3, "not valid YAML"),
        ("name: letters", "name: letters\n\t- a", 2, "with spaces, not tabs"),
        ("name: letters", "name:\n\ta: 1", 2, "with spaces, not tabs"),
        (
            '{plain: "{{t}}"}',
            "[{{t}}]",
            6,
            'put text that begins with {{ in quotes: "{{field}} ..."',
        ),
        (
            '{plain: "{{t}}"}',
            "\n    plain: {{t}}",
            7,
            'put text that begins with {{ in quotes: "{{field}} ..."',
        ),
        (
            '{plain: "{{t}}"}',
            "[Hello {{t}}]",
            6,
            "put text with braces in quotes",
        ),
        (
            *("[0, 1]", "[0, 1]\nrun:\n  budget_usd: '2'", 9),
            "run.budget_usd: expected a number >= 0, got '2'",
        ),
        (
            *("[0, 1]", "[0, 1]\nrun:\n  budget_usd: .inf", 9),
            "run.budget_usd: expected a number >= 0, got inf",
        ),
        (
            *("[0, 1]", "[0, 1]\nrun:\n  budget_tokens: 10.5", 9),
            "run.budget_tokens: expected an integer >= 0, got 10.5",
        ),
        ("[0, 1]", "[0, 1]\nrun: 3", 8, "run: expected a mapping of options, such as"),
        ("[0, 1]", "[0, 1]\nzip: 3", 8, "zip: expected a list of groups, such as [{"),
        ("[0, 1]", "[0, 1]\nexclude: {a: 1}", 8, "exclude: expected a list of what to"),
        ("[0, 1]", "[0, 1, 0]\nzip:", 7, "temperature has 0 twice"),
        ("[0, 1]", "[0, 1]\nfoo:", 8, "unknown key 'foo'; valid names: $schema, name"),
        (
            BASE[BASE.index("  model") :],
            "",
            4,
            "grid: expected a mapping of parameters",
        ),
        ("name: letters", "name: a\n---\nname: b", 2, "not valid YAML"),
        (
            "name: letters",
            "name: a\x07",
            None,
            "not valid YAML: unacceptable character",
        ),
        (BASE, "", None, " is empty"),
        (BASE, "# nothing", None, " is empty"),
        (BASE, "letters", None, "expected a mapping of keys: name, dataset, grid"),
        (BASE, "- letters", None, "expected a mapping of keys: name, dataset, grid"),
    ],
)
def test_a_mistake_in_a_config_is_one_line_that_says_where(
    tmp_path: Path, load: Load, old: str, new: str, line: int | None, said: str
) -> None:
    assert old in BASE

    with pytest.raises(ConfigError) as caught:
        load(BASE.replace(old, new))

    text = str(caught.value)
    path = tmp_path / "experiment.yaml"
    assert said in text
    assert len(text.splitlines()) == 1
    if line is not None:
        assert text.startswith(f"{path}, line {line}: ")
    else:
        assert text.startswith(str(tmp_path))
        assert ", line " not in text


def test_a_parameter_of_a_zip_is_blamed_where_it_stands(load: Load) -> None:
    with pytest.raises(ConfigError, match=r", line 11: seed: expected an integer"):
        load(
            BASE
            + "zip:\n  - {min_p: [1], top_a: [1]}\n"
            + "  - top_p: [1]\n    seed: [a]\n"
        )


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("model: [m]", "it goes under 'grid'"),
        ("temperature: [0]", "it goes under 'grid'"),
        ("max_tokens: [9]", "it goes under 'grid'"),
        ("prompts: [a]", "it is 'prompt', under 'grid'"),
        ("providers: [openai:gpt-6]", "it is 'model', under 'grid'"),
        ("tests: [{vars: {}}]", "it is 'dataset'"),
        ("outputPath: a.csv", "it is 'output'"),
        ("max_concurrency: 4", "it goes under 'run'"),
        ("base_url: https://api.example.com/v1", "it goes under 'run'"),
        ("api_key: sk-secret", "set OPENAI_API_KEY"),
    ],
)
def test_a_key_from_elsewhere_is_shown_its_place(
    load: Load, line: str, hint: str
) -> None:
    with pytest.raises(ConfigError, match=r", line 8: unknown key ") as caught:
        load(BASE + line)

    assert hint in str(caught.value)
    assert "sk-secret" not in str(caught.value)


def test_a_config_that_cannot_be_read_is_told(tmp_path: Path, write: Write) -> None:
    for path in (tmp_path / "none.yaml", tmp_path, write("a.yaml", b"name: \xff")):
        with pytest.raises(ConfigError) as caught:
            load_config(path)
        assert str(caught.value).startswith(str(path))


def test_aliases_of_aliases_do_not_fill_the_memory(load: Load) -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
    )
    started = time.thread_time()

    with pytest.raises(ConfigError, match="more than 2,000,000 values"):
        load(bomb)

    assert time.thread_time() - started < 30


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [*a]",
        "a: &a {b: *a}",
        "a: " + "[" * 60 + "]" * 60,
        "a: " + "[" * 5000 + "]" * 5000,
        "".join(f"{' ' * n}a:\n" for n in range(60)),
    ],
    ids=[
        "list of itself",
        "mapping of itself",
        "60 lists",
        "5000 lists",
        "60 mappings",
    ],
)
def test_what_nests_too_deep_is_refused(load: Load, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(text)

    assert len(str(caught.value).splitlines()) == 1


def test_an_option_that_no_file_may_have_is_refused_with_the_reason(load: Load) -> None:
    with pytest.raises(
        ConfigError, match=r"'run.refresh'; it is for one run; pass --r"
    ):
        load(BASE + "\nrun: {refresh: true}")


def test_the_committed_schema_is_the_one_that_is_printed() -> None:
    committed = json.loads((PACKAGE / "config.schema.json").read_text("utf-8"))

    assert committed == json.loads(json.dumps(config_schema()))


def against_schema(
    plain: Any, schema: dict[str, Any], root: dict[str, Any]
) -> list[str]:
    """The keys of a config that its schema does not have, or that it lacks."""
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    if not isinstance(plain, dict) or "properties" not in schema:
        return []
    known = schema["properties"]
    wrong = [name for name in schema.get("required", []) if name not in plain]
    if schema.get("additionalProperties") is False:
        wrong += [name for name in plain if name not in known]
    for name, value in plain.items():
        if name in known:
            wrong += against_schema(value, known[name], root)
    return wrong


def test_the_schema_refuses_what_the_loader_refuses() -> None:
    schema = config_schema()

    assert against_schema({"nam": 1}, schema, schema) == [
        "name",
        "dataset",
        "grid",
        "nam",
    ]
    assert "tries" in against_schema({"run": {"tries": 1}}, schema, schema)
    assert "prompt" in against_schema({"grid": {"model": ["m"]}}, schema, schema)


def test_the_schema_says_how_wordings_are_written() -> None:
    prompt = config_schema()["properties"]["grid"]["properties"]["prompt"]

    assert "{wordings: {as written: ..., polite: ...}}" in prompt["description"]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.parent.name)
def test_the_configs_that_we_ship_fit_the_schema(path: Path) -> None:
    plain = YAML(typ="safe", pure=True).load(path.read_text("utf-8"))
    schema = config_schema()

    assert against_schema(plain, schema, schema) == []


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.parent.name)
def test_the_configs_that_we_ship_are_as_large_as_they_say(path: Path) -> None:
    said = re.search(r"= (\d+) trials|: (\d+) trials", path.read_text("utf-8"))

    experiment = pl.load_experiment(path)

    assert said is not None
    assert len(experiment) == int(said[1] or said[2])


def test_there_are_configs_that_we_ship() -> None:
    assert len(SHIPPED) == 4


def test_the_starter_loads(load: Load) -> None:
    assert load(STARTER).experiment.name == "first_experiment"


def test_own_prices_are_read_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "experiment.yaml"
    text = """\
name: e
dataset: [{t: a}]
grid: {model: [m], prompt: ["{{t}}"]}
run:
  prices:
    m: {input: 0.1, output: 1, valid_from: 2026-11-01, batch: {input: 0, output: 0.5}}
"""
    path.write_text(text)
    config = load_config(path)

    assert config.options["prices"] == {
        "m": {
            "input": 0.1,
            "output": 1,
            "valid_from": "2026-11-01",
            "batch": {"input": 0, "output": 0.5},
        }
    }

    path.write_text(text.replace("output: 1", "out: 1"))
    with pytest.raises(
        ConfigError, match=r"line 6: the price of 'm': unknown key 'out'"
    ):
        load_config(path)


def test_own_prices_may_stand_in_a_file_beside_the_config(
    tmp_path: Path, write: Write, load: Load
) -> None:
    write("p/mine.toml", '[[price]]\nmodel = "m"\ninput = 0.1\noutput = 1\n')
    text = BASE + "run: {prices: p/mine.toml}\n"

    config = load(text)

    assert config.options["prices"] == tmp_path / "p" / "mine.toml"
    assert config.files[-1] == tmp_path / "p" / "mine.toml"

    write("p/mine.toml", '[[price]]\nmodel = "m"\ninput = 0.1\n')
    with pytest.raises(
        ConfigError, match=r"toml, \[\[price\]\] from line 1: the price"
    ):
        load(text)
    with pytest.raises(ConfigError, match=r"yaml, line 8: prices file .*none.toml can"):
        load(BASE + "run: {prices: none.toml}\n")


@pytest.mark.parametrize("wrong", ["3", "[m]", "{m: 3}"])
def test_prices_that_are_none_are_told_with_their_line(load: Load, wrong: str) -> None:
    with pytest.raises(ConfigError, match=r"line \d+: run.prices.*: expected a "):
        load(BASE + f"run:\n  prices: {wrong}\n")


def test_the_variable_of_a_key_is_one_or_that_of_each_server(load: Load) -> None:
    one = load(BASE + "run: {api_key_env: MY_KEY}\n")
    each = load(BASE + "run:\n  api_key_env:\n    https://a.test/v1: A_KEY\n")

    assert one.options["api_key_env"] == "MY_KEY"
    assert each.options["api_key_env"] == {"https://a.test/v1": "A_KEY"}


def test_columns_are_renamed_and_carried_along_as_a_config_says(
    write: Write, load: Load
) -> None:
    write("runs.csv", "prompt,output,split\na,b,test\n")
    text = BASE.replace(
        "dataset:\n  - {t: a}\n",
        "dataset:\n  file: runs.csv\n  rename: {prompt: t, output: before}\n"
        "  metadata: [before, split]\n",
    )

    (case,) = load(text).experiment.dataset

    assert case == pl.Case("1", {"t": "a"}, None, {"before": "b", "split": "test"})


def test_a_column_that_cannot_be_renamed_is_told(write: Write, load: Load) -> None:
    write("runs.csv", "t,n\na,b\n")
    text = BASE.replace(
        "dataset:\n  - {t: a}\n", "dataset: {file: runs.csv, rename: {m: t}}\n"
    )

    with pytest.raises(DatasetError, match=r"^runs.csv has no column 'm'"):
        load(text)


def test_every_named_scorer_is_known_in_a_new_process(tmp_path: Path) -> None:
    judge = "{name: kind, model: m, rubric: Kind.}"
    pair = "{rubric: Kind., model: m, baseline: plain}"
    (tmp_path / "c.yaml").write_text(
        BASE + f"scorers: [is_json, {{judge: {judge}}}, {{pairwise: {pair}}}]\n"
    )
    code = (
        "from pathlib import Path; from promptlab.files.config import load_config; "
        "print(len(load_config(Path('c.yaml')).experiment.scorers))"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )

    assert (done.stdout, done.stderr) == ("3\n", "")
