"""Walking an automaton of counts (see `Tables`): from a context to the next, and what may follow one."""

# pyright: reportMissingParameterType=false

from numba import njit, types


@njit
def entry_of(first, char, node, token):
    """The entry of a token at a node, or -1."""
    low, high = first[node], first[node + 1]
    while low < high:
        middle = (low + high) // 2
        if char[middle] < token:
            low = middle + 1
        else:
            high = middle
    return low if low < first[node + 1] and char[low] == token else -1


@njit
def advance(first, parent, char, after, start, node, token):
    """The longest known context once a token has been read after that of `node`."""
    while True:
        entry = entry_of(first, char, node, token)
        if entry >= 0:
            return after[entry]
        if node == 0:
            return start if token == 0 else 0
        node = parent[node]


@njit
def distribution(first, parent, char, p, share, n_vocab, node, path, out):
    """The probability of every token after a context -> out (V,). path (order,) is scratch."""
    length = 0
    while node != 0:
        path[length] = node
        length += 1
        node = parent[node]
    path[length] = 0
    out.fill(1 / n_vocab)
    for k in range(length, -1, -1):
        at = path[k]
        for v in range(out.size):
            out[v] *= share[at]
        for entry in range(first[at], first[at + 1]):
            out[char[entry]] = p[entry]


# The types of what walks take first: first, parent, char, after, start; and then p, share, n_vocab.
NUMBERS = types.float64[::1]
WALK = (types.int64[::1], *[types.int32[::1]] * 3, types.int64)
PROBABILITIES = (NUMBERS, NUMBERS, types.int64)
