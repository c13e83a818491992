"""Make new words with a trained model.

Each word is marked new, or with the part of the list (train, val, test) that it stands in. What words have to be can be
said in many ways; those that fit are drawn exactly as often as the model makes them.

Examples:
  moreish sample runs/names-mlp -n 10
  moreish sample runs/names-mlp --prefix mar --temperature 0.8
  moreish sample runs/names-mlp --pattern 'm??a*' --max-length 8 --forbid qx --only-new
  moreish sample runs/names-mlp --most-likely
"""

from pathlib import Path
from typing import Annotated

from ..corpus import read_words
from ..errors import InputError
from ..training.run import load
from .arguments import Flat, constraint_arguments, given
from .candidates import candidates_json, how, print_candidates, samples_json
from .progress import DrawingView
from .terminal import announce_work, print_json, print_samples, say
from .values import Flag, Number, WholeNumber

Asked = constraint_arguments()


def sample(
    run: Path,
    /,
    *,
    n: Number = 20,
    seed: WholeNumber | None = None,
    temperature: float = 1.0,
    top_k: WholeNumber = 0,
    top_p: float = 1.0,
    only_new: Flag = False,
    distinct: Flag = False,
    avoid: Path | None = None,
    tries: WholeNumber | None = None,
    most_likely: Flag = False,
    json: Flag = False,
    asked: Annotated[Asked, Flat] = Asked(),  # pyright: ignore[reportInvalidTypeForm]
) -> None:
    """Run `moreish sample`.

    Parameters
    ----------
    run
        Folder of a run.
    n
        How many words.
    seed
        Seed of the draw: the same seed gives the same words [default: that of the run].
    temperature
        Below 1 keeps to the likely, above 1 ventures; 0 always takes the likeliest character.
    top_k
        Draw among the K likeliest characters only; 0 is all of them.
    top_p
        Draw among the fewest characters that have this share of the probability; 1 is all of them.
    only_new
        Only words that are not in the list.
    distinct
        Each word once.
    avoid
        A file of words that are not wanted, one a line.
    tries
        How many words are drawn at most where not every one fits [default: two million, or a thousand for each word].
    most_likely
        The likeliest words of all, by beam search, in place of words by chance.
    json
        Print JSON: {"samples": [{"word": ..., "seen": "new" | "train" | "val" | "test"}, ...], "method": ...,
        "share": of the model's words that begin with "head" how many fit, "tried": words that were drawn}; with
        --most-likely "probability" and
        "share" of each word, and whether they are "proven" to be the likeliest.
    """
    announce_work()
    loaded = load(run)
    unwanted = [*(read_words(avoid) if avoid else ()), *(loaded.corpus.words if only_new else ())]
    if most_likely:
        if (seed, temperature, top_k, top_p, distinct, tries) != (None, 1.0, 0, 1.0, False, None):
            raise InputError("--most-likely draws nothing: give it no option of drawing, only what words have to be")
        found = loaded.model.most_likely(n, avoid=unwanted, **given(asked))
        print_json(candidates_json(loaded, found, "samples")) if json else print_candidates(loaded, found)
        return
    with DrawingView(n) as view:
        words = loaded.model.sample(
            n,
            seed=loaded.options.seed if seed is None else seed,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            avoid=unwanted,
            distinct=distinct,
            tries=tries,
            on_progress=view,
            **given(asked),
        )
    if json:
        print_json(samples_json(loaded, words))
        return
    print_samples(words, [loaded.corpus.mark(word) for word in words])
    if words.method != "plain" or words.tried > n:
        say(how(words))
