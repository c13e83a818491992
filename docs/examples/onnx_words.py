"""Draw words from a model that was written by `moreish export --to onnx`, with ONNX Runtime and NumPy alone.

python onnx_words.py names-gru.onnx
"""

import sys

import numpy as np
import onnxruntime


def draw(session: onnxruntime.InferenceSession, n: int, temperature: float = 1.0, seed: int = 0) -> list[str]:
    """Draw n words. A temperature near 0 gives the likeliest character each time."""
    about = session.get_modelmeta().custom_metadata_map
    characters, context = about["characters"], int(about.get("context", 0))
    name, generator = session.get_inputs()[0].name, np.random.default_rng(seed)
    tokens = np.zeros((n, context or 1), np.int64)  # 0 before a word, and 0 at its end
    words = np.zeros((n, 0), np.int64)
    while not len(words.T) or (words[:, -1] > 0).any():
        (logits,) = session.run(None, {name: tokens[:, -context:]})  # all tokens, if the context is 0
        logits = logits.reshape(n, -1, 1 + len(characters))[:, -1]
        if not len(words.T):
            logits[:, 0] = -np.inf  # no empty word
        drawn = (logits / temperature + generator.gumbel(size=logits.shape)).argmax(1)
        drawn[(words == 0).any(1)] = 0  # a word that has ended stays so
        tokens, words = np.column_stack([tokens, drawn]), np.column_stack([words, drawn])
    return ["".join(characters[token - 1] for token in word if token) for word in words]


if __name__ == "__main__":
    print(*draw(onnxruntime.InferenceSession(sys.argv[1]), 10), sep="\n")
