"""RNN: the plain recurrent layer (Elman 1990).

Its input x = e W + b, from a Linear before it, is the share of the sum that does not depend on the state. From x and
the state h' after the character before, along each word:

    h = tanh(x + h' U)

Back through time: dh of a row is dy, from the layers above, plus what its children send back. As tanh' is 1 - h**2,

    dx = dh (1 - h**2)                  dh' = dx U^T

Rows with the same parent share h' U: their dx are added first, to du. Then dU = sum of h'^T du is one product.

A product of many U^T shrinks or grows like a power: over long words, gradients vanish or explode (Bengio, Simard and
Frasconi 1994). The gates of a GRU or an LSTM are made against this.
"""

# pyright: reportMissingParameterType=false

from dataclasses import dataclass
from typing import ClassVar

from .init import Normal
from .levels import GIVEN, N_LEVELS, STRIDE, begin_past, copy_past, levels_of, mask_gradient, masked, past_size
from .maths import kernel, tanh
from .matmul import dot_packed, pack_panels
from .recurrent import (
    SATURATION,
    Recurrent,
    add_past,
    first_states,
    gradient_of_row,
    panels_size,
    start_gradient,
    weight_gradient,
)
from .recurrent_steps import RNN_STEPS
from .spec import (
    AUX0,
    AUX1,
    AUX2,
    AUX3,
    AUX4,
    AUX5,
    AUX6,
    DX,
    DY,
    LEVELS,
    P0,
    P1,
    ROWS,
    S0,
    S1,
    S2,
    STATE0,
    Kernels,
    Shape,
    X,
    Y,
)
from .views import block, matrix, vector

# Scratch: MASKED is U with its rows scaled, PANELS U or its transpose packed, DU the gradient of u = h' U, whose memory
# u has in the forward pass.
PAST, DU, MASKED, PANELS, DPAST, PRODUCT, DH = AUX0, AUX1, AUX2, AUX3, AUX4, AUX5, AUX6


@dataclass(frozen=True)
class RNN(Recurrent):
    """State of a plain recurrent net: (..., n_hidden) stays (..., n_hidden). See `Recurrent` for the options."""

    blocks: ClassVar[int] = 1


@kernel
def forward(levels, x, panels, past, u, y):
    """x (N, H), U (H, H) packed -> y (N, H); also past (Q, H). u (rows of a level, H) is scratch."""
    H, stride, place = y.shape[1], levels.head[STRIDE], 0
    for level in range(levels.head[N_LEVELS]):
        count = copy_past(levels, level, y, past, place)
        dot_packed(past[place : place + count], panels, u[:count])
        for i in range(levels.sizes[level]):
            n = levels.begins[level] + i * stride
            of_input, of_state, h = block(x, n, 0, H), block(u, levels.parents[n] - place, 0, H), block(y, n, 0, H)
            for j in range(H):
                h[j] = tanh(of_input[j] + of_state[j])
        place += count


@kernel
def backward(levels, panels, y, dy, du, dpast, product, dh, dx):
    """y and dy (N, H), the transpose of U packed (H, H) -> dx (N, H); also du and dpast (Q, H), of past."""
    H, stride, place = dy.shape[1], levels.head[STRIDE], past_size(levels)
    du[:place].fill(0)
    dpast[:place].fill(0)
    one = dh.dtype.type(1)
    for level in range(levels.head[N_LEVELS] - 1, -1, -1):
        count = levels.alive[level - 1] if level else levels.head[GIVEN]
        for i in range(levels.sizes[level]):
            n = levels.begins[level] + i * stride
            h, of_input, of_state = block(y, n, 0, H), block(dx, n, 0, H), block(du, levels.parents[n], 0, H)
            gradient_of_row(levels, level, i, n, dy, dpast, place, dh)
            # h = tanh(x + u)
            for j in range(H):
                of_input[j] = dh[j] * (one - h[j] * h[j])
            for j in range(H):
                of_state[j] += of_input[j]
        place -= count
        # u = h' U
        dot_packed(du[place : place + count], panels, product[:count])
        add_past(dpast, place, count, product)


def forward_op(row, arena, params, grads, ints):
    N, H, levels = row[ROWS], row[S0], levels_of(ints, row[LEVELS])
    Q = past_size(levels)
    past, start = matrix(arena, row[PAST], Q, H), vector(params, row[P1], H * (row[P1] >= 0))
    begin_past(levels, matrix(arena, row[STATE0], levels.head[GIVEN], H), start, past)
    U = masked(matrix(params, row[P0], H, H), levels, row[S2], row[S1], matrix(arena, row[MASKED], H, H))
    panels = vector(arena, row[PANELS], panels_size(H, H, Q))
    pack_panels(U, panels)
    forward(
        levels,
        matrix(arena, row[X], N, H),
        panels,
        past,
        matrix(arena, row[DU], Q, H),
        matrix(arena, row[Y], N, H),
    )


def backward_op(row, arena, params, grads, ints):
    N, H, levels = row[ROWS], row[S0], levels_of(ints, row[LEVELS])
    Q = past_size(levels)
    past, du = matrix(arena, row[PAST], Q, H), matrix(arena, row[DU], Q, H)
    dU, dpast = matrix(grads, row[P0], H, H), matrix(arena, row[DPAST], Q, H)
    U = matrix(arena, row[MASKED], H, H) if row[S1] else matrix(params, row[P0], H, H)
    panels = vector(arena, row[PANELS], panels_size(H, H, Q))
    pack_panels(U.T, panels)
    backward(
        levels,
        panels,
        matrix(arena, row[Y], N, H),
        matrix(arena, row[DY], N, H),
        du,
        dpast,
        matrix(arena, row[PRODUCT], Q, H),
        vector(arena, row[DH], H),
        matrix(arena, row[DX], N, H),
    )
    weight_gradient(past, du, panels, dU)
    mask_gradient(dU, levels, row[S2], row[S1])
    start_gradient(dpast, vector(grads, row[P1], H * (row[P1] >= 0)))


def scratch(layer: RNN, in_shape: Shape, rows: int) -> tuple[int, ...]:
    H, Q = layer.n_hidden, rows + 1
    return (Q * H, Q * H, H * H * (layer.dropout > 0), panels_size(H, H, Q), Q * H, Q * H, H)


def torch_forward(module, x, levels):
    U = levels.mask_state(module.U, module.layer)
    return levels.walk(lambda x, h: ((x + h @ U).tanh(),), x, first_states(module, "start"))


KERNELS = Kernels(
    forward_op,
    backward_op,
    torch=torch_forward,
    example=RNN(12, Normal(0.4), learn_start=True),
    scratch=scratch,
    steps=RNN_STEPS,
    saturation=SATURATION,
    levels=True,
    state=lambda layer: (layer.n_hidden,),
)
