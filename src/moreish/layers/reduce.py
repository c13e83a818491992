"""What the parts of a batch come to: each has a sum of its own (see spec), and the batch the sum of these."""

# pyright: reportMissingParameterType=false

from .maths import index, kernel


@kernel
def add_up(of_parts, start, total):
    """of_parts (P, S), P >= 1 -> total (n,): columns start ... start + n - 1, summed in the order of the parts."""
    for i in range(total.size):
        total[i] = of_parts[0, index(start + i)]
    for part in range(1, of_parts.shape[0]):
        for i in range(total.size):
            total[i] += of_parts[part, index(start + i)]
