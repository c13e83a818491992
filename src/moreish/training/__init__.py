"""From words to a trained run: options, the loop, run folders, search, mixtures."""
