"""LSTM: a recurrent layer with a cell c that gates add to, and that is read through a gate.

Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000. Its input x = e W + b, from a Linear before
it, is the share of the gates that does not depend on the state. From x and the state h', c' after the character before,
along each word:

    u = h' U                                            four blocks: u_i, u_f, u_g, u_o
    i = sigmoid(x_i + u_i)      f = sigmoid(x_f + u_f)      input gate and forget gate
    g = tanh(x_g + u_g)         o = sigmoid(x_o + u_o)      candidate and output gate
    c = f c' + i g
    t = tanh(c)
    h = o t

Back through time: dh of a row is dy, from the layers above, plus what its children send back; dc comes from these too.
As sigmoid' is s (1 - s) and tanh' is 1 - t**2,

    do = dh t                   dx_o = do o (1 - o)
    dc += dh o (1 - t**2)
    df = dc c'                  dx_f = df f (1 - f)
    di = dc g                   dx_i = di i (1 - i)
    dg = dc i                   dx_g = dg (1 - g**2)
    dc' = dc f                  dh' = dx U^T

c' reaches c multiplied by f alone: where f is near 1, the gradient goes far back through the word. So models begin with
biases of 1 for f (Jozefowicz et al. 2015). Rows with the same parent share h' U: their dx are added first, to du. Then
dU = sum of h'^T du is one product.
"""

# pyright: reportMissingParameterType=false

from dataclasses import dataclass
from typing import ClassVar

from .init import Normal
from .levels import GIVEN, N_LEVELS, STRIDE, begin_past, copy_past, levels_of, mask_gradient, masked, past_size
from .maths import kernel, sigmoid, tanh
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
from .recurrent_steps import LSTM_STEPS
from .spec import (
    AUX0,
    AUX1,
    AUX2,
    AUX3,
    AUX4,
    AUX5,
    AUX6,
    AUX7,
    AUX8,
    AUX9,
    DX,
    DY,
    LEVELS,
    P0,
    P1,
    P2,
    ROWS,
    S0,
    S1,
    S2,
    STATE0,
    STATE1,
    Kernels,
    Parameter,
    Shape,
    X,
    Y,
)
from .views import block, matrix, vector

# Scratch: PAST holds the h and after them the c that rows continue, DPAST their gradients. MASKED is U with its rows
# scaled, DU the gradient of u, whose memory u has in the forward pass. TANH_C holds t, DH the dh and the dc of a row.
C, GATES, TANH_C, PAST, DU, MASKED, PANELS, DPAST, PRODUCT, DH = (
    *(AUX0, AUX1, AUX2, AUX3, AUX4, AUX5, AUX6, AUX7, AUX8, AUX9),
)


@dataclass(frozen=True)
class LSTM(Recurrent):
    """Gates and state of an LSTM: (..., 4 n_hidden) becomes (..., n_hidden). See `Recurrent` for the options."""

    blocks: ClassVar[int] = 4

    def parameters(self) -> tuple[Parameter, ...]:
        return (super().parameters()[0], *self.starts("start", "start_c"))


@kernel
def forward(levels, x, panels, gates, t, past, past_c, u, c, y):
    """x (N, 4H), U (H, 4H) packed -> y and c (N, H); also gates i, f, g, o (N, 4H), t (N, H), past and past_c (Q, H).

    u (Q, 4H) is scratch.
    """
    H, H2, stride, place = y.shape[1], 2 * y.shape[1], levels.head[STRIDE], 0
    for level in range(levels.head[N_LEVELS]):
        count = copy_past(levels, level, y, past, place)
        copy_past(levels, level, c, past_c, place)
        dot_packed(past[place : place + count], panels, u[:count])
        for i in range(levels.sizes[level]):
            n = levels.begins[level] + i * stride
            q = levels.parents[n]
            i_and_f, of_input, of_state = block(gates, n, 0, H2), block(x, n, 0, H2), block(u, q - place, 0, H2)
            for j in range(H2):
                i_and_f[j] = sigmoid(of_input[j] + of_state[j])
            g, of_input, of_state = block(gates, n, 2, H), block(x, n, 2, H), block(u, q - place, 2, H)
            for j in range(H):
                g[j] = tanh(of_input[j] + of_state[j])
            o, of_input, of_state = block(gates, n, 3, H), block(x, n, 3, H), block(u, q - place, 3, H)
            for j in range(H):
                o[j] = sigmoid(of_input[j] + of_state[j])
            ig, f = block(gates, n, 0, H), block(gates, n, 1, H)
            cell, before = block(c, n, 0, H), block(past_c, q, 0, H)
            for j in range(H):
                cell[j] = f[j] * before[j] + ig[j] * g[j]
            tn, h = block(t, n, 0, H), block(y, n, 0, H)
            for j in range(H):
                tn[j] = tanh(cell[j])
            for j in range(H):
                h[j] = o[j] * tn[j]
        place += count


@kernel
def backward(levels, panels, gates, t, past_c, dy, du, dpast, dpast_c, product, dh, dc, dx):
    """dy (N, H), the transpose of U packed (4H, H) -> dx (N, 4H); also du (Q, 4H), dpast and dpast_c (Q, H)."""
    H, H4, stride, place = dy.shape[1], 4 * dy.shape[1], levels.head[STRIDE], past_size(levels)
    du[:place].fill(0)
    dpast[:place].fill(0)
    dpast_c[:place].fill(0)
    one = dh.dtype.type(1)
    for level in range(levels.head[N_LEVELS] - 1, -1, -1):
        count = levels.alive[level - 1] if level else levels.head[GIVEN]
        for i in range(levels.sizes[level]):
            n = levels.begins[level] + i * stride
            q = levels.parents[n]
            gradient_of_row(levels, level, i, n, dy, dpast, place, dh)
            # h = o t, t = tanh(c)
            o, tn = block(gates, n, 3, H), block(t, n, 0, H)
            for j in range(H):
                dc[j] = dh[j] * o[j] * (one - tn[j] * tn[j])
            if i < levels.alive[level]:
                of_children = block(dpast_c, place + i, 0, H)
                for j in range(H):
                    dc[j] += of_children[j]
            # o = sigmoid(x_o + u_o)
            do = block(dx, n, 3, H)
            for j in range(H):
                do[j] = dh[j] * tn[j] * o[j] * (one - o[j])
            # c = f c' + i g
            ig, f, g = block(gates, n, 0, H), block(gates, n, 1, H), block(gates, n, 2, H)
            di, df, dg = block(dx, n, 0, H), block(dx, n, 1, H), block(dx, n, 2, H)
            before, of_past = block(past_c, q, 0, H), block(dpast_c, q, 0, H)
            for j in range(H):
                di[j] = dc[j] * g[j] * ig[j] * (one - ig[j])
            for j in range(H):
                dg[j] = dc[j] * ig[j] * (one - g[j] * g[j])
            for j in range(H):
                df[j] = dc[j] * before[j] * f[j] * (one - f[j])
            for j in range(H):
                of_past[j] += dc[j] * f[j]
            of_input, of_state = block(dx, n, 0, H4), block(du, q, 0, H4)
            for j in range(H4):
                of_state[j] += of_input[j]
        place -= count
        # u = h' U
        dot_packed(du[place : place + count], panels, product[:count])
        add_past(dpast, place, count, product)


def forward_op(row, arena, params, grads, ints):
    N, H, levels = row[ROWS], row[S0], levels_of(ints, row[LEVELS])
    Q, given, learnt = past_size(levels), levels.head[GIVEN], H * (row[P1] >= 0)
    past, past_c = matrix(arena, row[PAST], Q, H), matrix(arena, row[PAST] + Q * H, Q, H)
    begin_past(levels, matrix(arena, row[STATE0], given, H), vector(params, row[P1], learnt), past)
    begin_past(levels, matrix(arena, row[STATE1], given, H), vector(params, row[P2], learnt), past_c)
    U = masked(matrix(params, row[P0], H, 4 * H), levels, row[S2], row[S1], matrix(arena, row[MASKED], H, 4 * H))
    panels = vector(arena, row[PANELS], panels_size(H, 4 * H, Q))
    pack_panels(U, panels)
    forward(
        levels,
        matrix(arena, row[X], N, 4 * H),
        panels,
        matrix(arena, row[GATES], N, 4 * H),
        matrix(arena, row[TANH_C], N, H),
        past,
        past_c,
        matrix(arena, row[DU], Q, 4 * H),
        matrix(arena, row[C], N, H),
        matrix(arena, row[Y], N, H),
    )


def backward_op(row, arena, params, grads, ints):
    N, H, levels = row[ROWS], row[S0], levels_of(ints, row[LEVELS])
    Q, learnt = past_size(levels), H * (row[P1] >= 0)
    past, du = matrix(arena, row[PAST], Q, H), matrix(arena, row[DU], Q, 4 * H)
    dpast, dpast_c = matrix(arena, row[DPAST], Q, H), matrix(arena, row[DPAST] + Q * H, Q, H)
    dU = matrix(grads, row[P0], H, 4 * H)
    U = matrix(arena, row[MASKED], H, 4 * H) if row[S1] else matrix(params, row[P0], H, 4 * H)
    panels = vector(arena, row[PANELS], panels_size(H, 4 * H, Q))
    pack_panels(U.T, panels)
    backward(
        levels,
        panels,
        matrix(arena, row[GATES], N, 4 * H),
        matrix(arena, row[TANH_C], N, H),
        matrix(arena, row[PAST] + Q * H, Q, H),
        matrix(arena, row[DY], N, H),
        du,
        dpast,
        dpast_c,
        matrix(arena, row[PRODUCT], Q, H),
        vector(arena, row[DH], H),
        vector(arena, row[DH] + H, H),
        matrix(arena, row[DX], N, 4 * H),
    )
    weight_gradient(past, du, panels, dU)
    mask_gradient(dU, levels, row[S2], row[S1])
    start_gradient(dpast, vector(grads, row[P1], learnt))
    start_gradient(dpast_c, vector(grads, row[P2], learnt))


def scratch(layer: LSTM, in_shape: Shape, rows: int) -> tuple[int, ...]:
    H, Q = layer.n_hidden, rows + 1
    masked = 4 * H * H * (layer.dropout > 0)
    return (
        rows * H,
        4 * rows * H,
        rows * H,
        2 * Q * H,
        4 * Q * H,
        masked,
        panels_size(H, 4 * H, Q),
        2 * Q * H,
        Q * H,
        2 * H,
    )


def torch_forward(module, x, levels):
    from torch import sigmoid, tanh

    U = levels.mask_state(module.U, module.layer)

    def step(x, h, c):
        i, f, g, o = (x + h @ U).split(module.layer.n_hidden, 1)
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        return sigmoid(o) * tanh(c), c

    return levels.walk(step, x, first_states(module, "start", "start_c"))


KERNELS = Kernels(
    forward_op,
    backward_op,
    torch=torch_forward,
    example=LSTM(3, Normal(0.4), learn_start=True),
    scratch=scratch,
    steps=LSTM_STEPS,
    saturation=SATURATION,
    levels=True,
    state=lambda layer: (layer.n_hidden, layer.n_hidden),
)
