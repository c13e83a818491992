"""Engines that run a list of layers, and their batches, optimizers, random numbers and threads."""
