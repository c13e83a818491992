"""The command line, through its entry point."""

import itertools
import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

import moreish
from moreish.cli import VERBS, app, help_of, run
from moreish.engine.tape import cache as compiled_code
from moreish.models import MODELS, NETS
from moreish.sampling import Samples, method_line


def entry_point(*arguments, **options):
    command = [sys.executable, "-m", "moreish", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=120, **options)


STOPPED_WHILE_LOADED = """
import signal, sys

class Finder:  # a signal during an import, which hides all exceptions
    def find_spec(self, name, *_):
        if name == "cyclopts":
            try:
                signal.raise_signal(int(sys.argv.pop()))
            except BaseException:
                pass

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup ignores it
sys.meta_path.insert(0, Finder())
from moreish.__main__ import main
main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals to a process")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_while_the_command_line_is_loaded_ends_it_in_one_line(name):
    command = [sys.executable, "-c", STOPPED_WHILE_LOADED, "models", str(int(getattr(signal, name)))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "moreish: stopped\n")


@pytest.fixture
def words_file(words, tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("\n".join(words), encoding="utf-8")
    return path


def test_the_main_job_from_file_to_new_words(words_file, tmp_path):
    done = entry_point("train", words_file, "--steps", 300, "--samples", 5, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "nats" in done.stdout
    assert "saved in runs" in done.stdout
    folder = tmp_path / "runs" / "list-mlp"
    sampled = entry_point("sample", folder, "-n", 5, "--json")
    samples = json.loads(sampled.stdout)["samples"]
    assert len(samples) == 5
    assert all(s["seen"] in ("new", "train", "val", "test") for s in samples)
    # train ends with the words that its seed gives
    lines = done.stdout.partition("saved in")[0].splitlines()
    printed = [line.split()[0] for line in lines if line.endswith(("new", "in train", "in val", "in test"))]
    assert printed == [s["word"] for s in samples]
    assert sampled.stderr == ""
    again = entry_point("train", words_file, "--steps", 10, cwd=tmp_path)
    assert again.returncode == 0
    assert (tmp_path / "runs" / "list-mlp-2").is_dir()


def test_words_from_standard_input(words, tmp_path):
    done = entry_point("train", "-", "--model", "bigram-counts", "--out", tmp_path / "r", input="\n".join(words))
    assert done.returncode == 0, done.stderr
    assert moreish.load(tmp_path / "r").corpus.words == words


def test_eval_prints_what_the_api_computes(saved_run, capsys):
    assert run(["eval", str(saved_run.path), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    evaluation = moreish.evaluate(saved_run.model, saved_run.corpus)
    assert printed["loss"] == pytest.approx(evaluation.loss)
    assert printed["tokens"] == evaluation.tokens
    assert run(["eval", str(saved_run.path), "--split", "val", "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)["loss"]) == ["val"]
    assert run(["eval", str(saved_run.path)]) == 0
    assert f"{evaluation.loss['test']:.4f}" in capsys.readouterr().out


def test_sample_options_reach_the_model(saved_run, capsys):
    options = [
        "-n",
        "7",
        "--seed",
        "5",
        "--temperature",
        "0.7",
        "--top-k",
        "3",
        "--prefix",
        "ba",
        "--max-length",
        "4",
        "--json",
    ]
    assert run(["sample", str(saved_run.path), *options]) == 0
    words = [s["word"] for s in json.loads(capsys.readouterr().out)["samples"]]
    assert words == saved_run.model.sample(7, seed=5, temperature=0.7, top_k=3, prefix="ba", max_length=4)


def test_words_describes(words_file, capsys):
    assert run(["words", str(words_file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["words"] == 400
    assert run(["words"]) == 0
    assert "26 characters" in capsys.readouterr().out


@pytest.mark.parametrize("name", NETS)
def test_show_accounts_for_every_parameter(name, capsys):
    model = moreish.Model(MODELS[name](), moreish.Vocab(set().union(*moreish.bundled())))
    for more in ([], ["--no-fuse"], ["--batch-size", "512"]):
        assert run(["show", name, *more]) == 0
        out = capsys.readouterr().out
        assert f"{model.layout.n_trained:,} parameters" in out
        shown = [f"{s.parameter.name} {'×'.join(map(str, s.shape))}" for s in model.layout]
        for parameter in set(shown):
            assert out.count(parameter) >= shown.count(parameter)


def test_show_indents_the_layers_of_a_branch_and_counts_their_cost_once(capsys):
    assert run(["show", "bow", "--no-fuse"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "×" in line]
    assert [line[:23].rstrip() for line in lines] == [
        "0 Embedding",
        "1 PositionalEmbedding",
        "  2.0 CausalAverage",
        "2 Residual",
        "  3.0 Linear",
        "  3.1 Tanh",
        "  3.2 Linear",
        "3 Residual",
        "4 Linear",
        "5 SoftmaxCrossEntropy",
    ]
    costs = {line[:23].strip(): line.split("  ")[-2].strip() for line in lines}
    assert costs["3 Residual"] == costs["3.1 Tanh"], "the sum is one operation for each number, as is tanh"


def test_show_of_a_run(saved_run, capsys):
    assert run(["show", str(saved_run.path)]) == 0
    assert f"{saved_run.model.params.size:,} parameters" in capsys.readouterr().out


def test_models_lists_all(capsys):
    assert run(["models", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["models"]
    assert list(listed) == list(MODELS)
    assert run(["models"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in MODELS)


@pytest.mark.parametrize("verb", VERBS)
def test_help_says_what_a_verb_does_with_examples(verb, capsys):
    assert run([verb, "--help"]) == 0
    out = capsys.readouterr().out
    assert " ".join(help_of(verb)[0].split()) in " ".join(out.split())
    assert out.count(f"moreish {verb}") >= 3  # the usage and two examples


@pytest.mark.parametrize("width", [60, 80, 120])
def test_help_is_wrapped_once_with_the_threads_last_and_whole_examples(width, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    for verb in VERBS:
        for part in (app, app.meta, app[verb]):
            monkeypatch.setattr(part, "_fallback_console", None)  # it keeps the width of its first use
        assert run([verb, "--help"]) == 0
        text, _, examples = capsys.readouterr().out.partition("\nExamples:\n")
        assert f"Examples:\n{examples.rstrip()}" == help_of(verb)[1]
        assert max(map(cell_len, text.splitlines())) <= width
        assert [line.split()[1] for line in text.splitlines() if line.startswith("│ -")][-1] == "--threads"
        # The next word did not fit into any line of a paragraph.
        for paragraph in text.split("╭")[0].split("\n\n"):
            lines = paragraph.splitlines()
            assert all(len(f"{a.rstrip()} {b.split()[0]}") > width for a, b in itertools.pairwise(lines)), paragraph


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["tarin"], "train"),
        (["train", "--temperature", "0.7"], "--temperature is an option of sample and novelty, not of train"),
        (["eval", "x", "--only-new"], "--only-new is an option of sample, not of eval (see moreish sample --help)"),
        (["mix", "x", "--json=1"], "--json is an option of runs, sample, fill and others, not of mix"),
        (["train", "--n-hiden", "3"], "--n-hidden"),
        (["train", "--model", "mpl"], "did you mean mlp"),
        (["train", "--lr", "abc"], "--lr"),
        (["train", "--lr", "-1"], "--lr"),
        (["train", "--steps", "2.5"], "--steps"),
        (["train", "--epochs", "inf"], "--epochs is inf"),
        (["train", "--samples", "-5"], "--samples is -5"),
        (["train", "--model", "mlp", "--resume", "nowhere"], "--resume continues a run with its own list"),
        (["show", "mlp", "--batch-size", "0"], "--batch-size is 0"),
        (["sample", "x" * 300], "name too long"),
        (["train", "--activation", "tahn"], "did you mean tanh"),
        (["train", "nowhere.txt"], "nowhere.txt: no such file"),
        (["train", "--resume", "nowhere"], "nowhere: no such run folder"),
        (["train", "x.txt", "--resume", "nowhere"], "--resume continues a run with its own list"),
        (["sample"], "RUN"),
        (["sample", "nowhere"], "nowhere: no such run folder"),
        (["eval", "nowhere", "--split", "vall"], "did you mean val"),
        (["show", "mpl"], "did you mean mlp"),
        (["words", "nowhere.txt"], "no such file"),
    ],
)
def test_wrong_requests_end_in_one_line_and_status_2(arguments, says, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.strip().splitlines()) == 1
    assert says in captured.err
    assert not list(tmp_path.iterdir())


def test_the_command_is_installed():
    script = Path(sys.executable).with_name("moreish")
    done = subprocess.run([script, "models"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert "mlp" in done.stdout


@pytest.mark.skipif(os.name == "nt", reason="no pseudo-terminals")
def test_what_a_terminal_cannot_show_is_no_reason_to_fail(tmp_path):
    (tmp_path / "list.txt").write_text("\n".join(["日本", "añb", "Ж"] * 4), encoding="utf-8")
    ours, terminal = os.openpty()
    command = [sys.executable, "-m", "moreish", "words", str(tmp_path / "list.txt")]
    done = subprocess.run(command, stdout=terminal, timeout=120, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    os.close(terminal)
    assert done.returncode == 0
    assert b"\\u65e5" in os.read(ours, 1 << 16)
    os.close(ours)


def test_the_exit_status_reaches_the_shell(tmp_path):
    assert entry_point("frobnicate").returncode == 2
    assert entry_point("--help").returncode == 0
    assert entry_point("--version").stdout.strip() == moreish.__version__


def test_a_file_too_short_and_a_folder_in_use(tmp_path, saved_run, capsys):
    short = tmp_path / "short.txt"
    short.write_text("ann\nbob\n")
    assert run(["train", str(short), "--out", str(tmp_path / "r")]) == 2
    assert "the list has 2 words: at least 6 are needed" in capsys.readouterr().err
    assert not (tmp_path / "r").exists()
    assert run(["train", "--out", str(saved_run.path)]) == 2
    assert "already holds a run" in capsys.readouterr().err


def test_divergence_exits_with_status_1(words_file, tmp_path, capsys):
    options = ["--steps", "500", "--optimizer", "sgd", "--lr", "1e5", "--activation", "relu", "--schedule", "constant"]
    assert run(["train", str(words_file), *options, "--out", str(tmp_path / "r")]) == 1
    assert "try --lr" in capsys.readouterr().err


def test_a_cache_that_cannot_be_used_is_passed_over(words_file, tmp_path):
    """A broken file in the kernel cache costs a compilation, not the training."""
    script = (
        "import sys; from pathlib import Path; from moreish.engine.tape import compile\n"
        "folder = Path(sys.argv[1]); compile.cache_folder = lambda: folder\n"
        "from moreish.cli import run\n"
        "options = ['--model', 'bigram', '--steps', '5', '--samples', '0']\n"
        "sys.exit(run(['train', sys.argv[2], *options, '--out', sys.argv[3]]))"
    )
    cache = tmp_path / "cache"
    cache.mkdir()
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}

    def train(out):
        command = [sys.executable, "-c", script, str(cache), str(words_file), str(tmp_path / out)]
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)

    first = train("a")
    assert first.returncode == 0, first.stderr
    assert "compiling" in first.stderr
    expected = (tmp_path / "a" / "model.safetensors").read_bytes()
    for out, message in (("b", "has changed since it was written"), ("c", "cannot be used")):
        kept = [*cache.rglob("*.nbi"), *cache.rglob("*.nbc")]
        assert kept
        for path in kept:
            path.write_bytes(b"broken")
        if out == "c":  # as if another program had written it
            for seal in [*cache.rglob("*.sha256")]:
                compiled_code.seal(sorted(seal.parent.glob(f"{seal.stem}.*nb[ci]")))
        again = train(out)
        assert again.returncode == 0, again.stderr
        assert message in again.stderr
        assert (tmp_path / out / "model.safetensors").read_bytes() == expected


def test_a_run_that_diverged_is_pointed_to_its_diagnosis(words, tmp_path, capsys):
    folder = tmp_path / "it's"
    options: dict[str, Any] = {"optimizer": "sgd", "lr": 1e5, "schedule": "constant"}
    with pytest.raises(moreish.WorkError):
        moreish.train(words, "mlp", n_hidden=8, activation="relu", steps=500, out=folder, **options)
    hint = f"to find out why: {shlex.join(['moreish', 'diagnose', str(folder)])}"
    for command in (["eval", folder], ["compare", folder], ["sample", folder, "-n", 2], ["fill", folder, "b_"]):
        run([*map(str, command)])
        assert capsys.readouterr().err.count(hint) == 1


def test_the_share_of_the_words_that_fit_is_a_percentage():
    drawn = Samples(["mia"], method="rejection", share=0.1704, head="m", tried=176)
    assert method_line(drawn) == "(17% of 176 words drawn that start with m fit)"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("fold runs/a", "fold needs --out PATH (see moreish fold --help)"),
        ("completion", "completion needs SHELL: bash, zsh, fish (see moreish completion --help)"),
        ("fill runs/a", "fill needs TEXT (see moreish fill --help)"),
        ("compare runs/a --plot", "--plot needs a value (see moreish compare --help)"),
        ("sample runs/a -n", "-n needs a value (see moreish sample --help)"),
        ("models a b", "unexpected arguments: a b (see moreish models --help)"),
        (
            "sample runs/a --pattern many.txt miss.py",
            "unexpected arguments: miss.py; quote patterns, as in 'm*' (see moreish sample --help)",
        ),
        ("train --lr 1e8", "--lr is 100,000,000: it must be between 1e-12 and 1,000,000"),
    ],
)
def test_a_wrong_command_line_is_answered_in_plain_words(line, message, capsys):
    assert run(line.split()) == 2
    assert capsys.readouterr().err == f"moreish: {message}\n"


def test_examples_of_every_command_fit_a_terminal_of_80_columns():
    assert all(len(line) <= 80 for verb in VERBS for line in help_of(verb)[1].splitlines())
