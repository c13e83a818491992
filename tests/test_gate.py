"""Mixtures whose weights depend on the context."""

# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportOptionalIterable=false

import random
from typing import Any

import numpy as np
import pytest

import moreish
from moreish import InputError, mix
from moreish.cli import run
from moreish.corpus.stream import per_token
from moreish.engine.states import read, state_after
from moreish.models.gate import Gate
from moreish.models.mixture import BY_CONTEXT, MIXTURES
from moreish.training.gating import STRENGTHS, Tokens, chosen_gate, fit_gate, losses, mean_of_words, penalised
from moreish.training.mixing import em, fit_log_linear

SMALL: dict[str, Any] = {"n_embd": 4, "n_hidden": 12, "batch_size": 32}


def two_halves(n: int, seed: int = 0) -> list[str]:
    """Return n words whose first three characters are one of 40 groups, and whose others are drawn at random."""
    generator = random.Random(seed)
    starts = ["".join(generator.choice("abcdefgh") for _ in range(3)) for _ in range(40)]
    ends = ["".join(generator.choice("ijklm") for _ in range(generator.randint(1, 4))) for _ in range(n)]
    return [generator.choice(starts) + end for end in ends]


@pytest.fixture(scope="module")
def parts() -> list[moreish.Run]:
    """Two counted models, each better than the other in some contexts, and two nets. Do not change them."""
    corpus = moreish.Corpus(two_halves(1500))
    return [
        moreish.train(corpus, "ngram", order=5, smoothing="additive"),  # good only where it has often been
        moreish.train(corpus, "bigram-counts"),
        moreish.train(corpus, "mlp", **SMALL, block_size=2, steps=60),
        moreish.train(corpus, "gru", **SMALL, steps=40),
    ]


@pytest.fixture(scope="module", params=MIXTURES)
def mixed(parts, request) -> moreish.Run:
    """All parts, with weights that depend on the context. Do not change it."""
    found = mix(parts, request.param, by_context=True)
    assert found.model.config.kind == request.param + BY_CONTEXT
    return found


def prefixes(corpus: moreish.Corpus, n: int = 40) -> list[str]:
    """Return all prefixes of n random words, most of which are in no list."""
    generator = random.Random(1)
    words = ["".join(generator.choices(corpus.vocab.characters, k=generator.randint(0, 12))) for _ in range(n)]
    return sorted({word[:k] for word in words for k in range(len(word) + 1)})


def fixed_weights(tokens: Tokens) -> np.ndarray:
    if tokens.logs is None:
        return em(tokens.hit, tokens.counts)[0]
    return fit_log_linear(tokens.logs, tokens.targets, tokens.counts)


def everywhere(weights: np.ndarray, n: int) -> np.ndarray:
    """Return the scores of fixed weights in n contexts."""
    return np.repeat(np.log(weights)[:, None], n, 1)


def made_up_tokens(kind: str, n: int = 300, n_words: int = 60) -> Tokens:
    """Return tokens of three parts over five characters, with random features and counts."""
    generator = np.random.default_rng(5)
    logs, targets = np.log(generator.dirichlet(np.ones(5), (3, n))), generator.integers(0, 5, n)
    features, counts = generator.normal(3, 2, (n, 4)), generator.uniform(0.5, 2, n)
    words = np.sort(generator.integers(0, n_words, n))
    return Tokens(
        logs[:, np.arange(n), targets], features, words, counts, targets, logs if kind == "log-linear" else None
    )


def test_probabilities_sum_to_one_in_every_context(mixed):
    model, V = mixed.model, len(mixed.corpus.vocab)
    gate = model.weights["gate"]
    assert np.abs(gate[:, 1:]).max() > 0.01
    weights = []
    for prefix in prefixes(mixed.corpus):
        state = state_after(model.engine, model.params, mixed.corpus.vocab.encode(prefix))
        logits = model.engine.logits(model.params, state)
        assert logits.shape == (1, V)
        assert np.exp(logits).sum() == pytest.approx(1, rel=1e-9)
        logs = model.engine.part_logs(state)
        own = np.exp(model.engine.gate.log_weights(model.engine.kind, model.engine.features(state, logs)))
        weights.append(own[:, 0])
        if model.engine.kind == "linear":
            expected = own[:, 0] @ np.exp(logs[:, 0])
        else:
            product = np.prod(np.exp(logs[:, 0]) ** own, axis=0)
            expected = product / product.sum()
        np.testing.assert_allclose(np.exp(logits[0]), expected, rtol=1e-9)
    assert np.std(weights, axis=0).max() > 0.02


def test_the_features_are_those_of_the_prefix(mixed, parts):
    model, reader, vocab = mixed.model, mixed.model.engine, mixed.corpus.vocab
    padded = ["...." + word for word in mixed.corpus.parts["train"]]  # the n-gram has order 5
    known = {word[i - k : i] for word in padded for i in range(4, len(word) + 1) for k in range(5)}
    counted = parts[0].model
    for prefix in ["", "a", "abc", "mmmm", "mia", *mixed.corpus.parts["train"][:5]]:
        state = state_after(reader, model.params, vocab.encode(prefix))
        found = reader.features(state, reader.part_logs(state))[0]
        p = [np.array([*part.model.next(prefix).values()]) for part in parts]
        assert found[:2] == pytest.approx([np.log1p(len(prefix)), float(not prefix)])
        assert found[2:6] == pytest.approx([-(q * np.log(q)).sum() for q in p], rel=1e-5)
        assert found[6:10] == pytest.approx([q[0] for q in p], rel=1e-5)
        assert found[10] == max(k for k in range(5) if ("...." + prefix)[4 + len(prefix) - k :] in known)
        node = state_after(counted.engine, counted.params, vocab.encode(prefix))[0, 0]
        assert found[11] == pytest.approx(np.log(counted.weights["share"][node]))


def test_losses_are_those_of_the_states_walked_one_by_one(mixed):
    model, vocab = mixed.model, mixed.corpus.vocab
    words = [*mixed.corpus.parts["test"][:15], "mmmmmm", "aia"]
    expected = []
    for word in words:
        tokens = [*vocab.encode(word), 0]
        for k, token in enumerate(tokens):
            state = state_after(model.engine, model.params, tokens[:k])
            expected.append(-model.engine.logits(model.params, state)[0, token])
    stream = np.array([0, *(token for word in words for token in [*vocab.encode(word), 0])], np.int32)
    np.testing.assert_allclose(model.nll(stream), expected, rtol=1e-5)
    with pytest.raises(ValueError, match="tokens must be from 0 to"):
        model.nll(np.array([0, len(vocab)], np.int32))


def test_words_are_drawn_with_its_probabilities(mixed):
    first = [word[0] for word in mixed.model.sample(4000, seed=3)]
    p = mixed.model.next("")
    for character, expected in p.items():
        if character and expected > 0.01:
            error = np.sqrt(expected * (1 - expected) / len(first))
            assert abs(first.count(character) / len(first) - expected / (1 - p[""])) < 5 * error
    after = [word[1:2] for word in mixed.model.sample(4000, seed=4, prefix="i")]
    for character, expected in mixed.model.next("i").items():
        assert (
            abs(after.count(character) / len(after) - expected) < 5 * np.sqrt(expected * (1 - expected) / 4000) + 1e-9
        )
    likely = mixed.model.sample(20, seed=1, temperature=0)
    assert len(set(likely)) == 1


@pytest.mark.parametrize("kind", MIXTURES)
@pytest.mark.parametrize("strength", [0.0, 0.3])
def test_the_gradient_of_the_fit_is_that_of_finite_differences(kind, strength):
    tokens = made_up_tokens(kind)
    f = np.concatenate([np.ones((300, 1)), tokens.features], axis=1)
    theta = np.random.default_rng(6).normal(0, 0.3, 15)
    _, gradient = penalised(tokens, f, strength, theta)
    for i in range(15):
        step = np.eye(15)[i] * 1e-5
        slope = (
            penalised(tokens, f, strength, theta + step)[0] - penalised(tokens, f, strength, theta - step)[0]
        ) / 2e-5
        assert gradient[i] == pytest.approx(slope, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("kind", MIXTURES)
def test_an_infinite_penalty_means_fixed_weights(kind):
    tokens = made_up_tokens(kind)
    fixed = fixed_weights(tokens)
    (gate,) = fit_gate(tokens, np.full(3, 0.3), (1000.0,))
    weights = np.exp(gate.log_weights(kind, tokens.features))
    assert weights.std(1).max() < 1e-3
    assert weights.mean(1) == pytest.approx(fixed, abs=5e-3)
    before, _ = losses(tokens, everywhere(fixed, 300))
    after, _ = losses(tokens, gate.scores(tokens.features))
    assert after @ tokens.counts == pytest.approx(before @ tokens.counts, rel=2e-4)
    free = fit_gate(tokens, fixed, (1000.0, 0.1, 0.001))
    nll = [np.average(losses(tokens, gate.scores(tokens.features))[0], weights=tokens.counts) for gate in free]
    assert nll[0] > nll[1] > nll[2]  # weaker penalties fit more


@pytest.mark.parametrize("kind", MIXTURES)
def test_weights_that_depend_on_the_context_are_found(kind):
    def tokens(n_words, seed):
        """Words of four characters: the first part knows the first, the second part the others."""
        generator, n = np.random.default_rng(seed), 4 * n_words
        first, logs = np.arange(n) % 4 == 0, np.log(generator.dirichlet(np.ones(6), (2, n)))
        right = np.exp(np.where(first[:, None], logs[0], logs[1]))
        targets = (right.cumsum(1) > generator.random((n, 1))).argmax(1)
        features = np.stack([first, generator.normal(0, 1, n)], axis=1)  # the second one says nothing
        whole = logs if kind == "log-linear" else None
        made = Tokens(logs[:, np.arange(n), targets], features, np.arange(n) // 4, np.ones(n), targets, whole)
        return made, -np.log(right[np.arange(n), targets]).mean()

    seen, _ = tokens(500, 0)
    held_out, best = tokens(500, 1)
    gate, mean = chosen_gate(seen, fixed_weights)  # pyright: ignore[reportGeneralTypeIssues]
    nll = losses(held_out, gate.scores(held_out.features))[0].mean()
    fixed = losses(held_out, everywhere(fixed_weights(seen), 2000))[0].mean()
    assert nll < best + 0.02
    assert fixed > best + 0.1
    assert gate.gain == pytest.approx(fixed - nll, rel=0.2)
    weights = np.exp(gate.log_weights(kind, held_out.features))
    assert weights[0, ::4].min() > 0.8
    assert weights[0][held_out.features[:, 0] == 0].max() < 0.2
    assert mean == pytest.approx([0.25, 0.75], abs=0.06)


def test_held_out_words_gain(mixed, parts):
    fixed = mix(parts, mixed.model.config.kind.removesuffix(BY_CONTEXT))
    for part in ("val", "test"):
        assert mixed.loss[part] < fixed.loss[part]
    gain = mixed.model.weights["gate_gain"][0]
    assert 0 < gain < 2 * (fixed.loss["val"] - mixed.loss["val"])
    assert mixed.model.n_parameters == fixed.model.n_parameters + 4 * 15 - 4
    assert mixed.model.weights["gate"].shape == (4, 1 + 2 + 4 + 4 + 2 * 2)


@pytest.mark.parametrize("kind", MIXTURES)
def test_fixed_weights_stay_where_others_are_no_better(parts, kind):
    tokens = made_up_tokens(kind, 2000, 400)  # features and targets that have nothing to do with each other
    assert chosen_gate(tokens, fixed_weights) is None
    assert chosen_gate(made_up_tokens(kind, 300, 10), fixed_weights) is None  # too few words
    if kind == "linear":
        same = mix([parts[0], parts[0]], by_context=True)
        assert same.model.config.kind == "linear"
        assert "gate" not in same.model.weights
        assert same.loss == pytest.approx(parts[0].loss, rel=1e-6)
    with pytest.raises(InputError, match="equal weights do not depend on the context"):
        mix(parts, kind, by_context=True, equal=True)


def test_a_gated_mixture_is_a_run_like_any(mixed, parts, tmp_path):
    mixed.save(tmp_path / "mixed")
    loaded = moreish.load(tmp_path / "mixed")
    assert loaded.loss == mixed.loss
    words = loaded.model.sample(30, seed=2)
    assert words == mixed.model.sample(30, seed=2)
    assert words[:10] == mixed.model.sample(10, seed=2)
    assert all(word.endswith("ij") for word in loaded.model.sample(5, suffix="ij"))
    assert "gain by context" in loaded.model._repr_html_()
    outer = mix([loaded, parts[1]], by_context=True)  # also one of mixtures
    assert outer.loss["val"] <= loaded.loss["val"] + 1e-4
    moreish.load(outer.save(tmp_path / "outer").path)
    for name, bad in {
        "gate": np.full((4, 15), np.nan),
        "gate_centre": np.zeros(3),
        "gate_scale": np.zeros(14),
        "gate_gain": np.zeros(2),
        "weights": np.zeros(4),
    }.items():
        arrays = {**loaded.model.weights, name: bad}
        with pytest.raises(ValueError, match="its gate|its weights|array of size"):
            loaded.model.config.reader(arrays, len(loaded.corpus.vocab))
        with pytest.raises(KeyError):
            loaded.model.config.reader({k: v for k, v in arrays.items() if k != name}, len(loaded.corpus.vocab))


@pytest.mark.parametrize("kind", MIXTURES)
def test_a_weight_counts_like_repeats(kind):
    tokens = made_up_tokens(kind)
    times = np.random.default_rng(2).integers(1, 4, 300)
    which = np.repeat(np.arange(300), times)
    weighted, repeated = (
        tokens._replace(counts=times.astype(float)),
        tokens.some(which)._replace(counts=np.ones(len(which))),
    )
    for one, other in zip(*(fit_gate(t, np.full(3, 0.3), STRENGTHS) for t in (weighted, repeated)), strict=True):
        np.testing.assert_allclose(one.centre, other.centre)
        np.testing.assert_allclose(one.scores(tokens.features), other.scores(tokens.features), atol=1e-2)
    values = np.random.default_rng(3).normal(0, 1, 300)
    mean, error = mean_of_words(values, tokens.words, weighted.counts)
    again, same = mean_of_words(values[which], tokens.words[which], repeated.counts)
    assert (mean, error) == pytest.approx((again, same))
    sums = np.array([(values - mean)[tokens.words == w] @ times[tokens.words == w] for w in range(60)])
    assert error == pytest.approx(np.sqrt((sums**2).sum()) / times.sum())


@pytest.mark.parametrize("kind", MIXTURES)
def test_weights_of_words_and_labels(kind):
    words, generator = two_halves(1500), np.random.default_rng(4)
    labels = ["left" if word[0] < "d" else "right" for word in words]
    columns = moreish.WordList.of(words).with_weights(generator.uniform(0.1, 3, 1500)).with_labels(labels)
    corpus = moreish.Corpus(columns)
    parts = [
        moreish.train(corpus, "ngram", order=5, smoothing="additive"),
        moreish.train(corpus, "bigram-counts"),
        moreish.train(corpus, "mlp", **SMALL, block_size=2, steps=60),
    ]
    mixed, fixed = mix(parts, kind, by_context=True), mix(parts, kind)
    assert mixed.model.config.kind == kind + BY_CONTEXT
    assert mixed.loss["val"] < fixed.loss["val"]
    gate = Gate.of(mixed.model.weights)
    total, counted, found = 0.0, 0.0, np.zeros(3)
    for label, (stream, weights) in enumerate(corpus.by_label("val")):
        engine, counts = mixed.model.of_label(label).engine, per_token(stream, weights)
        for _, states, of in read(engine, np.zeros(0), stream):  # one run
            own = np.exp(gate.log_weights(kind, engine.features(states, engine.part_logs(states))))
            found += own[:, of] @ counts
        total += engine.nll(np.zeros(0), stream) @ counts
        counted += counts.sum()
        word = corpus.words[3]
        p = mixed.model.next(word[:2], label=corpus.label_names[label])
        assert sum(p.values()) == pytest.approx(1, rel=1e-9)
    assert total / counted == pytest.approx(mixed.loss["val"], rel=1e-6)
    assert mixed.model.weights["weights"] == pytest.approx(found / counted, rel=1e-6)


def test_the_command_says_what_was_chosen(parts, tmp_path, capsys):
    folders = [
        str(moreish.Run(part.model, part.corpus, part.options).save(tmp_path / name).path)
        for part, name in zip(parts, "abc", strict=False)
    ]
    assert run(["mix", *folders, "--by-context", "--out", str(tmp_path / "mixed")]) == 0
    out = capsys.readouterr().out
    gain = moreish.load(tmp_path / "mixed").model.weights["gate_gain"][0]
    assert f"weights depend on the context: {gain:.4f} nats better than fixed ones on held-out val words" in out
    assert "mean weight" in out
    for command in (["eval"], ["sample", "-n", "3"], ["sample", "-n", "3", "--suffix", "ij"], ["score", "aij"]):
        assert run([command[0], str(tmp_path / "mixed"), *command[1:]]) == 0
    capsys.readouterr()
    assert run(["mix", folders[0], folders[0], "--by-context", "--out", str(tmp_path / "same")]) == 0
    out = capsys.readouterr().out
    assert "fixed weights are as good on held-out val words, so the mixture has these" in out
    assert "mean weight" not in out
