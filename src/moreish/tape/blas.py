"""The BLAS behind np.dot in compiled code: loaded when first needed, and held to one thread."""

from functools import cache

from threadpoolctl import ThreadpoolController


@cache
def _controller() -> ThreadpoolController:
    import scipy.linalg.cython_blas  # noqa: F401  where Numba finds gemm

    return ThreadpoolController()


def one_thread():
    """A context in which BLAS keeps to the calling thread: our products are too small to share out."""
    return _controller().limit(limits=1, user_api="blas")
