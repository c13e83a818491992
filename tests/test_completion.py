"""Completion in shells: each script, asked by its shell."""

import os
import select
import shutil
import signal
import subprocess

import pytest

from moreish.cli import VERBS, run
from moreish.corpus import BUNDLED, DOWNLOADS
from moreish.models import MODELS, NETS
from moreish.plots.pictures import PICTURES

# Lines to complete, with all that the last word may become in a folder with the files of `folder`.
ASKED = {
    "moreish diag": {"diagnose"},
    "moreish train --mod": {"--model"},
    "moreish train --model ml": {"mlp"},
    "moreish train --activation ta": {"tanh"},
    "moreish eval runs/one --split te": {"test"},
    "moreish plot runs/one --format sv": {"svg"},
    "moreish --threads 2 gradcheck wavenet-": {"wavenet-conv"},
    "moreish train dino": {"dinosaurs"},
    "moreish train ow": {"own.txt"},
    "moreish sample ru": {"runs/"},
    "moreish train --out ru": {"runs/"},
    "moreish completion z": {"zsh"},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("completion")
    (folder / "own.txt").touch()
    (folder / "runs" / "one").mkdir(parents=True)
    return folder


@pytest.fixture
def script(folder, capsys):
    """A function that writes the script of a shell and returns its path; it skips without the shell."""

    def written(shell):
        if not shutil.which(shell):
            pytest.skip(f"{shell} is not installed")
        path = folder / f"moreish.{shell}"
        if not path.exists():
            assert run(["completion", shell]) == 0
            path.write_text(capsys.readouterr().out)
        return path

    return written


def answers(command, folder):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    return {line.split("\t")[0] for line in done.stdout.splitlines() if line}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_reads_its_script(shell, script):
    assert answers([shell, "-n", script(shell)], script(shell).parent) == set()


@pytest.mark.parametrize("line", ASKED)
def test_bash_completes(line, script, folder):
    path = script("bash")
    code = f"source {path}; COMP_WORDS=({line}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _moreish"
    found = answers(["bash", "-c", f'{code}; printf "%s\\n" "${{COMPREPLY[@]}}"'], folder)
    # Files are completed by bash itself, where the script has no answer.
    assert found == {word for word in ASKED[line] if not (folder / word).exists()}
    assert "\ncomplete -o default -F _moreish moreish" in path.read_text()


@pytest.mark.parametrize("line", ASKED)
def test_fish_completes(line, script, folder):
    found = answers(["fish", "-N", "-c", f'source {script("fish")}; complete -C "{line}"'], folder)
    assert ASKED[line] <= found


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("moreish ", VERBS),
        ("moreish plot runs/one ", PICTURES),
        ("moreish gradcheck ", NETS),
        ("moreish completion ", ["bash", "zsh", "fish"]),
    ],
)
def test_fish_offers_no_files_where_only_a_name_can_be(line, expected, script, folder):
    found = answers(["fish", "-N", "-c", f'source {script("fish")}; complete -C "{line}"'], folder)
    assert found == set(expected)


@pytest.mark.parametrize("line", ["moreish eval ", "moreish train ", "moreish show ", "moreish plot runs/one --out "])
def test_fish_offers_files_where_a_path_can_be(line, script, folder):
    found = answers(["fish", "-N", "-c", f'source {script("fish")}; complete -C "{line}"'], folder)
    assert {"own.txt", "runs/"} <= found


@pytest.mark.parametrize("line", ASKED)
def test_zsh_completes(line, script, folder):
    path, pty = script("zsh"), pytest.importorskip("pty")
    child, terminal = pty.fork()
    if not child:
        os.chdir(folder)
        os.environ.update(TERM="dumb", HOME=str(folder), COLUMNS="200")
        os.execvp("zsh", ["zsh", "-f", "-i"])
    try:
        os.write(terminal, f"autoload -U compinit; compinit -D -u; source {path}; echo lo''aded\n".encode())
        assert "loaded" in shown_until("loaded", terminal)
        (whole,) = ASKED[line]
        expected = line[: line.rindex(" ") + 1] + whole
        os.write(terminal, f"{line}\t".encode())
        assert expected in shown_until(expected, terminal)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(terminal)


def shown_until(expected, terminal):
    """Return what a terminal shows, up to the expected text, or until nothing more comes."""
    seen = ""
    while expected not in seen and select.select([terminal], [], [], 10)[0]:
        seen += os.read(terminal, 4096).decode()
    return seen


def test_bash_offers_every_verb_list_model_and_picture(script, folder):
    code = f"source {script('bash')}; _moreish; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    for words, expected in (
        ("moreish ''", VERBS),
        ("moreish train ''", {*BUNDLED, *DOWNLOADS}),
        ("moreish tune --model ''", MODELS),
        ("moreish lr-find --model ''", NETS),
        ("moreish plot runs/one loss ''", PICTURES),
    ):
        n = len(words.split()) - 1
        found = answers(["bash", "-c", f"COMP_WORDS=({words}); COMP_CWORD={n}; {code}"], folder)
        assert found == set(expected)


def test_another_shell_is_refused(capsys):
    assert run(["completion", "csh"]) == 2
    assert "zsh" in capsys.readouterr().err
