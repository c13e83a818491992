"""The version, read by the package, by run folders and by the build."""

__version__ = "0.1.0"
