"""Counts that outgrow memory: put into a file by DuckDB, and added up there."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import platformdirs

from ..engine.threads import get_threads
from ..errors import InputError, WorkError

LEAST = 256 << 20  # bytes, that DuckDB can work with


class Spilled:
    """A table of keys and counts in a file; a key may stand in it more than once."""

    def __init__(self, connection):
        self.connection = connection
        connection.execute("CREATE TABLE counted (key BIGINT, count BIGINT)")

    def add(self, keys: np.ndarray, counts: np.ndarray) -> None:
        """Put counts (N,) of keys (N,) into the file."""
        self.connection.register("more", {"key": keys, "count": counts})
        self.connection.execute("INSERT INTO counted SELECT key, count FROM more")
        self.connection.unregister("more")

    def take(self, at_least: int, mask: int, most: int) -> tuple[np.ndarray, np.ndarray]:
        """The keys with sums of counts that are large enough, in order; of the others, a mask of the key stays.

        If there are more than `most`, that many and one more.
        """
        execute = self.connection.execute
        execute("CREATE TABLE summed AS SELECT key, sum(count)::BIGINT AS count FROM counted GROUP BY key")
        taken = execute(
            "SELECT key, count FROM summed WHERE count >= ? ORDER BY key LIMIT ?", [at_least, most + 1]
        ).fetchnumpy()
        execute(
            "CREATE OR REPLACE TABLE counted AS SELECT key & ? AS key, count FROM summed WHERE count < ?",
            [mask, at_least],
        )
        execute("DROP TABLE summed")
        return np.asarray(taken["key"]), np.asarray(taken["count"])


@contextmanager
def spilled(memory: int) -> Iterator[Spilled]:
    """A file for counts, gone at the end; bytes of memory that DuckDB may take.

    Raises InputError without DuckDB, and WorkError where it fails, for want of room say.
    """
    try:
        import duckdb
    except ModuleNotFoundError:
        raise InputError(
            f"the counts outgrow {memory / 2**30:g} GB (--memory), and putting them on the disk needs DuckDB: "
            "pip install 'moreish[large]'"
        ) from None
    home = Path(platformdirs.user_cache_dir("moreish"))
    home.mkdir(parents=True, exist_ok=True)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="counts-", dir=home) as folder,
            duckdb.connect(str(Path(folder) / "counts.duckdb")) as connection,
        ):
            connection.execute(f"SET memory_limit = '{max(memory, LEAST) >> 20}MiB'")
            connection.execute(f"SET threads = {get_threads()}")
            connection.execute("SET temp_directory = ?", [folder])
            yield Spilled(connection)
    except duckdb.Error as error:
        raise WorkError(f"{home}: counting on the disk failed ({' '.join(str(error).split())})") from None
