"""The PyTorch engine. Importing this package imports no PyTorch."""
