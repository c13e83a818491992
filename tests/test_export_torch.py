"""`moreish export --to torch`: the net that the file describes has the logits of moreish."""

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from random_nets import KINDS, own_logits, prefixes_of, run_of, windows_of
from safetensors import safe_open
from torch import nn

import moreish
from moreish.export.torch import data

LOADED = [kind for kind in KINDS if "start" not in kind and kind != "cho"]
WHOLE = ("bow", "rnn", "gru", "lstm", "transformer")


def loaded(run: moreish.Run, path: Path) -> tuple[str, nn.Module]:
    """The lines in the file of a run, and the net that they load."""
    path.write_bytes(data(run))
    with safe_open(path, "numpy") as file:
        lines = file.metadata()["python"]
    names: dict[str, Any] = {"path": path}
    exec(lines, names)
    return lines, names["net"]


@pytest.mark.parametrize("kind", LOADED)
def test_the_lines_in_the_file_load_it_and_give_the_same_logits(corpus, tmp_path, kind):
    run = run_of(corpus, kind)
    lines, net = loaded(run, tmp_path / "file")
    T = run.model.config.context
    for gradient, length, batch in product((False, True), (1, 5, 12), (1, 7)):
        prefixes = prefixes_of(corpus, batch, length)
        wanted = own_logits(run.model, prefixes)
        given = prefixes if T is None else windows_of(prefixes, T)[:, -T:]
        with torch.set_grad_enabled(gradient):
            found = net(torch.from_numpy(given))
        assert np.abs(wanted).max() > 0.1
        np.testing.assert_allclose(found.detach(), wanted if T is None else wanted[:, -1], rtol=0, atol=1e-5)
    assert "moreish" not in lines


@pytest.mark.parametrize("kind", LOADED)
def test_all_modules_are_those_of_torch(corpus, tmp_path, kind):
    lines, net = loaded(run_of(corpus, kind), tmp_path / "file")
    assert all(type(module).__module__.startswith("torch.nn.") for module in net.modules() if module is not net)
    assert isinstance(net, nn.Sequential) == (kind not in WHOLE)
    assert not net.training
    assert len(lines.splitlines()) <= 26


def test_a_net_of_batches_trains_with_the_statistics_of_moreish(corpus, tmp_path):
    # In training a BatchNorm of a wavenet takes all positions of a batch together, as moreish does.
    run = run_of(corpus, "wavenet")
    _, net = loaded(run, tmp_path / "file")
    T = run.model.config.context
    assert T is not None
    contexts = torch.from_numpy(windows_of(prefixes_of(corpus, 9, 6), T)[:, -T:])
    own = run.model.to_torch().train()
    np.testing.assert_allclose(net.train()(contexts).detach(), own(contexts).detach(), rtol=0, atol=1e-5)


def test_the_names_of_a_recurrent_net_are_those_of_to_torch(corpus, tmp_path):
    run = run_of(corpus, "gru")
    _, net = loaded(run, tmp_path / "file")
    assert net.state_dict().keys() == run.model.to_torch().state_dict().keys()


@pytest.mark.parametrize(
    ("kind", "reason"), [("cho", "a reset before the product"), ("two grus with learnt starts", "learnt starts")]
)
def test_a_net_that_torch_does_not_have_is_refused(corpus, kind, reason):
    with pytest.raises(moreish.InputError, match=f"torch.nn has no gru with {reason}.*use --to onnx"):
        data(run_of(corpus, kind))


def test_a_net_with_labels_is_refused_and_given_a_label_it_is_a_net(corpus, tmp_path):
    run = run_of(corpus, "mlp", labels=("a", "b"))
    with pytest.raises(moreish.InputError, match="--label a"):
        data(run)
    given = moreish.Run(run.model.given("b"), corpus, run.options)
    prefixes = prefixes_of(corpus, 7, 3)
    _, net = loaded(given, tmp_path / "file")
    wanted = own_logits(run.model.of_label(1), prefixes)[:, -1]
    np.testing.assert_allclose(net(torch.from_numpy(prefixes)).detach(), wanted, rtol=0, atol=1e-5)
