"""Train a model of makemore.py with its default options, and print its val loss after some seconds of the process.

    python benchmarks/makemore_training.py CHECKOUT MODEL LISTS BEGAN SECONDS...

benchmarks/peers.py runs it, once for each model. LISTS is a JSON file: the words of "train" and "val", and of the whole
list the "characters" and the length of the "longest" word. BEGAN is the time at which the process was started. The last
line of the output is JSON. Weights are kept at each of the SECONDS and evaluated at the end.
"""

import copy
import importlib.util
import json
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

MODELS = {"bigram": "Bigram", "mlp": "MLP", "bow": "BoW", "rnn": "RNN", "gru": "RNN", "transformer": "Transformer"}
# Default options of the script, but --num-workers 0: this process makes the batches.
SEED, BATCH, THREADS = 3407, 32, 2
ADAMW: dict[str, Any] = {"lr": 5e-4, "betas": (0.9, 0.99), "eps": 1e-8, "weight_decay": 0.01}
EVALUATED = 1000  # words at a time


def load(checkout: Path) -> Any:
    """The module makemore.py of a checkout, without TensorBoard, which only its script uses."""
    sys.modules.setdefault("torch.utils.tensorboard", types.SimpleNamespace(SummaryWriter=None))  # type: ignore
    spec = importlib.util.spec_from_file_location("makemore", checkout / "makemore.py")
    assert spec is not None
    assert spec.loader is not None
    makemore = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(makemore)
    return makemore


def dataset(makemore: Any, lists: dict[str, Any], part: str) -> Any:
    """The words of a part, as makemore.py encodes and pads them."""
    return makemore.CharDataset(lists[part], lists["characters"], lists["longest"])


def training(makemore: Any, name: str, words: Any) -> tuple[Any, Callable[[], None]]:
    """A model, and a function that makes one step of its training on a dataset of words."""
    import torch

    torch.manual_seed(SEED)
    config = makemore.ModelConfig(words.get_output_length(), words.get_vocab_size())
    kind = getattr(makemore, MODELS[name])
    model = kind(config, name) if MODELS[name] == "RNN" else kind(config)
    optimizer = torch.optim.AdamW(model.parameters(), **ADAMW)
    batches = makemore.InfiniteDataLoader(words, batch_size=BATCH, num_workers=0)

    def step() -> None:
        inputs, targets = batches.next()
        loss = model(inputs, targets)[1]
        model.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return model, step


def mean_nll(model: Any, words: Any) -> float:
    """Mean loss over all tokens of a dataset of words, in nats. makemore.py averages the means of batches."""
    import torch
    import torch.nn.functional as F

    total, tokens = 0.0, 0
    with torch.inference_mode():
        for begin in range(0, len(words), EVALUATED):
            pairs = [words[i] for i in range(begin, min(begin + EVALUATED, len(words)))]
            inputs, targets = map(torch.stack, zip(*pairs, strict=True))
            logits = model(inputs)[0]
            total += F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-1, reduction="sum").item()
            tokens += int((targets >= 0).sum())
    return total / tokens


def main() -> None:
    checkout, name, lists, began, *limits = sys.argv[1:]
    makemore = load(Path(checkout))
    import torch

    torch.set_num_threads(THREADS)
    words = json.loads(Path(lists).read_text())
    model, step = training(makemore, name, dataset(makemore, words, "train"))
    steps, kept = 0, []
    for limit in limits:
        while time.time() - float(began) < float(limit):
            step()
            steps += 1
        kept.append((steps, copy.deepcopy(model.state_dict())))
    val, rows = dataset(makemore, words, "val"), []
    for limit, (steps, weights) in zip(limits, kept, strict=True):
        model.load_state_dict(weights)
        rows.append({"limit": float(limit), "steps": steps, "val": mean_nll(model, val)})
    print(json.dumps({"model": name, "parameters": sum(p.numel() for p in model.parameters()), "reached": rows}))


if __name__ == "__main__":
    main()
