"""Options as data: their names, bounds, choices and aliases, and the command line that is made from them."""

import math
from dataclasses import dataclass, fields

import pytest

from paddle_gan.commands import COMMANDS, Command, Group
from paddle_gan.config import names
from paddle_gan.config.bench import BenchConfig
from paddle_gan.config.command_line import parse
from paddle_gan.config.options import option, settle
from paddle_gan.config.studies import CompareConfig
from paddle_gan.config.train import TrainConfig
from paddle_gan.errors import UsageError


def test_names_are_the_keys_of_the_tables():
    from paddle_gan.bench.cases import _PEERS
    from paddle_gan.networks import DISCRIMINATORS, GENERATORS
    from paddle_gan.networks.blocks import INITIALISERS
    from paddle_gan.networks.norms import NORMS
    from paddle_gan.objectives import OBJECTIVES
    from paddle_gan.objectives.optimizers import OPTIMIZERS
    from paddle_gan.runs.presets import PRESETS
    from paddle_gan.runs.shipping import FORMATS
    from paddle_gan.studies.modes import BENCHMARKS
    from paddle_gan.training.schedule import SHAPES

    for known, table in (
        (names.OBJECTIVES, OBJECTIVES),
        (names.GENERATORS, GENERATORS),
        (names.DISCRIMINATORS, DISCRIMINATORS),
        (names.NORMS, NORMS),
        (names.INITIALISERS, INITIALISERS),
        (names.OPTIMIZERS, OPTIMIZERS),
        (tuple(names.PRESETS), PRESETS),
        (tuple(names.SCHEDULES), SHAPES),
        (names.BENCHMARKS, BENCHMARKS),
        (names.PEERS, _PEERS),
        (tuple(names.FORMATS), FORMATS),
    ):
        assert known == tuple(table)


def test_names_of_translations_are_those_that_there_are():
    """Objectives of a discriminator of patches are those with one step for each of the generator, without clipping."""
    from paddle_gan.datasets.derived import GREY
    from paddle_gan.datasets.holes import MASKS
    from paddle_gan.objectives import OBJECTIVES

    assert tuple(names.TRANSLATIONS) == ("pairs", "unpaired", *names.DERIVED)
    assert set(GREY) < set(names.DERIVED) and names.MASKS == tuple(MASKS)
    for name in names.PATCH_OBJECTIVES:
        assert OBJECTIVES[name].discriminator_steps == 1 and OBJECTIVES[name].weight_clip is None


@pytest.mark.parametrize(
    ("aliases", "own"),
    [
        (names.LOSS_ALIASES, names.OBJECTIVES),
        (names.PATCH_LOSS_ALIASES, names.PATCH_OBJECTIVES),
        (names.GENERATOR_ALIASES, names.GENERATORS),
        (names.DISCRIMINATOR_ALIASES, names.DISCRIMINATORS),
        (names.PEER_ALIASES, names.PEERS),
    ],
)
def test_an_alias_stands_for_a_name_and_is_none(aliases, own):
    assert set(aliases.values()) <= set(own) and not set(aliases) & set(own)


def test_options_have_the_own_name_of_what_was_given_by_an_alias():
    config = TrainConfig(loss="wgan_gp", generator="writeup", discriminator="writeup")
    assert (config.loss, config.generator, config.discriminator) == ("wgan-gp", "tutorial", "tutorial")
    assert CompareConfig(loss=("mse", "gan")).loss == CompareConfig(loss=["mse", "gan"]).loss == ("lsgan", "gan")
    assert BenchConfig(against="writeup", generator=("writeup",)) == BenchConfig(
        against="tutorial", generator=("tutorial",)
    )


@dataclass(frozen=True)
class Example:
    """Options of every kind."""

    rate: float | None = option(None, "numbers", "a rate", more_than=0, unset="the recipe's")
    decay: float = option(0.5, "numbers", "a decay at 100 %", at_least=0, less_than=1)
    width: int = option(8, "numbers", "a width", more_than=0, at_most=1024)
    port: int = option(80, "numbers", "a port", at_least=0, at_most=65535)
    seed: int = option(0, "numbers", "a seed", at_least=0, at_most=math.inf)
    channels: int = option(1, "numbers", "channels", {1: "grey", 3: "colour"})
    loss: tuple[str, ...] = option(("gan",), "words", "objectives", ("gan", "wgan"), aliases={"bce": "gan"})
    name: str | None = option(None, "words", "a name")
    quick: bool = option(False, "words", "be quick")

    def __post_init__(self) -> None:
        settle(self)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rate": 0.0}, "--rate 0.0: must be more than 0"),
        ({"rate": 1e9 + 1}, "--rate 1000000001.0: must be at most 1,000,000,000"),
        ({"rate": math.nan}, "--rate nan: must be a finite number"),
        ({"decay": -0.1}, "--decay -0.1: must be at least 0"),
        ({"decay": 1}, "--decay 1: must be less than 1"),
        ({"width": 1025}, "--width 1025: must be at most 1,024"),
        ({"width": 2.0}, "--width 2.0: must be a whole number"),
        ({"width": True}, "--width True: must be a whole number"),
        ({"width": None}, "--width None: must be a whole number"),
        ({"port": -1}, "--port -1: 0 to 65535"),
        ({"port": 65536}, "--port 65536: 0 to 65535"),
        ({"seed": -1}, "--seed -1: must be at least 0"),
        ({"channels": 2}, "--channels 2: one of 1 (grey), 3 (colour)"),
        ({"loss": ("x",)}, "--loss x: one of gan, wgan, bce"),
        ({"loss": ("bce", "gan")}, "--loss bce gan: the same twice"),
        ({"loss": "gan"}, "--loss gan: must be a list of strings"),
        ({"name": "a\0b"}, "--name 'a\\x00b': must be a string"),
        ({"quick": "yes"}, "--quick yes: true or false"),
    ],
)
def test_a_value_that_no_run_could_have_is_refused(values, message):
    with pytest.raises(UsageError) as refusal:
        Example(**values)
    assert str(refusal.value) == message


def test_the_ends_of_a_range_that_belong_to_it():
    Example(rate=1e-30, decay=0, width=1024, port=0, seed=10**40, channels=3)
    assert Example(port=65535, rate=1e9).rate == 1e9


def test_numbers_words_and_lists_of_a_command_line():
    arguments = ["in.npz", "--rate", "1e-3", "--width", "0_5", "--loss", "wgan", "bce", "--quick", "--name", "null"]
    parsed = parse(Example, "", {"source": "a file"}, arguments, program="paddle-gan example")
    assert parsed.options == Example(rate=1e-3, width=5, loss=("wgan", "gan"), quick=True, name="null")
    assert parsed.positional == {"source": "in.npz"} and not parsed.debug
    assert parsed.named == {"rate", "width", "loss", "quick", "name"}
    assert parsed.command == "paddle-gan example " + " ".join(arguments)
    assert parse(Example, "", argv=["--debug"]).debug
    assert parse(Example, "", {"runs": ""}, [], several="runs").positional == {"runs": []}
    assert parse(Example, "", {"runs": ""}, ["a", "b"], several="runs").positional == {"runs": ["a", "b"]}


@pytest.mark.parametrize(
    "text",
    [
        "rate: 1e-3\nwidth: '5'\nloss: [wgan, bce]\nquick: yes\nname: 2024\nport: null\nseed: ~\n",
        '{"rate": 0.001, "width": 5, "loss": ["wgan", "gan"], "quick": true, "name": "2024", "seed": null}',
        '{\n\t"rate": 1e-03, "width": 5, "loss": ["wgan", "gan"], "quick": true, "name": "2024"}',
    ],
    ids=["YAML", "JSON", "JSON with tabs"],
)
def test_a_file_of_options(tmp_path, text):
    path = tmp_path / "options"
    path.write_text(text)
    parsed = parse(Example, "", argv=["--config", str(path)])
    assert parsed.options == Example(rate=1e-3, width=5, loss=("wgan", "gan"), quick=True, name="2024")
    assert parsed.named == {"rate", "width", "loss", "quick", "name"}


def test_the_command_line_is_stronger_than_the_file_wherever_it_stands(tmp_path):
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text("width: 3\nloss: wgan\nname: one\n")
    second.write_text("name: two\nquick: false\n")
    for arguments in (["--width", "5", "--config", first], ["--config", first, "--width", "5"]):
        parsed = parse(Example, "", argv=[*map(str, arguments), "--config", str(second)])
        assert parsed.options == Example(width=5, loss=("wgan",), name="two")


def test_a_file_may_hold_a_path_with_any_character(tmp_path):
    """As the config.json of a run, in which everything beyond ASCII is escaped."""
    (tmp_path / "config.json").write_text('{"name": "/\\ud83d\\ude00/\\u56fe"}')
    assert parse(Example, "", argv=["--config", str(tmp_path / "config.json")]).options.name == "/😀/图"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"widht: 3", "there is no option widht"),
        (b"", "the file holds no options"),
        (b"- 1", "the file holds no options"),
        (b"[" * 100_000, "cannot be read"),
        (b"a: b: c", "it is not YAML"),
        (b"\xff", "not UTF-8"),
        (b"width: abc", "--width abc: must be a whole number"),
        (b"width: [1]", "--width ['1']: must be a whole number"),
        (b"quick: perhaps", "--quick perhaps: true or false"),
        (b"name: !!python/object/apply:os.getcwd []", "--name []: must be a string"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_words(tmp_path, content, message):
    (tmp_path / "options.yaml").write_bytes(content)
    with pytest.raises(UsageError) as refusal:
        parse(Example, "", argv=["--config", str(tmp_path / "options.yaml")])
    assert message in str(refusal.value) and "\n" not in str(refusal.value)


def test_help_shows_choices_meanings_aliases_and_defaults(capsys):
    with pytest.raises(SystemExit):
        parse(Example, "An example.", argv=["--help"])
    lines = {line.split()[0]: " ".join(line.split()) for line in capsys.readouterr().out.splitlines() if line.strip()}
    assert lines["--rate"] == "--rate X a rate (default: the recipe's)"
    assert lines["--decay"] == "--decay X a decay at 100 % (default: 0.5)"
    assert lines["--channels"] == "--channels N channels: 1 (grey) 3 (colour) (default: 1)"
    assert lines["--loss"].endswith("objectives: gan wgan (also bce) (default: gan)")
    assert lines["--quick"] == "--quick be quick"


def single_commands() -> dict[str, Command]:
    """Every command, those of a group too."""
    commands = {}
    for name, command in COMMANDS.items():
        inner = command.commands if isinstance(command, Group) else {"": command}
        commands |= {f"{name} {verb}".strip(): one for verb, one in inner.items()}
    return commands


@pytest.mark.parametrize("command", single_commands().values(), ids=single_commands().keys())
def test_the_help_of_every_command_has_one_line_for_each_option(command, capsys):
    with pytest.raises(SystemExit):
        command.parse(["--help"])
    lines = capsys.readouterr().out.partition("\nexamples:\n")[0].splitlines()
    for field in fields(command.options):
        assert len([line for line in lines if line.startswith(f"  --{field.name.replace('_', '-')} ")]) == 1
    assert len([line for line in lines if line.startswith("   ")]) == 0, "a line is broken"
