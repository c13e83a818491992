"""The metadata of a file: where its model comes from."""

import json
from dataclasses import asdict

from .._version import __version__
from ..training.run import Run


def metadata(run: Run) -> dict[str, str]:
    """Return what the file says about a run."""
    model, corpus = run.model, run.corpus
    labels = {} if model.labels is None else {"labels": json.dumps(model.labels.names, ensure_ascii=False)}
    context = {} if model.config.context is None else {"context": str(model.config.context)}
    return {
        "characters": model.vocab.characters,
        **context,
        **labels,
        "list": corpus.words.name,
        "model": model.name,
        "model_options": json.dumps(asdict(model.config)),
        "split": json.dumps({"kind": corpus.split, "seed": corpus.split_seed}),
        "data_sha256": corpus.data_hash,
        "moreish": __version__,
    }
