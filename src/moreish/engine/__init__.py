"""Engines that run a list of layers, with their batches, optimizers, random numbers and threads."""
