"""`moreish export --to onnx`: the logits of ONNX Runtime are those of moreish."""

import json
from collections import Counter
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from random_nets import KINDS, own_logits, prefixes_of, run_of, windows_of

import moreish
from moreish.export.onnx import data
from moreish.models import NetConfig, make_config

WHOLE = [name for name, (model, _) in KINDS.items() if make_config(model, {}).context is None]
WINDOWS = [name for name in KINDS if name not in WHOLE]


def session(run: moreish.Run) -> onnxruntime.InferenceSession:
    made = data(run)
    onnx.checker.check_model(onnx.load_from_string(made), full_check=True)
    return onnxruntime.InferenceSession(made)


def assert_close(found: Any, wanted: np.ndarray) -> None:
    assert found.dtype == np.float32
    assert found.shape == wanted.shape
    assert np.abs(wanted).max() > 0.1
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", WHOLE)
def test_nets_of_whole_words_give_the_same_logits_at_every_length(corpus, kind):
    run = run_of(corpus, kind)
    runtime = session(run)
    for length in range(1, 21):
        for batch in (1, 7):
            prefixes = prefixes_of(corpus, batch, length)
            (found,) = runtime.run(None, {"prefixes": prefixes})
            assert_close(found, own_logits(run.model, prefixes))


@pytest.mark.parametrize("kind", WINDOWS)
def test_nets_of_contexts_give_the_same_logits_for_every_batch(corpus, kind):
    run = run_of(corpus, kind)
    config, runtime = run.model.config, session(run)
    assert isinstance(config, NetConfig)
    T, whole = config.context or 0, config.whole_words
    for length in range(1, 21):
        for batch in (1, 7):
            prefixes = prefixes_of(corpus, batch, length)
            windows, wanted = windows_of(prefixes, T), own_logits(run.model, prefixes)
            contexts, wanted = (windows, wanted) if whole else (windows[:, -T:], wanted[:, -1])
            (found,) = runtime.run(None, {"contexts": contexts})
            assert_close(found, wanted)


@pytest.mark.parametrize("kind", ["bigram", "mlp", "wavenet-conv", "gru", "transformer"])
def test_the_label_of_each_word_is_an_input(corpus, kind):
    run = run_of(corpus, kind, labels=("a", "b", "c"))
    config = run.model.config
    assert isinstance(config, NetConfig)
    T = config.context or 0
    prefixes, labels = prefixes_of(corpus, 7, 5), np.array([0, 1, 2, 0, 2, 1, 2])
    wanted = np.stack([own_logits(run.model.of_label(n), prefixes[i : i + 1])[0] for i, n in enumerate(labels)])
    windows = windows_of(prefixes, T) if T else prefixes
    one = T > 0 and not config.whole_words
    inputs = {"labels": labels, "contexts" if T else "prefixes": windows[:, -T:] if one else windows}
    runtime = session(run)
    assert_close(runtime.run(None, inputs)[0], wanted[:, -1] if one else wanted)
    assert json.loads(runtime.get_modelmeta().custom_metadata_map["labels"]) == ["a", "b", "c"]


def test_metadata_tells_the_characters_and_where_the_model_comes_from(corpus):
    run = run_of(corpus, "mlp")
    of_file = session(run).get_modelmeta().custom_metadata_map
    assert of_file["characters"] == corpus.vocab.characters
    assert (of_file["model"], of_file["data_sha256"]) == ("mlp", corpus.data_hash)
    assert json.loads(of_file["split"]) == {"kind": "lecture", "seed": 42}
    assert json.loads(of_file["model_options"])["block_size"] == 3
    assert of_file["moreish"] == moreish.__version__
    assert onnx.load_from_string(data(run)).opset_import[0].version == 20


def test_the_same_run_gives_the_same_bytes(corpus):
    assert data(run_of(corpus, "transformer")) == data(run_of(corpus, "transformer"))


def example() -> Any:
    """The example of the documentation, as a module."""
    path = Path(__file__).parents[1] / "docs/examples/onnx_words.py"
    spec = spec_from_file_location("onnx_words", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("kind", ["mlp", "wavenet-conv", "gru", "transformer"])
def test_the_example_draws_the_likeliest_word_near_temperature_0(corpus, words, kind):
    name, options = KINDS[kind]
    run = moreish.train(words, name, **options, steps=100)
    (likeliest,) = run.model.sample(1, temperature=0)
    assert set(example().draw(session(run), 3, temperature=1e-6)) == {likeliest}


@pytest.mark.parametrize("kind", ["mlp", "gru"])
def test_the_words_of_the_example_have_the_probabilities_of_the_model(corpus, words, kind):
    name, options = KINDS[kind]
    run = moreish.train(words, name, **options, steps=300)
    n = 4000
    drawn = Counter(example().draw(session(run), n, seed=1))
    p_empty = run.model.next("")[""]
    common = [word for word, count in drawn.most_common(10) if count > 25]
    assert common
    for word in common:
        p = np.exp(-sum(run.model.score(word).per_char)) / (1 - p_empty)
        assert abs(drawn[word] - n * p) < 5 * (n * p) ** 0.5
