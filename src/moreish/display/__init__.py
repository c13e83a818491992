"""How results and long work show themselves at the prompt and in a notebook."""
