"""`moreish push` and `moreish load hf:`: what a stand-in for the Hub gets, and what comes back from it."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import moreish
from moreish.cli import run
from moreish.evaluation import evaluate

WORDS = ["ab", "abba", "ba", "bab", "aab", "abab", "bba"] * 60


class Hub:
    """A stand-in for huggingface_hub: repositories are folders, and files are bytes."""

    def __init__(self, folder: Path):
        self.folder, self.repos, self.problem = folder, {}, None
        self.CommitOperationAdd = SimpleNamespace

    def HfApi(self):
        if self.problem:
            raise self.problem
        return self

    def repo_exists(self, repo):
        return repo in self.repos

    def create_repo(self, repo, *, private, exist_ok):
        self.repos.setdefault(repo, {"private": private, "files": {}})
        return f"https://hub.example/{repo}"

    def create_commit(self, repo, operations, *, commit_message):
        for added in operations:
            data = added.path_or_fileobj
            self.repos[repo]["files"][added.path_in_repo] = data if isinstance(data, bytes) else data.read_bytes()

    def model_info(self, repo):
        return SimpleNamespace(siblings=[SimpleNamespace(rfilename=name) for name in self.repos[repo]["files"]])

    def hf_hub_download(self, repo, name):
        path = self.folder / name
        path.write_bytes(self.repos[repo]["files"][name])
        return str(path)


@pytest.fixture
def hub(tmp_path, monkeypatch) -> Hub:
    (tmp_path / "cache").mkdir()
    monkeypatch.chdir(tmp_path)
    stand_in = Hub(tmp_path / "cache")
    monkeypatch.setitem(sys.modules, "huggingface_hub", stand_in)  # pyright: ignore[reportArgumentType]
    return stand_in


@pytest.fixture
def mlp(tmp_path) -> moreish.Run:
    made = moreish.train(WORDS, "mlp", n_embd=2, n_hidden=4, block_size=2, steps=5, out=tmp_path / "mlp")
    (tmp_path / "mlp" / "notes.pkl").write_bytes(b"not of the run")
    return made


def complaint(capsys, status: int, *tokens: str) -> str:
    """The one line with which a command is refused."""
    capsys.readouterr()
    assert run(list(tokens)) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    return err


def test_a_run_comes_back_from_the_hub_as_it_was(hub, mlp, capsys):
    assert run(["push", "mlp", "anna/words", "--with-words", "--licence", "mit"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "https://hub.example/anna/words",
        "load it with: moreish load hf:anna/words --out RUN",
    ]
    stored = hub.repos["anna/words"]
    assert stored["private"]
    assert set(stored["files"]) == {"README.md", "config.json", "history.jsonl", "model.safetensors", "words.txt"}
    stored["files"]["other.pkl"] = b"not of the run"
    assert run(["load", "hf:anna/words", "--out", "back"]) == 0
    assert sorted(path.name for path in Path("back").iterdir()) == sorted(
        set(stored["files"]) - {"README.md", "other.pkl"}
    )
    back = moreish.load("back")
    assert back.model.params.tobytes() == mlp.model.params.tobytes()
    assert list(back.corpus.words) == WORDS


def test_the_card_has_losses_with_intervals_the_licence_and_the_hash(hub, mlp):
    assert run(["push", "mlp", "anna/words", "--licence", "cc-by-4.0", "--public"]) == 0
    assert not hub.repos["anna/words"]["private"]
    card = hub.repos["anna/words"]["files"]["README.md"].decode()
    found = evaluate(mlp.model, mlp.corpus, intervals=True)
    for part in ("train", "val", "test"):
        low, high = found.interval[part] or (0, 0)
        assert f"| {part} | {found.loss[part]:.4f} | {low:.4f} to {high:.4f} |" in card
    assert card.startswith("---\n")
    assert "\nlicense: cc-by-4.0\n" in card.split("---\n")[1]
    assert mlp.corpus.data_hash in card
    assert "moreish load hf:anna/words --out run --words FILE" in card


def test_a_list_that_was_not_sent_is_given_again(hub, mlp, capsys):
    assert run(["push", "mlp", "anna/words"]) == 0
    assert not any(b"abba" in data for data in hub.repos["anna/words"]["files"].values())
    line = complaint(capsys, 2, "load", "hf:anna/words", "--out", "back")
    assert line == "moreish: anna/words does not hold the list of words: give the same list with --words FILE\n"
    Path("other.txt").write_text("\n".join(WORDS[1:]))
    assert "not the list that the model was trained on" in complaint(
        capsys, 2, "load", "hf:anna/words", "--out", "back", "--words", "other.txt"
    )
    assert not Path("back").exists()
    Path("same.txt").write_text("\n".join(WORDS))
    assert run(["load", "hf:anna/words", "--out", "back", "--words", "same.txt"]) == 0
    assert moreish.load("back").loss == mlp.loss


def test_a_run_in_a_repository_is_replaced_only_with_force(hub, mlp, capsys):
    assert run(["push", "mlp", "anna/words"]) == 0
    before = dict(hub.repos["anna/words"]["files"])
    assert "already holds a run: replace it with --force" in complaint(
        capsys, 2, "push", "mlp", "anna/words", "--with-words"
    )
    assert hub.repos["anna/words"]["files"] == before
    assert run(["push", "mlp", "anna/words", "--with-words", "--force"]) == 0
    assert "words.txt" in hub.repos["anna/words"]["files"]


def test_a_repository_without_a_run_is_refused(hub, capsys):
    hub.repos["anna/other"] = {"private": False, "files": {"model.bin": b"", "words.txt": b"ab"}}
    line = complaint(capsys, 2, "load", "hf:anna/other", "--out", "back")
    assert line == "moreish: anna/other holds no run of moreish: it has no config.json or model.safetensors\n"
    assert not Path("back").exists()


def test_a_run_with_labels_goes_with_its_words(hub, capsys):
    made = moreish.train(WORDS, "ngram", order=2, labels=[word[0] for word in WORDS], out="labelled")
    assert "labelled has weights or labels of words" in complaint(capsys, 2, "push", "labelled", "anna/labelled")
    assert not hub.repos
    assert run(["push", "labelled", "anna/labelled", "--with-words"]) == 0
    assert run(["load", "hf:anna/labelled", "--out", "back"]) == 0
    back = moreish.load("back")
    assert back.loss == made.loss
    assert back.model.sample(5, label="b") == made.model.sample(5, label="b")


def test_an_unfinished_run_is_not_sent(hub, capsys):
    def stop(at):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        moreish.train(WORDS, "mlp", n_hidden=4, steps=50, out="stopped", on_progress=stop)
    assert "stopped is unfinished: continue it with" in complaint(capsys, 2, "push", "stopped", "anna/words")
    assert not hub.repos


@pytest.mark.parametrize("command", [["push", "mlp", "anna/words"], ["load", "hf:anna/words", "--out", "back"]])
def test_without_a_network_or_the_package_one_line_says_so(hub, mlp, capsys, monkeypatch, command):
    hub.problem = ConnectionError("Name or service not known\nand more")
    expected = "moreish: anna/words: the Hub cannot be reached or refuses (Name or service not known)\n"
    assert complaint(capsys, 1, *command) == expected
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert "the Hub needs the package huggingface_hub: " in complaint(capsys, 2, *command)
    assert not Path("back").exists()


def test_the_real_package_has_what_the_stand_in_has():
    from inspect import signature

    import huggingface_hub

    for name, given in {
        "repo_exists": {"repo_id"},
        "create_repo": {"repo_id", "private", "exist_ok"},
        "create_commit": {"repo_id", "operations", "commit_message"},
        "model_info": {"repo_id"},
        "hf_hub_download": {"repo_id", "filename"},
    }.items():
        assert given <= set(signature(getattr(huggingface_hub.HfApi, name)).parameters)
    info = huggingface_hub.hf_api.ModelInfo(id="anna/words", siblings=[{"rfilename": "config.json"}])
    assert [file.rfilename for file in info.siblings or ()] == ["config.json"]
    added = huggingface_hub.CommitOperationAdd(path_in_repo="a", path_or_fileobj=Path(__file__))
    assert added.upload_info.size == Path(__file__).stat().st_size
