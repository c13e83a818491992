"""Send a run to a repository of the Hugging Face Hub, with a model card.

The repository is made if it does not exist; it is private unless --public is given. It gets the weights, options and
losses of the run, and the list of words only with --with-words. A run without its list is loaded with moreish load
hf:USER/NAME --words FILE, where FILE is the same list. Some models tell much of their list even so: an n-gram model has
the counts of it.

First log in with: hf auth login

Examples:
  moreish push runs/names-mlp anna/names --with-words
  moreish push runs/names-mlp anna/names --with-words --public --licence mit
"""

from pathlib import Path

from ..export.hub import SCHEME
from ..export.hub import push as push_run
from .terminal import announce_work, print_text
from .values import Flag


def push(
    run: Path,
    repo: str,
    /,
    *,
    with_words: Flag = False,
    public: Flag = False,
    licence: str | None = None,
    force: Flag = False,
) -> None:
    """Run `moreish push`.

    Parameters
    ----------
    run
        Folder of a run whose training has ended.
    repo
        Repository, as in anna/names.
    with_words
        Send the list of words too.
    public
        Make a repository that everybody can read.
    licence
        Identifier of the licence of the model, such as mit or cc-by-4.0, for the model card.
    force
        Replace a run that the repository holds.
    """
    announce_work()
    address = push_run(run, repo, with_words=with_words, public=public, licence=licence, force=force)
    print_text(address)
    words = "" if with_words else " --words FILE"
    print_text(f"load it with: moreish load {SCHEME}{repo} --out RUN{words}")
