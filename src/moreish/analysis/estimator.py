"""A model with the methods of scikit-learn's estimators, for pipelines, grid searches and cross-validation.

scikit-learn knows an estimator by its methods, so this module works without it. Which options there are depends on the
model. Therefore the constructor takes any, `get_params` returns those that were given, and `fit` checks them.

`check_estimator` of scikit-learn passes, but gives no data to an estimator of text. With rows of numbers written as
words, these of its checks do not apply:

- those of numbers: sparse matrices, complex numbers, NaN, infinity, shapes, and `n_features_in_`, which estimators of
  text do not have
- those of the labels' numbers: labels are names, so 1.5 and infinity are labels too; y is one-dimensional
- accuracy on clouds of points: near points are not near words
- weights that equal repeats: `fit` splits its words at random, and a word that is repeated may be in several parts
- data with fewer than six different words, which cannot be split
- the type of the error before `fit`: it is an InputError, which is a ValueError, and not a NotFittedError
"""

import dataclasses
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ..corpus import WordList
from ..corpus.stream import in_batches
from ..errors import InputError
from ..models import MODELS
from ..models.labels import Labels
from ..models.model import Model
from ..options import Options
from ..training.loading import load
from ..training.options import OF_ALL_MODELS
from ..training.run import Run
from ..training.train import train
from .classification import Classifier

if TYPE_CHECKING:
    from sklearn.utils import Tags

SEEDS = 1 << 31  # that a generator chooses from


class WordModel:
    """A model of words with scikit-learn's methods: a density of words and, fitted with labels, a classifier.

        WordModel("gru", n_hidden=64).fit(words).score_samples(["anna", "xqzjk"])
        GridSearchCV(WordModel("ngram"), {"order": [2, 4, 6]}).fit(words).best_params_
        WordModel("ngram").fit(words, labels).predict(["anna"])

    model       name of the model, or None for what `train` chooses
    options     those of `train`, such as seed, steps or n_hidden. `get_params`, `set_params`, `clone` and the grids of
                searches know them by name

    Attributes of a fitted model:

    run_        the `Run`, with the model, the corpus and the losses
    classes_    the labels, sorted, (L,), if it was fitted with labels

    `fit` splits its words as `train` does: it learns from 80%, chooses the best weights on 10%, and leaves the last 10%
    to `run_.loss`. Names and values of options are checked by `fit`. scikit-learn is not needed. A method that needs a
    fitted model raises InputError before `fit`.
    """

    run_: Run
    classes_: np.ndarray

    def __init__(self, model: str | None = "mlp", **options: Any):
        self.model, self._options = model, options

    def __repr__(self) -> str:
        options = "".join(f", {name}={value!r}" for name, value in self._options.items())
        return f"WordModel({self.model!r}{options})"

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the model's name and the options by name. No option holds an estimator, so `deep` changes nothing."""
        return {"model": self.model, **self._options}

    def set_params(self, **params: Any) -> Self:
        """Set the model's name and options by name; the others stay."""
        self.model = params.pop("model", self.model)
        self._options = {**self._options, **params}
        return self

    def __sklearn_tags__(self) -> "Tags":
        """Return what scikit-learn needs to know. A classifier gets folds in which labels have equal shares."""
        from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags

        return Tags(
            estimator_type="classifier",
            target_tags=TargetTags(required=False),
            classifier_tags=ClassifierTags(),
            input_tags=InputTags(one_d_array=True, two_d_array=False, string=True),
        )

    def fit(
        self, words: Iterable[str], y: Collection[Any] | None = None, sample_weight: Collection[Any] | None = None
    ) -> Self:
        """Train the model on words.

        words           n words: a list, an array, a column of a table, or a `WordList`, with its weights and labels
        y               the label of each word, (n,), text or numbers; None for no labels
        sample_weight   how often each word counts, (n,); words with a weight of 0 are left out

        Raises InputError as `train` does.
        """
        for name, argument in (("weights", "sample_weight"), ("labels", "y")):
            if name in self._options:
                raise InputError(f"{name} is no option of WordModel: give fit the argument {argument}")
        labels = None if y is None else np.atleast_1d(np.asarray(y))
        if sample_weight is not None:
            words, sample_weight = WordList.of(words), np.asarray(sample_weight)
            kept = sample_weight != 0
            if kept.shape == (len(words),) and not kept.all():
                if not kept.any():
                    raise InputError("all weights are zero: a word counts if its weight is above 0")
                words, sample_weight = words[kept], sample_weight[kept]
                labels = labels[kept] if labels is not None and len(labels) == len(kept) else labels
        options: dict[str, Any] = {"progress": False, **self._options}
        listed = None if labels is None else labels.tolist()
        self._take(train(words, self.model, weights=sample_weight, labels=listed, **options), labels)
        return self

    def score_samples(self, words: Iterable[str]) -> np.ndarray:
        """Return the log-likelihood of each word in nats, its end included, float64 (n,).

        It is minus the sum of `Model.score(word).per_char`. With labels, it is that of the sum over labels. A character
        that the model does not know costs 13.9 nats, so the result is finite. Raises InputError for an empty word.
        """
        model, words = self._model(), WordList.of(words)
        return np.concatenate([np.zeros(0), *(_log_p(model, some) for some in in_batches(words))])

    def score(
        self, words: Iterable[str], y: Collection[Any] | None = None, sample_weight: Collection[Any] | None = None
    ) -> float:
        """Return the mean log-likelihood of words in nats per word or, with y and a model with labels, the accuracy.

        Higher is better, so this is what a grid search maximises. A model without labels ignores y. sample_weight (n,)
        are weights of the mean. Raises InputError if there are no words.
        """
        words, weights = WordList.of(words), None
        if not len(words):
            raise InputError("no words to score: give at least one")
        if sample_weight is not None:
            weights = np.asarray(sample_weight, float)
            if weights.shape != (len(words),):
                raise InputError(f"{weights.size:,} weights for {len(words):,} words: give one for each word")
        if y is None or self._model().labels is None:
            scores = self.score_samples(words)
        else:
            truth, found = _texts(y), _texts(self.predict(words))
            if len(truth) != len(words):
                raise InputError(f"{len(truth):,} labels for {len(words):,} words: give one for each word")
            scores = np.array([a == b for a, b in zip(truth, found, strict=True)], float)
        return float(np.average(scores, weights=weights))

    def predict_proba(self, words: Iterable[str]) -> np.ndarray:
        """Return the probability of each label for each word, float64 (n, L), in the order of `classes_`.

        The probabilities are those of `Classifier`. Raises InputError for a model without labels.
        """
        self._model()
        classifier = self._classifier or Classifier(self.run_)  # which raises the error
        found = [classifier.probabilities(some) for some in in_batches(WordList.of(words))]
        return np.concatenate([np.zeros((0, len(classifier.labels))), *found])[:, self._numbers(classifier.labels)]

    def predict(self, words: Iterable[str]) -> np.ndarray:
        """Return the likeliest of `classes_` for each word, (n,). Raises InputError as `predict_proba` does."""
        likeliest = self.predict_proba(words).argmax(1)
        return self.classes_[likeliest]

    def sample(
        self,
        n_samples: int = 1,
        random_state: int | np.random.Generator | np.random.RandomState | None = None,
        **constraints: Any,
    ) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """Draw words, (n_samples,), and, if the model has labels, the label of each, (n_samples,).

        random_state    a whole number, which is the seed of `Model.sample`: the same one draws the same words; or a
                        NumPy generator. None draws other words each time, as KernelDensity.sample does
        constraints     arguments of `Model.sample`, such as prefix="ma", temperature=0.8 or label="a"

        So it returns points as KernelDensity.sample does or, with labels, a pair as GaussianMixture.sample does, but in
        random order. The label of a word is drawn from p(label | word), by Bayes' rule, so pairs are as likely as under
        the model; a temperature applies to the words alone. Raises InputError as `Model.sample` does.
        """
        model, seed = self._model(), _seed(random_state)
        words = np.array(list(model.sample(n_samples, seed=seed, **constraints)), np.str_)
        if model.labels is None:
            return words
        if constraints.get("label") is not None:
            numbers = np.full(len(words), model.labels.number(str(constraints["label"])))
        else:
            given = [_log_p(model.of_label(number), words.tolist()) for number in range(len(model.labels))]
            log_p = np.log(model.labels.shares) + np.stack(given, 1)
            # The largest of logarithms with Gumbel noise is a draw from their distribution.
            numbers = (log_p + np.random.default_rng([seed, 1]).gumbel(size=log_p.shape)).argmax(1)
        return words, self.classes_[np.argsort(self._numbers(model.labels))[numbers]]

    def save(self, path: str | Path) -> Self:
        """Write the run into a folder that does not exist or is empty, as `Run.save` does; no file is a pickle."""
        self._model()
        self.run_.save(path)
        return self

    @classmethod
    def load(cls, run: Run | str | Path) -> Self:
        """Return the fitted estimator of a run, or of the run in a folder, however it was trained.

        Its parameters are the run's model and the options that differ from their defaults; those of a mixture are its
        split and seed. Its classes are text, as labels are in a run. Raises InputError as `load` does.
        """
        run = run if isinstance(run, Run) else load(run)
        model, chosen = run.model.name, {**_changed(run.options), **_changed(run.model.config)}
        if model not in MODELS:
            model, chosen = None, {name: value for name, value in chosen.items() if name in OF_ALL_MODELS}
        found = cls(model, **chosen)
        found._take(run)
        return found

    def _take(self, run: Run, labels: np.ndarray | None = None) -> None:
        """Take a run, and the classes among the labels of its words as they were given, or else as the run has them."""
        self.run_, self._classifier = run, None if run.model.labels is None else Classifier(run)
        vars(self).pop("classes_", None)
        if labels is not None:
            different = dict(zip(_texts(labels), labels, strict=True))
            self.classes_ = np.unique(np.array(list(different.values())))
        elif run.model.labels is not None:
            self.classes_ = np.array(run.model.labels.names)

    def _model(self) -> Model:
        if "run_" not in vars(self):
            raise InputError("this WordModel has no model yet: call fit first")
        return self.run_.model

    def _numbers(self, labels: Labels) -> list[int]:
        """Return the number of each class among the labels of the model."""
        return [labels.number(name) for name in _texts(self.classes_)]


def _texts(labels: Collection[Any]) -> list[str]:
    """Return labels as a run has them: text in NFC."""
    return [unicodedata.normalize("NFC", str(label)) for label in np.atleast_1d(np.asarray(labels)).tolist()]


def _log_p(model: Model, words: Sequence[str]) -> np.ndarray:
    """Return the log-likelihood of each word in nats, float64 (n,)."""
    tokens = np.fromiter(map(len, words), np.int64, len(words)) + 1
    nll, _ = model.nll_of_words(words)
    return -np.add.reduceat(nll, np.cumsum(tokens) - tokens)


def _seed(random_state: int | np.random.Generator | np.random.RandomState | None) -> int:
    """Return a random state as a seed; None is a new one each time."""
    if isinstance(random_state, Integral):
        return int(random_state)
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(SEEDS))
    if random_state is not None and not isinstance(random_state, np.random.Generator):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError(f"random_state is {random_state!r}: it must be a whole number, a NumPy generator or None")
    return int(np.random.default_rng(random_state).integers(SEEDS))


def _changed(options: Options) -> dict[str, Any]:
    """Return the options that differ from their defaults, by name."""
    fields = dataclasses.fields(options)
    return {f.name: getattr(options, f.name) for f in fields if getattr(options, f.name) != f.default}
