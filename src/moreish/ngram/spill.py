"""Counts that do not fit in memory: kept in a file by DuckDB, which adds them up."""

import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..engine.threads import get_threads
from ..errors import WorkError, missing
from ..files import user_cache

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MIN_MEMORY = 256 << 20  # bytes that DuckDB needs


class CountsOnDisk:
    """A table of keys and counts in a file. A key may occur more than once."""

    def __init__(self, connection: "DuckDBPyConnection"):
        self.connection = connection
        connection.execute("CREATE TABLE counted (key BIGINT, count BIGINT)")

    def add(self, keys: np.ndarray, counts: np.ndarray) -> None:
        """Add counts (N,) of keys (N,) to the file."""
        self.connection.register("more", {"key": keys, "count": counts})
        self.connection.execute("INSERT INTO counted SELECT key, count FROM more")
        self.connection.unregister("more")

    def take(self, at_least: int, mask: int, most: int) -> tuple[np.ndarray, np.ndarray]:
        """Remove the keys that occur often enough and return them, sorted, with their counts. Mask the keys that stay.

        Returns at most `most` + 1 keys.
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
def spill(memory: int) -> Generator[CountsOnDisk]:
    """Yield a file for counts, removed at the end; DuckDB may use `memory` bytes.

    Raises InputError without DuckDB, and WorkError if DuckDB fails, for example because the disk is full.
    """
    try:
        import duckdb
    except ModuleNotFoundError:
        raise missing(
            f"the counts take more than {memory / 2**30:g} GB (--memory), and keeping them on disk needs DuckDB",
            "large",
        ) from None
    home = user_cache()
    home.mkdir(parents=True, exist_ok=True)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="counts-", dir=home) as folder,
            duckdb.connect(str(Path(folder) / "counts.duckdb")) as connection,
        ):
            connection.execute(f"SET memory_limit = '{max(memory, MIN_MEMORY) >> 20}MiB'")
            connection.execute(f"SET threads = {get_threads()}")
            connection.execute("SET temp_directory = ?", [folder])
            yield CountsOnDisk(connection)
    except duckdb.Error as error:
        raise WorkError(f"{home}: counting on disk failed ({' '.join(str(error).split())})") from None
