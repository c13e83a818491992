"""Runs on the Hugging Face Hub: a repository of the files of a run, with a model card.

Only the files that a run has are sent and fetched, by their names: JSON, texts and safetensors. None of them runs code.
"""

from importlib import import_module
from pathlib import Path
from typing import Any

from ..corpus import WordList
from ..errors import InputError, WorkError, missing
from ..evaluation import evaluate, shown_interval
from ..files import write_atomically
from ..training.folder import COLUMNS, CONFIG, HISTORY, MODEL, START, WORDS, check_free, discard_folder, new_folder
from ..training.loading import load
from ..training.run import Run

SCHEME = "hf:"  # before the name of a repository
OF_WORDS = (WORDS, COLUMNS)  # sent on request alone
FILES = (HISTORY, MODEL, START, *OF_WORDS, CONFIG)  # written in this order
CARD = "README.md"


def push(folder: Path, repo: str, *, with_words: bool, public: bool, licence: str | None, force: bool) -> str:
    """Send the run in a folder to a repository, which is made if it does not exist; return its address.

    with_words  send the list of words too, without which the run can be loaded only by who has the list
    public      make a repository that everybody can read
    licence     identifier of the licence, for the model card
    force       replace a run that is in the repository

    Raises InputError for an unfinished run, one with weights or labels and without words, or a repository that holds a
    run already; and WorkError if the Hub cannot be reached.
    """
    run = load(folder)
    if not (folder / MODEL).is_file():
        raise InputError(f"{folder} is unfinished: continue it with moreish train --resume {folder}")
    if run.corpus.words.has_columns and not with_words:
        raise InputError(f"{folder} has weights or labels of words, without which it does not load: add --with-words")
    hub = _package()
    names = [name for name in FILES if (folder / name).is_file() and (with_words or name not in OF_WORDS)]
    files = {CARD: card(run, repo, with_words, licence).encode(), **{name: folder / name for name in names}}
    try:
        api = hub.HfApi()
        if not force and api.repo_exists(repo) and CONFIG in _names(api, repo):
            raise InputError(f"{repo} already holds a run: replace it with --force, or name another repository")
        made = api.create_repo(repo, private=not public, exist_ok=True)
        added = [hub.CommitOperationAdd(path_in_repo=name, path_or_fileobj=data) for name, data in files.items()]
        api.create_commit(repo, added, commit_message=f"Add a run of {run.model.name}")
    except InputError:
        raise
    except Exception as error:
        raise _failed(repo, error) from error
    return str(made)


def pull(repo: str, out: Path, words: WordList | None = None) -> Run:
    """Fetch a run from a repository into a folder, and return it.

    words   the list of the run, if the repository does not have it

    Raises InputError if the repository holds no run, or needs another list; WorkError if the Hub cannot be reached.
    """
    check_free(out)
    hub = _package()
    try:
        api = hub.HfApi()
        there = _names(api, repo)
        if {CONFIG, MODEL} <= there and (WORDS in there or words is not None):
            fetched = {name: Path(api.hf_hub_download(repo, name)).read_bytes() for name in FILES if name in there}
        else:
            fetched = dict[str, bytes]()
    except Exception as error:
        raise _failed(repo, error) from error
    if not {CONFIG, MODEL} <= there:
        raise InputError(f"{repo} holds no run of moreish: it has no {' or '.join((CONFIG, MODEL))}")
    if WORDS not in fetched and words is None:
        raise InputError(f"{repo} does not hold the list of words: give the same list with --words FILE")
    made = not out.exists()
    with new_folder(out):
        if WORDS not in fetched and words is not None:
            write_atomically(out / WORDS, words.pieces())
        for name, data in fetched.items():
            write_atomically(out / name, data)
    try:
        return load(out)
    except InputError:
        discard_folder(out, made)
        raise


def card(run: Run, repo: str, with_words: bool, licence: str | None) -> str:
    """Return the model card of a run: what it is, its losses with intervals, and how to use it."""
    found = evaluate(run.model, run.corpus, intervals=True)
    rows = [f"| {part} | {loss:.4f} | {shown_interval(found.interval[part])} |" for part, loss in found.loss.items()]
    head = ["library_name: moreish", "pipeline_tag: text-generation", *([f"license: {licence}"] if licence else [])]
    words = "" if with_words else " --words FILE"
    without = "" if with_words else "\nThe list of words is not in this repository; FILE must be the same list.\n"
    lines = [
        "---", *head, "---", "", f"# {repo.rpartition('/')[2]}", "",
        f"A character-level model of words, trained with moreish: {run.model.summary}.", "",
        "| part | loss (nats per token) | 95% interval |", "|---|---|---|", *rows, "",
        f"It was trained on {run.corpus.summary}, {run.corpus.split} split.",
        f"SHA-256 of the list: `{run.corpus.data_hash}`.", "",
        "```", f"moreish load {SCHEME}{repo} --out run{words}", "moreish sample run", "```", without,
    ]  # fmt: skip
    return "\n".join(lines)


def _names(api: Any, repo: str) -> set[str]:
    """Return the names of the files of a repository."""
    return {file.rfilename for file in api.model_info(repo).siblings}


def _package() -> Any:
    """Import huggingface_hub. Raises InputError if it is not installed."""
    try:
        return import_module("huggingface_hub")
    except ImportError:
        raise missing("the Hub needs the package huggingface_hub", "hub") from None


def _failed(repo: str, error: Exception) -> WorkError:
    """Return the error of a request to the Hub."""
    reason = (str(error).strip().splitlines() or [""])[0] or type(error).__name__
    return WorkError(f"{repo}: the Hub cannot be reached or refuses ({reason})")
