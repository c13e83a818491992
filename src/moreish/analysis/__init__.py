"""What is found about runs and models: comparison, scores, novelty, diagnosis, checks of gradients."""
