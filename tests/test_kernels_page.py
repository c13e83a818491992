"""The page for authors of kernels: its layer works as the page says."""

import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from test_gradients import batch, weights

from moreish.analysis.gradcheck import check_layers
from moreish.engine.tape import Tape
from moreish.layers import LAYERS, Embedding, FlattenConsecutive, Layer, Linear, spec
from moreish.layers.init import Normal

PAGE = (Path(__file__).parents[1] / "docs" / "kernels.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
CHECK = BLOCKS[-1]
V, T = 7, 4


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The layer of the page as a module among the others, and in the registry."""
    path = tmp_path_factory.mktemp("page") / "swish.py"
    path.write_text("\n\n".join(BLOCKS[:-1]), encoding="utf-8")
    description = importlib.util.spec_from_file_location("moreish.layers.swish", path)
    assert description is not None
    assert description.loader is not None
    module = importlib.util.module_from_spec(description)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "moreish.layers.swish", module)
        description.loader.exec_module(module)
        check_layers([Embedding(V, 3), FlattenConsecutive(T), Linear(3 * T, V)], T, V)  # compiles what is cached
        patch.setattr("moreish.engine.tape.compile.cache_folder", lambda: None)
        patch.setitem(LAYERS, module.Swish, module.KERNELS)
        yield module


def layers_with(page) -> list[Layer]:
    spread = Normal(0.2)
    return [Embedding(V, 3), FlattenConsecutive(T), Linear(3 * T, 6, spread), page.Swish(6), Linear(6, V, spread)]


def test_its_gradients_are_right(page):
    """Against autograd and central differences, in float64 and float32."""
    checks = check_layers(layers_with(page), T, V)
    assert [check for check in checks if not check.ok] == []
    assert {check.against for check in checks if check.name == "3.swish.a"} == {"autograd", "differences"}


def test_it_is_the_silu_of_pytorch_where_the_slope_is_one(page):
    x = np.random.default_rng(1).standard_normal((9, 6))
    s, y = np.empty((2, 9, 6))
    page.forward(x, np.ones(6), s, y)
    np.testing.assert_allclose(y, torch.nn.functional.silu(torch.from_numpy(x)), rtol=1e-12)


def test_its_shards_add_up(page):
    layers, (contexts, targets) = layers_with(page), batch(200)
    params = weights(layers)
    whole, in_shards = (
        Tape(layers, T, V, np.float64, shards=n).loss_and_grads(params, contexts, targets)[1] for n in (1, 3)
    )
    np.testing.assert_allclose(in_shards, whole, rtol=1e-9, atol=1e-12)


@pytest.mark.usefixtures("page")
def test_its_check_runs(capsys):
    exec(CHECK, {})
    assert capsys.readouterr().out == "None\n"


def test_it_names_all_columns():
    """Every column of a row that `spec` names, or the first and the last of a range."""
    table = PAGE[PAGE.index("| column |") : PAGE.index("A place of -1")]
    columns = {name for name in vars(spec) if re.fullmatch(r"[A-Z_]+[0-9]?", name)}
    columns -= {"PARAMETERS", "SIZES", "STATES", "AUX", "SHARED", "WIDTH"}
    inside = {name for name in columns if re.fullmatch(r"(P|S)[1-6]|AUX[1-8]|SHARED[12]", name)}
    assert set(re.findall(r"`([A-Z_]+[0-9]?)`", table)) == columns - inside
