"""Views of results and of long work, at the prompt and in a notebook."""
