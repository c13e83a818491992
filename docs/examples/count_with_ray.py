"""Count a list that is in several files, on several hosts, with Ray.

python count_with_ray.py auto runs/whole part-*
"""

import sys

import ray

import moreish


@ray.remote(num_cpus=1)
def count(path: str) -> moreish.Run:
    """Count one part of the list. Smoothing waits for the whole, so this one is the quickest."""
    return moreish.train(moreish.read_words(path), "ngram", order=6, split="hash", smoothing="witten-bell")


def main(address: str, out: str, *paths: str) -> None:
    """Count every part on some worker, and merge the counts here, as they are wanted."""
    ray.init(address=address)
    parts = [count.remote(path) for path in paths]
    run = moreish.merge((ray.get(part) for part in parts), smoothing="fitted", memory=32)
    run.save(out)
    print(run.loss)


if __name__ == "__main__":
    main(*sys.argv[1:])
