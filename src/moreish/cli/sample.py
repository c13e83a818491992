"""Generate new words with a trained model.

On a terminal, each word is marked "new", or with the part of the list (train, val, test) that contains it. A file or a
pipe gets the words alone, one per line, as they are drawn, so that `moreish train` and other programs can read them;
--marks adds a tab and the mark. Constraints such as --pattern limit the words; a word that fits them is drawn as often
as the model generates it among these. Where few words fit, an n-gram of the same list looks ahead, and its errors are
corrected; a line says how well, and --exact does without. With --prefer or --like, words have weights: a word with
twice the weight is twice as likely as it would be, relative to the others. Without --max-length, a word is drawn again
if it is over 2 L + 10 characters longer than the shortest word that fits, where L is the length of the longest word in
the list.

Examples:
  moreish sample runs/names-mlp -n 10
  moreish sample runs/names-mlp --prefix mar --temperature 0.8
  moreish sample runs/names-mlp --pattern 'm??a*' --forbid qx --only-new
  moreish sample runs/names-mlp --prefer ann:5 --prefer x:0.1
  moreish sample runs/names-mlp --lengths list
  moreish sample runs/names-mlp --like katherine --syllables 3
  moreish sample runs/names-mlp -n 1000000 --without-file banned.txt > words.txt
  moreish sample runs/names-mlp --most-likely
"""

import json as json_module
from pathlib import Path
from typing import Annotated, Any

from ..corpus import read_words
from ..errors import InputError
from ..sampling import method_line
from ..training.loading import load
from .arguments import constraint_arguments, given_constraints, tell_ineffective
from .candidates import (
    candidates_json,
    json_lines,
    print_candidates,
    samples_json,
    say_if_unproven,
    word_lines,
    write_lines,
)
from .fields import Flat
from .progress import DrawingView
from .terminal import announce_work, on_terminal, print_json, print_samples, say, say_if_diverged
from .values import Flag, Number, WholeNumber

ConstraintArguments = constraint_arguments()
MANY = 1_000_000  # words in one JSON object


def sample(
    run: Path,
    /,
    *,
    n: Number = 20,
    seed: WholeNumber | None = None,
    temperature: float = 1.0,
    top_k: WholeNumber = 0,
    top_p: float = 1.0,
    lengths: str | None = None,
    only_new: Flag = False,
    distinct: Flag = False,
    avoid: Path | None = None,
    exact: Flag = False,
    tries: WholeNumber | None = None,
    most_likely: Flag = False,
    marks: Flag = False,
    json: Flag = False,
    jsonl: Flag = False,
    constraints: Annotated[ConstraintArguments, Flat] = ConstraintArguments(),  # pyright: ignore[reportInvalidTypeForm]
) -> None:
    """Run `moreish sample`.

    Parameters
    ----------
    run
        Folder of a run.
    n
        Number of words.
    seed
        Seed of the random draw; the same seed gives the same words [default: the seed of the run].
    temperature
        Below 1, likely characters become more likely; above 1, all become more equal; at 0, the most likely is always
        taken.
    top_k
        Draw from the K most likely characters only; 0 means all.
    top_p
        Draw from the fewest characters with this total probability; 1 means all.
    lengths
        Draw each length as often as wished, whatever the model thinks of it: "list" for as often as in the list (its
        train part, by weight; with --label, the words of this label); 4:1,5:2 for 5 characters twice as often as 4;
        4-8 for each of these equally often. Lengths of which no word fits the constraints are left out.
    only_new
        Draw only new words: those that are not in the list.
    distinct
        Draw each word only once.
    avoid
        File of words to leave out, one per line.
    exact
        Draw each word exactly as often as the model generates it, whatever it costs; that is told first.
    tries
        Limit on the words drawn if not all of them fit [default: 2 million, or 1,000 for each word if that is more];
        with --lengths, that of each length. Without it, drawing also ends after 131,072 words in a row that are
        excluded or were drawn before.
    most_likely
        Find the most likely words by beam search instead of drawing at random.
    marks
        Print a line for each word: the word, with escapes as in `moreish score`, a tab, and new, train, val or test.
    json
        Print JSON: {"samples": [{"word": ..., "seen": "new" | "train" | "val" | "test"}, ...], "method": ...,
        "share": ..., "effective": ..., "head": ..., "tried": ...}. "share" is the share of the model's words beginning
        with "head" that fit, or with --prefer and --like their mean weight as a share of the largest one; "tried" is
        the number of words drawn. "effective" is the effective sample size of a draw by look-ahead, as a share; it is
        null for exact draws. With --most-likely every word has a "probability" and a "share", and "proven" is true if
        no more likely word can have been missed.
    jsonl
        Print a JSON object for each word, on one line: {"word": ..., "seen": ...}; with --most-likely also
        "probability" and "share".
    """
    if marks + json + jsonl > 1:
        raise InputError("--marks, --json and --jsonl are different forms of output: choose one")
    announce_work()
    loaded = load(run)
    say_if_diverged(loaded)
    of_words = given_constraints(constraints)
    tell_ineffective(of_words, loaded.model.vocab)
    unwanted = [*(read_words(avoid, format="text") if avoid else ()), *(loaded.corpus.words if only_new else ())]
    if most_likely:
        if (seed, temperature, top_k, top_p, distinct, exact, tries) != (None, 1.0, 0, 1.0, False, False, None):
            raise InputError("--most-likely draws nothing at random: it takes constraints, --avoid and --only-new")
        if lengths is not None:
            raise InputError("--lengths is for draws at random: with --most-likely, give --min-length and --max-length")
        found = loaded.model.most_likely(n, avoid=unwanted, **of_words)
        if json:
            print_json(candidates_json(loaded, found, "samples"))
        elif on_terminal() and not marks and not jsonl:
            print_candidates(loaded, found)
        else:
            objects = map(json_module.dumps, candidates_json(loaded, found, "samples")["samples"])
            write_lines(objects if jsonl else word_lines(loaded, [at.word for at in found], marks))
            say_if_unproven(found)
        return
    arguments: dict[str, Any] = {
        "seed": loaded.options.seed if seed is None else seed,
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "lengths": lengths or "",
        "avoid": unwanted,
        "distinct": distinct,
        "exact": exact,
        "tries": tries,
        "on_cost": say,
        **of_words,
    }
    if json and n > MANY:
        say(f"(--json keeps all {n:,} words in memory until the last is drawn: --jsonl prints each at once)")
    if json or (on_terminal() and not marks and not jsonl):  # the width of a table depends on all its words
        with DrawingView(n) as view:
            drawn = loaded.model.sample(n, on_progress=view, **arguments)
        if json:
            print_json(samples_json(loaded, drawn))
            return
        print_samples(drawn, [loaded.corpus.mark(word) for word in drawn])
    else:
        with DrawingView(n, hidden=on_terminal()) as view:
            drawn = loaded.model.stream(n, on_progress=view, **arguments)
            for words in drawn:
                write_lines(json_lines(loaded, words) if jsonl else word_lines(loaded, words, marks))
    if n and (drawn.method != "plain" or drawn.tried > n):
        say(method_line(drawn))
