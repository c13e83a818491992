"""Checks for the exercises, one file for each lesson. They give hints and never print the answer."""
