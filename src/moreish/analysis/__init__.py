"""Analysis of runs and models: comparison, scores, novelty, diagnosis and gradient checks."""
