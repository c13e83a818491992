"""The methods of a model that draw words and find the most likely ones, free or under constraints."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

from ..corpus import Corpus, Vocab
from ..errors import InputError
from ..sampling import (
    Candidates,
    Constraints,
    Drawing,
    DrawingByLength,
    Samples,
    SamplingModel,
    SamplingOptions,
    most_likely,
    wished_lengths,
)


class DrawsWords(ABC):
    """The part of a `Model` that draws words."""

    vocab: Vocab
    corpus: Corpus | None = None

    @abstractmethod
    def sampling_models(self, label: str | None = None) -> list[SamplingModel]:
        """Return the model as sampling uses it; for a model with labels, that of one label, or of each."""

    def sample(
        self,
        n: int = 20,
        *,
        label: str | None = None,
        seed: int = 42,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        prefix: str = "",
        suffix: str = "",
        contains: str = "",
        pattern: str = "",
        min_length: int = 1,
        max_length: int | None = None,
        forbid: str = "",
        require: str = "",
        near: str = "",
        edits: int | None = None,
        gap: str = "",
        without: Collection[str] = (),
        prefer: Collection[str] | Mapping[str, float] = (),
        syllables: int | str = "",
        like: str = "",
        lengths: str | Mapping[int, float] = "",
        avoid: Collection[str] = (),
        distinct: bool = False,
        exact: bool = False,
        tries: int | None = None,
        on_progress: Callable[[int, int], None] = lambda found, tried: None,
        on_cost: Callable[[str], None] = lambda cost: None,
    ) -> Samples:
        """Draw n words that satisfy the constraints, each as often as the model generates it among these words.

        label           of a model with labels; None draws labels by their shares in the list
        temperature     values below 1 make likely characters more likely, values above 1 make all more equal; 0 always
                        takes the most likely character
        top_k           draw from the k most likely characters only; 0 for all
        top_p           draw from the fewest characters with this total probability; 1 for all
        prefix, suffix, contains        text that every word begins with, ends with or contains
        pattern         pattern that every word matches: ? is any character, * any number of them, [aeiou] or [a-f] one
                        of these, [^xyz] any other, \\v a vowel (y is one), \\c a consonant; a backslash takes any
                        other character literally
        gap             word with gaps, such as jo__than: _ is any character, and a pattern's signs are allowed
        min_length, max_length          in characters. Without max_length a word is drawn again if it is over 2 L + 10
                        characters longer than the shortest that fits, where L is the length of the list's longest word,
                        or over 1,000
        forbid, require characters that no word contains, and that every word contains
        without         pieces of text that no word contains; one with a character that the model does not know is
                        ignored
        prefer          pieces of text as {"ann": 2}, or as ["ann:2"]: a word that contains ann is twice as likely,
                        relative to other words, as under the model; a number below 1 makes it rarer. The number is what
                        follows the last colon, 2 if there is none. Several are multiplied. A text with a character that
                        the model does not know is ignored
        near, edits     word that every word is a number of edits away from (1 by default)
        syllables       number of syllables, such as 2 or "2-3": runs of vowels as written (y is a vowel)
        like            word that others should sound like, as "anna" or "anna:10": each edit makes a word 10 times less
                        likely. An edit inserts, deletes or replaces a character; to double it, or to replace it by a
                        similar one, is half an edit. Words that take over 3 edits, or over half as many as the word
                        has characters, are left out, and so is the word itself
        lengths         how often words of each length are drawn, whatever the model thinks of it: "list" for as often
                        as in the list (the train part, by its weights; with a label, the words of this label), or
                        {4: 1, 5: 2} or "4:1,5:2" for 5 characters twice as often as 4, or "4-8" for each equally often.
                        Lengths of which no word fits are left out. Words of one length are drawn as without it
        avoid           words to leave out; corpus.words for new words only
        distinct        draw each word only once
        exact           do without the estimates of look-ahead, whatever that costs: see `Samples`
        tries           words to draw at most if not all of them fit; None for 2 million, or 1,000 for each of the n
                        words if that is more; drawing then also ends after 131,072 words in a row that are
                        excluded or were drawn before. With lengths, the limit is that of each length
        on_progress     called with the number of words found and of words drawn
        on_cost         called with a line about the time that an exact draw takes, if it takes long

        The same seed gives the same words. No word is empty. The list has attributes for the way of drawing and the
        share of the model's words that fit (see `Samples`). Raises InputError for values out of range, for characters
        that the model does not know, and for constraints that no word satisfies.
        """
        samples = self.stream(
            n,
            label=label,
            seed=seed,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            lengths=lengths,
            avoid=avoid,
            distinct=distinct,
            exact=exact,
            tries=tries,
            on_progress=on_progress,
            on_cost=on_cost,
            prefix=prefix,
            suffix=suffix,
            contains=contains,
            pattern=pattern,
            min_length=min_length,
            max_length=max_length,
            forbid=forbid,
            require=require,
            near=near,
            edits=edits,
            gap=gap,
            without=without,
            prefer=prefer,
            syllables=syllables,
            like=like,
        ).samples()
        samples.corpus = self.corpus
        return samples

    def stream(
        self,
        n: int,
        *,
        label: str | None = None,
        seed: int = 42,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        lengths: str | Mapping[int, float] = "",
        avoid: Collection[str] = (),
        distinct: bool = False,
        exact: bool = False,
        tries: int | None = None,
        on_progress: Callable[[int, int], None] = lambda found, tried: None,
        on_cost: Callable[[str], None] = lambda cost: None,
        **constraints: Any,
    ) -> Drawing:
        """Draw the words of `sample` in bounded memory: iterating yields them in lists of some thousands.

        The arguments and errors are those of `sample`. With `distinct`, the words drawn are kept in memory. After the
        last word the attributes method, share, effective, head and tried are those of `Samples`.
        """
        if not 0 <= n < 1 << 31:
            raise InputError(f"the number of samples is {n}: it must be from 0 to {(1 << 31) - 1:,}")
        if not 0 <= seed < 1 << 63:
            raise InputError(f"seed is {seed}: it must be from 0 to 2**63 - 1")
        if tries is not None and tries < n:
            raise InputError(f"tries is {tries}: it must be at least the number of samples, {n}")
        options = SamplingOptions(temperature, min(top_k, len(self.vocab)), top_p)
        models = self.sampling_models(label)
        drawing = partial(DrawingByLength, wished_lengths(lengths, self.corpus, label)) if lengths else Drawing
        return drawing(
            *(models, n, seed, options, Constraints(**constraints)),
            avoid=avoid,
            distinct=distinct,
            exact=exact,
            tries=tries,
            on_progress=on_progress,
            on_cost=on_cost,
        )

    def most_likely(
        self, n: int = 20, *, label: str | None = None, avoid: Collection[str] = (), **constraints: Any
    ) -> Candidates:
        """Find the n most likely words that satisfy the constraints, by beam search.

        The label, the constraints and `avoid` are as in `sample`. The list's attribute `proven` is True if the search
        cannot have missed a more likely word. Raises InputError as `sample` does.
        """
        models = self.sampling_models(label)
        return most_likely(models, n, Constraints(**constraints).words(self.vocab), avoid)

    def fill(self, gap: str, n: int = 20, **constraints: Any) -> Candidates:
        """Find the n most likely ways to fill the gaps of a word such as jo__than: `most_likely` with a gap.

        Raises InputError as `sample` does.
        """
        if not gap:
            raise InputError("an empty word has no gap")
        return self.most_likely(n, gap=gap, **constraints)

    def vary(self, word: str, n: int = 20, *, edits: int = 1, **constraints: Any) -> Candidates:
        """Find the n most likely words at a number of edits from a word: `most_likely` near it.

        Raises InputError as `sample` does.
        """
        if not word:
            raise InputError("an empty word has no variations")
        return self.most_likely(n, near=word, edits=edits, **constraints)
