"""Count a list that is in several files, on several hosts, with Dask.

python count_with_dask.py tcp://FIRST_HOST:8786 runs/whole part-*
"""

import sys

from dask.distributed import Client

import moreish


def count(path: str) -> moreish.Run:
    """Count one part of the list. Smoothing waits for the whole, so this one is the quickest."""
    return moreish.train(moreish.read_words(path), "ngram", order=6, split="hash", smoothing="witten-bell")


def main(scheduler: str, out: str, *paths: str) -> None:
    """Count every part on some worker, and merge the counts here, as they are wanted."""
    with Client(scheduler) as client:
        parts = client.map(count, paths)
        run = moreish.merge((part.result() for part in parts), smoothing="fitted", memory=32)
    run.save(out)
    print(run.loss)


if __name__ == "__main__":
    main(*sys.argv[1:])
