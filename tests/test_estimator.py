"""The estimator with scikit-learn's methods: what it returns, and how scikit-learn gets on with it."""

import pickle
import subprocess
import sys
from collections import Counter
from typing import Any

import numpy as np
import pytest
from conftest import made_up_words
from sklearn.base import clone
from sklearn.exceptions import SkipTestWarning
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import check_estimator

import moreish
from moreish import InputError, WordModel

OTHERS = ["ba", "ce", "gagaga", "xyz", "e"]


@pytest.fixture(scope="module")
def labelled():
    """Words of two made-up languages, and the number of each word's language: as text, 10 comes before 2."""
    first, second = made_up_words(150, alphabet="abcde"), made_up_words(100, seed=1, alphabet="acefg")
    return [*first, *second], [2] * 150 + [10] * 100


@pytest.fixture(scope="module")
def density(words):
    return WordModel("ngram", order=3).fit(words)


@pytest.fixture(scope="module")
def classifier(labelled):
    return WordModel("ngram", order=3).fit(*labelled)


def test_the_score_of_a_word_is_its_log_likelihood(density, classifier, words):
    for fitted in (density, classifier):
        by_word = [-sum(fitted.run_.model.score(word).per_char) for word in OTHERS]
        np.testing.assert_allclose(fitted.score_samples(OTHERS), by_word, rtol=1e-12)
        assert fitted.score(OTHERS) == pytest.approx(np.mean(by_word), rel=1e-12)
        assert fitted.score(OTHERS, sample_weight=[1, 0, 0, 3, 0]) == pytest.approx((by_word[0] + 3 * by_word[3]) / 4)
    assert density.score(OTHERS, y=[1, 2, 3, 4, 5]) == density.score(OTHERS)  # it has no labels
    test = density.run_.corpus.parts["test"]
    per_token = -density.score_samples(test).sum() / (test.n_characters + len(test))
    assert per_token == pytest.approx(density.run_.loss["test"], rel=1e-9)
    assert density.score_samples([]).shape == (0,)


def test_it_trains_as_train_does(words):
    of_net: dict[str, Any] = {"n_hidden": 8, "steps": 50, "seed": 3}
    for model, options in (("mlp", of_net), ("bigram-counts", {}), (None, {})):
        fitted, run = WordModel(model, **options).fit(np.array(words)), moreish.train(words, model, **options)
        assert fitted.run_.model.name == run.model.name
        np.testing.assert_array_equal(fitted.score_samples(OTHERS), WordModel.load(run).score_samples(OTHERS))


def test_the_same_random_state_draws_the_same_words(density):
    drawn = density.sample(50, random_state=7)
    assert drawn.shape == (50,)
    assert drawn.tolist() == density.run_.model.sample(50, seed=7) == density.sample(50, random_state=7).tolist()
    for kind in (np.random.default_rng, np.random.RandomState):
        generator = kind(7)
        one, other = density.sample(50, generator), density.sample(50, generator)
        assert one.tolist() != other.tolist()
        assert one.tolist() == density.sample(50, kind(7)).tolist()
    assert density.sample(50).tolist() != density.sample(50).tolist()
    assert all(word.startswith("ba") for word in density.sample(20, 1, prefix="ba"))
    assert density.sample().shape == (1,)


def test_labels_are_drawn_with_their_words_as_often_as_the_model_has_them(classifier):
    n, model = 20_000, classifier.run_.model
    words, labels = classifier.sample(n, random_state=1)
    assert words.tolist() == model.sample(n, seed=1)
    found, of_words = Counter(zip(words.tolist(), labels.tolist(), strict=True)), Counter(words.tolist())
    spread = []
    for word, times in of_words.most_common(40):
        given = [np.exp(-sum(model.score(word, label=label).per_char)) for label in (2, 10)]
        p = given[0] * model.labels.shares[1] / (given @ model.labels.shares[::-1])  # the names are sorted as text
        spread.append(times * p * (1 - p))
        assert found[word, 2] == pytest.approx(times * p, abs=5 * np.sqrt(spread[-1]) + 1), word
    assert max(spread) > 100  # some words are common in both languages
    assert set(classifier.sample(20, 1, label=10)[1]) == {10}


def test_probabilities_are_those_of_the_classifier_in_the_order_of_the_classes(classifier, labelled):
    assert classifier.classes_.tolist() == [2, 10]
    told = moreish.Classifier(classifier.run_)
    p = classifier.predict_proba(OTHERS)
    for word, row, label in zip(OTHERS, p, classifier.predict(OTHERS), strict=True):
        found = told.classify(word)
        assert row.tolist() == pytest.approx([found.probabilities["2"], found.probabilities["10"]], rel=1e-9)
        assert str(label) == found.label
    words, labels = labelled
    assert classifier.score(words, labels) == np.mean(classifier.predict(words) == labels)
    assert classifier.score(words[:3], labels[:3], [0, 0, 1]) == float(classifier.predict(words[2:3])[0] == labels[2])


def test_weights_and_labels_reach_the_training(labelled):
    words, labels = labelled
    weights = np.arange(len(words)) % 4
    fitted = WordModel("ngram", order=2).fit(words, labels, sample_weight=weights)
    kept = np.flatnonzero(weights)
    listed = moreish.WordList.of([words[i] for i in kept]).with_weights(weights[kept])
    run = moreish.train(listed.with_labels([labels[i] for i in kept]), "ngram", order=2)
    np.testing.assert_array_equal(fitted.score_samples(OTHERS), WordModel.load(run).score_samples(OTHERS))
    fitted = WordModel("ngram").fit(moreish.WordList.of(words).with_labels(labels))
    assert fitted.classes_.tolist() == ["10", "2"]


@pytest.mark.parametrize(("model", "options"), [("mlp", {"n_hidden": 8, "steps": 60}), ("ngram", {"order": 2})])
def test_a_saved_estimator_comes_back_with_its_parameters(model, options, labelled, tmp_path):
    fitted = WordModel(model, seed=5, **options).fit(*labelled).save(tmp_path / "run")
    loaded = WordModel.load(tmp_path / "run")
    assert {"model": model, "seed": 5, **options}.items() <= loaded.get_params().items()
    copied: Any = clone(loaded)
    again = pickle.loads(pickle.dumps(copied.fit(*labelled)))
    for other in (loaded, again):
        np.testing.assert_array_equal(other.predict_proba(OTHERS).sum(1), fitted.predict_proba(OTHERS).sum(1))
        np.testing.assert_array_equal(other.score_samples(OTHERS), fitted.score_samples(OTHERS))
    assert loaded.score(*labelled) == fitted.score(*labelled)
    assert loaded.classes_.tolist() == ["10", "2"]
    assert again.classes_.tolist() == [2, 10]


def test_what_cannot_be_is_told(density, words):
    for method in (WordModel().score_samples, WordModel().predict, lambda words: WordModel().sample()):
        with pytest.raises(InputError, match="call fit first"):
            method(words)
    with pytest.raises(InputError, match="no labels"):
        density.predict(words)
    with pytest.raises(InputError, match="unknown option of ngram --ordr; did you mean --order"):
        WordModel("ngram", ordr=3).fit(words)
    with pytest.raises(InputError, match="labels is no option of WordModel: give fit the argument y"):
        WordModel("ngram", labels=words).fit(words)
    with pytest.raises(InputError, match="2 weights for 400 words"):
        WordModel("ngram").fit(words, sample_weight=[1, 0])
    with pytest.raises(InputError, match="all weights are zero"):
        WordModel("ngram").fit(words, sample_weight=[0] * 400)
    with pytest.raises(InputError, match="single string"):
        density.score_samples("anna")
    with pytest.raises(InputError, match="1 labels for 400 words"):
        WordModel("ngram").fit(words, [3])
    with pytest.raises(InputError, match="1 weights for 5 words"):
        density.score(OTHERS, sample_weight=[1])
    with pytest.raises(InputError, match="random_state is 'x'"):
        density.sample(3, "x")
    with pytest.raises(InputError, match="no words to score"):
        density.score([])


def test_it_works_without_scikit_learn():
    code = (
        "import sys; sys.modules['sklearn'] = None\n"
        "import moreish\n"
        "fitted = moreish.WordModel('bigram-counts').fit(moreish.bundled('minerals'))\n"
        "assert fitted.set_params(seed=1).get_params() == {'model': 'bigram-counts', 'seed': 1}\n"
        "assert fitted.score(['quartz']) < 0 and len(fitted.sample(3, 1)) == 3"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_it_is_cloned_with_every_option():
    model = WordModel("gru", n_hidden=8).set_params(dropout=0.1)
    copied: Any = clone(model)
    assert copied.get_params() == model.get_params() == {"model": "gru", "n_hidden": 8, "dropout": 0.1}
    assert repr(copied) == "WordModel('gru', n_hidden=8, dropout=0.1)"


def test_a_grid_search_chooses_by_the_likelihood_of_held_out_words(words):
    grid = [{"model": ["ngram"], "order": [1, 3]}, {"model": ["mlp"], "n_hidden": [4], "steps": [20]}]
    search = GridSearchCV(WordModel(), grid, cv=2).fit(words)
    for params, score in zip(search.cv_results_["params"], search.cv_results_["split0_test_score"], strict=True):
        fitted = WordModel(**params).fit(words[200:])
        assert score == pytest.approx(fitted.score_samples(words[:200]).mean(), rel=1e-9)
    assert search.best_params_ == {"model": "ngram", "order": 3}
    assert search.best_score_ == max(search.cv_results_["mean_test_score"])
    assert search.best_estimator_.score(OTHERS) == search.score(OTHERS)
    assert "WordModel" in search._repr_html_()


def test_it_is_cross_validated_as_a_classifier(labelled):
    words, labels = np.array(labelled[0]), np.array(labelled[1])
    model = WordModel("ngram", order=2)
    for scoring in (None, "neg_log_loss", "roc_auc"):
        scores = cross_val_score(model, words, labels, cv=3, scoring=scoring, params={"sample_weight": labels})
        assert np.isfinite(scores).all()
        assert scores.shape == (3,)
    fitted = model.fit(words, labels)
    p, own = fitted.predict_proba(words), (labels == 10).astype(int)
    own = p[np.arange(len(p)), own]
    assert get_scorer("neg_log_loss")(fitted, words, labels) == pytest.approx(np.log(own).mean(), rel=1e-6)


def test_it_ends_a_pipeline(words):
    lower = FunctionTransformer(lambda words: [word.lower() for word in words])
    pipeline = make_pipeline(lower, WordModel("ngram", order=1)).set_params(wordmodel__order=3)
    pipeline.fit([word.upper() for word in words])
    expected = WordModel("ngram", order=3).fit(words).score_samples(OTHERS)
    np.testing.assert_array_equal(pipeline.score_samples([word.title() for word in OTHERS]), expected)


class OfRows(WordModel):
    """A WordModel of rows of numbers, written as words, for the checks that give numbers."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array, tags.input_tags.two_d_array = False, True
        return tags

    def fit(self, words, y=None, sample_weight=None):
        return super().fit(written(words), y, sample_weight)

    def score_samples(self, words):
        return super().score_samples(written(words))

    def score(self, words, y=None, sample_weight=None):
        return super().score(written(words), y, sample_weight)

    def predict_proba(self, words):
        return super().predict_proba(written(words))


def written(X) -> Any:
    if isinstance(X, moreish.WordList):
        return X  # `score` calls the other methods
    return [" ".join(f"{float(x):.2f}" for x in row) for row in np.asarray(X)]


NUMBERS, TOO_FEW = "a word is not a row of numbers", "it has fewer than six different words"
NAMES = "labels are names, whatever their numbers are"
NOT_FOR_WORDS = {
    "check_n_features_in": NUMBERS,
    "check_n_features_in_after_fitting": NUMBERS,
    "check_complex_data": NUMBERS,
    "check_estimators_empty_data_messages": NUMBERS,
    "check_estimators_nan_inf": NUMBERS,
    "check_estimator_sparse_tag": NUMBERS,
    "check_estimator_sparse_array": NUMBERS,
    "check_estimator_sparse_matrix": NUMBERS,
    "check_fit1d": NUMBERS,
    "check_fit2d_predict1d": NUMBERS,
    "check_classifiers_regression_target": NAMES,
    "check_supervised_y_no_nan": NAMES,
    "check_supervised_y_2d": "y has one dimension",
    "check_classifiers_train": "near points are not near words",
    "check_sample_weight_equivalence_on_dense_data": "words are split at random, and a repeat may be in another part",
    "check_sample_weights_shape": TOO_FEW,
    "check_sample_weights_not_overwritten": TOO_FEW,
    "check_classifiers_one_label_sample_weights": TOO_FEW,
    "check_fit2d_1sample": TOO_FEW,
    "check_estimators_unfitted": "the error is an InputError, which is a ValueError, and not a NotFittedError",
}


@pytest.mark.filterwarnings("ignore:Estimator OfRows does not inherit")  # nor need it
def test_the_checks_of_scikit_learn_pass_that_are_for_words():
    with pytest.warns(SkipTestWarning, match="requires input"):
        check_estimator(WordModel("ngram"))
    results = check_estimator(OfRows("ngram"), expected_failed_checks=NOT_FOR_WORDS, on_skip=None)
    passed = {result["check_name"] for result in results if result["status"] == "passed"}
    assert passed.isdisjoint(NOT_FOR_WORDS)
    assert {
        "check_no_attributes_set_in_init",
        "check_dict_unchanged",
        "check_fit_idempotent",
        "check_methods_subset_invariance",
        "check_methods_sample_order_invariance",
        "check_classifiers_classes",
        "check_estimators_pickle",
        "check_pipeline_consistency",
        "check_set_params",
    } <= passed
