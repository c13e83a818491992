"""Arrays in a safetensors file: read, or mapped into memory if the file is large.

A mapped file costs no time and no memory of the process: the system reads a page when it is used, and shares it between
processes. What arrays hold is not trusted: whoever uses them checks it, as `Automaton` does, which reads them once.
"""

import json
import mmap
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import load

MAPPED_FROM = 1 << 24  # bytes of a file; a smaller one is read
TYPES = {
    "F64": np.float64,
    "F32": np.float32,
    "I64": np.int64,
    "I32": np.int32,
    "U64": np.uint64,
    "U32": np.uint32,
    "U16": np.uint16,
    "U8": np.uint8,
}


def stored_arrays(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays in a file by name. Changes to them are not written.

    A file that is mapped must not be changed in place. `write_atomically` replaces it by another, which leaves the
    arrays as they are.

    Raises SafetensorError or ValueError for a file that is damaged, and OSError for one that cannot be read.
    """
    if path.stat().st_size < MAPPED_FROM:
        return load(path.read_bytes())
    with path.open("rb") as file, safe_open(path, "numpy"):  # which checks the header
        try:
            # Compiled code takes no read-only arrays, so that pages are private: copied when written to.
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        except OSError:  # a file system or a limit of memory that does not allow it
            return load(path.read_bytes())
    begin, found = 8 + int.from_bytes(data[:8], "little"), dict[str, np.ndarray]()
    for name, about in json.loads(data[8:begin]).items():
        if name != "__metadata__":
            if about["dtype"] not in TYPES:
                raise ValueError(f"{name} has numbers of type {about['dtype']}")
            size = int(np.prod(about["shape"], dtype=np.int64))
            array = np.frombuffer(data, TYPES[about["dtype"]], size, begin + about["data_offsets"][0])
            found[name] = np.require(array.reshape(about["shape"]), requirements=("C", "A", "W"))
    return found
