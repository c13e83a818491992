"""The map of the embeddings: distances, kinds of characters, and labels."""

import itertools
from typing import Any

import numpy as np
import pytest

import moreish
from moreish import InputError, Model, Vocab
from moreish.analysis.embedding import kind_of, principal
from moreish.models import MLP, NETS, make_config
from moreish.plots.embedding import MARK, label_offsets, plot_embedding
from moreish.plots.style import save
from moreish.plots.text import named


def points(made) -> np.ndarray:
    """The places on the map, sorted."""
    return np.array(sorted(np.concatenate([np.asarray(c.get_offsets()) for c in made.axes[0].collections]).tolist()))


def embedding_of(model: Model) -> np.ndarray:
    return model.weights["0.embedding.C"]


def test_two_numbers_are_shown_as_they_are(corpus):
    model = Model(MLP(n_embd=2), corpus.vocab)
    made = plot_embedding(model)
    assert points(made) == pytest.approx(np.array(sorted(embedding_of(model).tolist())))
    ax: Any = made.axes[0]
    assert ax.get_xlabel() == "first number of the embedding"
    # Every mark has its own label.
    assert {t.get_text(): t.xy for t in ax.texts} == {
        name: pytest.approx(embedding_of(model)[i]) for i, name in enumerate(["end", *corpus.vocab.characters])
    }


@pytest.mark.parametrize("name", NETS)
def test_of_more_numbers_the_widest_plane_is_shown(name, corpus):
    model = Model(make_config(name, {}), corpus.vocab, seed=3)
    made = plot_embedding(model)
    C = embedding_of(model).astype(np.float64)
    variances = np.linalg.eigh(np.cov(C.T))[0][::-1]
    assert points(made).var(0, ddof=1) == pytest.approx(variances[:2])
    assert points(made).mean(0) == pytest.approx([0, 0], abs=1e-9)
    assert np.cov(points(made).T)[0, 1] == pytest.approx(0, abs=1e-9)
    for label, share in zip((made.axes[0].get_xlabel(), made.axes[0].get_ylabel()), variances, strict=False):
        assert f"{100 * share / variances.sum():.0f}% of the variance" in label
    assert made.get_suptitle() == f"{name}: character embeddings ({C.shape[1]} dimensions)"


def test_components_keep_what_lies_in_a_plane():
    generator = np.random.default_rng(0)
    at = generator.normal(size=(30, 2))
    C = at @ np.linalg.qr(generator.normal(size=(5, 2)))[0].T + 3
    shown, shares = principal(C)
    assert shares.sum() == pytest.approx(1)
    for i, j in itertools.combinations(range(30), 2):
        assert np.linalg.norm(shown[i] - shown[j]) == pytest.approx(np.linalg.norm(at[i] - at[j]))
    # One number has one component, and none at all has no variance.
    assert principal(C[:, :1])[1] == pytest.approx([1, 0])
    assert principal(np.zeros((4, 3)))[1].tolist() == [0, 0]


def test_kinds_are_told_apart(tmp_path):
    model = Model(MLP(n_embd=3), Vocab("aéöstß -ηάθйуж中"))
    made = plot_embedding(model)
    ax: Any = made.axes[0]
    marks = {c.get_label(): c for c in ax.collections}
    numbers = {"vowel": 6, "consonant": 6, "other character": 3, "end": 1}
    assert {label: len(c.get_offsets()) for label, c in marks.items()} == numbers
    assert [t.get_text() for t in ax.get_legend().get_texts()] == list(numbers)
    assert len({c.get_facecolor().tobytes() for c in marks.values()}) == 4
    assert len({c.get_paths()[0].vertices.tobytes() for c in marks.values()}) == 4


@pytest.mark.parametrize(
    ("characters", "kind"),
    [
        ("aeiouyAÉőøœıάΩыЁ", "vowel"),
        ("bñŁßþσςйЖщў", "consonant"),
        ("- '1ь中あאक\u0301", "other character"),
    ],
)
def test_vowels_are_known_in_three_scripts(characters, kind):
    assert {c: kind_of(c) for c in characters} == dict.fromkeys(characters, kind)


def test_labels_lie_on_no_other():
    generator = np.random.default_rng(1)
    at = generator.uniform(0, 100, (60, 2))
    sizes = np.column_stack([generator.uniform(5, 20, 60), np.full(60, 12)])
    offsets = label_offsets(at, sizes, 150)
    assert set(offsets) == set(range(60))
    assert 10 < sum(beside for _, beside in offsets.values()) < 60, "some are not beside their mark"
    placed = [(at[i] + offset, sizes[i]) for i, (offset, _) in offsets.items()]
    marks = [(mark, np.full(2, MARK)) for mark in at]
    for (one, size), (other, its_size) in [*itertools.combinations(placed, 2), *itertools.product(placed, marks)]:
        assert (np.abs(one - other) > (size + its_size) / 2 - 0.02).any()
    assert all(beside for _, beside in label_offsets(at * 100, sizes, 15_000).values())
    assert len(label_offsets(at, sizes, 40)) < 60, "the map has no room for all"


@pytest.mark.parametrize("letters", ["abcdefghijklmnopqrstuvwxyz", "".join(map(chr, range(0xC0, 0x17F))) + "WMwm -'$"])
@pytest.mark.parametrize("spread", [0.03, 1.0])
def test_every_character_is_named_once_and_apart_from_all_others(letters, spread):
    model = Model(MLP(n_embd=2), Vocab(letters))
    generator = np.random.default_rng(4)
    C = embedding_of(model)
    C[:] = np.where(generator.uniform(size=(len(C), 1)) < 0.7, spread, 1) * generator.normal(size=C.shape)
    made = plot_embedding(model)
    ax: Any = made.axes[0]
    assert sorted(t.get_text() for t in ax.texts) == sorted(named(model.vocab, token) for token in range(len(C)))
    made.draw_without_rendering()
    boxes = [t.get_window_extent() for t in ax.texts]
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))


@pytest.mark.parametrize("characters", ["$", "αβγδεάέ", "".join(chr(0x4E00 + i) for i in range(500))])
@pytest.mark.parametrize("n_embd", [1, 2, 5])
def test_every_alphabet_is_drawn(characters, n_embd, tmp_path):
    made = plot_embedding(Model(MLP(n_embd=n_embd), Vocab(characters)))
    assert len(points(made)) == len(characters) + 1
    assert len(made.axes[0].texts) == len(characters) + 1
    save(made, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 5000


def test_what_has_no_embeddings_says_so(corpus):
    counted = moreish.train(corpus, "ngram")
    for model in (counted.model, moreish.mix([counted, moreish.train(corpus, "bigram-counts")]).model):
        with pytest.raises(InputError, match=f"{model.kind} has no layers"):
            plot_embedding(model)
