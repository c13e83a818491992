"""GRU: a recurrent layer whose gates decide what it keeps of its state (Cho et al. 2014, in the form of PyTorch).

Its input x = e W + b, from a Linear before it, is the share of the gates that does not depend on the state. From x and
the state h' after the character before, along each word:

    u = h' U                            three blocks: u_r, u_z, u_n
    r = sigmoid(x_r + u_r)              reset: how much of the state the candidate sees
    z = sigmoid(x_z + u_z)              update: how much of the state stays
    m = u_n + c
    n = tanh(x_n + r m)                 candidate
    h = n + z (h' - n)                  the same as (1 - z) n + z h'

Back through time: dh of a row is dy, from the layers above, plus what its children send back. As sigmoid' is s (1 - s)
and tanh' is 1 - n**2,

    dn = dh (1 - z)                     dx_n = dn (1 - n**2)
    dz = dh (h' - n)                    dx_z = dz z (1 - z)
    dr = dx_n m                         dx_r = dr r (1 - r)
    du = dx_r, dx_z, dx_n r             dc = sum of du_n

h' reaches h directly and through u, so a row sends back

    dh' = dh z + du U^T

Rows with the same parent share h' and u: their du and dh z are added first. Then dU = sum of h'^T du is one product.

With dropout of the state, u = (h' s) U. The mask s (H,) is one for a whole batch, so the rows of U are scaled instead.
"""

# pyright: reportMissingParameterType=false

from dataclasses import dataclass
from typing import ClassVar

from .init import Constant, Normal
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
from .recurrent_steps import GRU_STEPS
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
    Kernels,
    Parameter,
    Shape,
    X,
    Y,
)
from .views import block, matrix, vector

# Scratch: MASKED is U with its rows scaled, PANELS U or its transpose packed, DU the gradient of u = h' U, whose memory
# u has in the forward pass.
GATES, M, PAST, DU, MASKED, PANELS, DPAST, PRODUCT, DH = AUX0, AUX1, AUX2, AUX3, AUX4, AUX5, AUX6, AUX7, AUX8


@dataclass(frozen=True)
class GRU(Recurrent):
    """Gates and state of a GRU: (..., 3 n_hidden) becomes (..., n_hidden). See `Recurrent` for the options."""

    blocks: ClassVar[int] = 3

    def parameters(self) -> tuple[Parameter, ...]:
        U, *start = super().parameters()
        return (U, Parameter("c", (self.n_hidden,), Constant(0.0)), *start)


@kernel
def forward(levels, x, panels, c, gates, m, past, u, y):
    """x (N, 3H), U (H, 3H) packed, c (H,) -> y (N, H); also gates r, z, n (N, 3H), m (N, H) and past (Q, H).

    u (rows of a level, 3H) is scratch.
    """
    H, H2, stride, place = y.shape[1], 2 * y.shape[1], levels.head[STRIDE], 0
    for level in range(levels.head[N_LEVELS]):
        count = copy_past(levels, level, y, past, place)
        dot_packed(past[place : place + count], panels, u[:count])
        for i in range(levels.sizes[level]):
            n = levels.begins[level] + i * stride
            q = levels.parents[n]
            r_and_z, of_input, of_state = block(gates, n, 0, H2), block(x, n, 0, H2), block(u, q - place, 0, H2)
            for j in range(H2):
                r_and_z[j] = sigmoid(of_input[j] + of_state[j])
            mn, un = block(m, n, 0, H), block(u, q - place, 2, H)
            for j in range(H):
                mn[j] = un[j] + c[j]
            r, candidate, xn = block(gates, n, 0, H), block(gates, n, 2, H), block(x, n, 2, H)
            for j in range(H):
                candidate[j] = tanh(xn[j] + r[j] * mn[j])
            h, z, before = block(y, n, 0, H), block(gates, n, 1, H), block(past, q, 0, H)
            for j in range(H):
                h[j] = candidate[j] + z[j] * (before[j] - candidate[j])
        place += count


@kernel
def backward(levels, panels, gates, m, past, dy, du, dpast, product, dh, dx):
    """dy (N, H), the transpose of U packed (3H, H) -> dx (N, 3H); also du (Q, 3H) and dpast (Q, H), of past."""
    H, H2, stride, place = dy.shape[1], 2 * dy.shape[1], levels.head[STRIDE], past_size(levels)
    du[:place].fill(0)
    dpast[:place].fill(0)
    one = dh.dtype.type(1)
    for level in range(levels.head[N_LEVELS] - 1, -1, -1):
        count = levels.alive[level - 1] if level else levels.head[GIVEN]
        for i in range(levels.sizes[level]):
            n = levels.begins[level] + i * stride
            q = levels.parents[n]
            gradient_of_row(levels, level, i, n, dy, dpast, place, dh)
            r, z, candidate = block(gates, n, 0, H), block(gates, n, 1, H), block(gates, n, 2, H)
            dr, dz, dn = block(dx, n, 0, H), block(dx, n, 1, H), block(dx, n, 2, H)
            # h = n + z (h' - n), n = tanh(x_n + r m)
            for j in range(H):
                dn[j] = dh[j] * (one - z[j]) * (one - candidate[j] * candidate[j])
            # z = sigmoid(x_z + u_z)
            before = block(past, q, 0, H)
            for j in range(H):
                dz[j] = dh[j] * (before[j] - candidate[j]) * z[j] * (one - z[j])
            # r = sigmoid(x_r + u_r)
            mn = block(m, n, 0, H)
            for j in range(H):
                dr[j] = dn[j] * mn[j] * r[j] * (one - r[j])
            # x_r + u_r, x_z + u_z, x_n + r (u_n + c)
            of_state, of_input = block(du, q, 0, H2), block(dx, n, 0, H2)
            for j in range(H2):
                of_state[j] += of_input[j]
            du_n = block(du, q, 2, H)
            for j in range(H):
                du_n[j] += dn[j] * r[j]
            of_past = block(dpast, q, 0, H)
            for j in range(H):
                of_past[j] += dh[j] * z[j]
        place -= count
        # u = h' U
        dot_packed(du[place : place + count], panels, product[:count])
        add_past(dpast, place, count, product)


@kernel
def bias_gradient(du, dc):
    """du (Q, 3H) -> dc (H,)."""
    H = dc.size
    # m = u_n + c
    dc.fill(0)
    for q in range(du.shape[0]):
        du_n = block(du, q, 2, H)
        for j in range(H):
            dc[j] += du_n[j]


def forward_op(row, arena, params, grads, ints):
    N, H, levels = row[ROWS], row[S0], levels_of(ints, row[LEVELS])
    Q = past_size(levels)
    past, start = matrix(arena, row[PAST], Q, H), vector(params, row[P2], H * (row[P2] >= 0))
    begin_past(levels, matrix(arena, row[STATE0], levels.head[GIVEN], H), start, past)
    U = masked(matrix(params, row[P0], H, 3 * H), levels, row[S2], row[S1], matrix(arena, row[MASKED], H, 3 * H))
    panels = vector(arena, row[PANELS], panels_size(H, 3 * H, Q))
    pack_panels(U, panels)
    forward(
        levels,
        matrix(arena, row[X], N, 3 * H),
        panels,
        vector(params, row[P1], H),
        matrix(arena, row[GATES], N, 3 * H),
        matrix(arena, row[M], N, H),
        past,
        matrix(arena, row[DU], Q, 3 * H),
        matrix(arena, row[Y], N, H),
    )


def backward_op(row, arena, params, grads, ints):
    N, H, levels = row[ROWS], row[S0], levels_of(ints, row[LEVELS])
    Q = past_size(levels)
    past, du = matrix(arena, row[PAST], Q, H), matrix(arena, row[DU], Q, 3 * H)
    dU, dpast = matrix(grads, row[P0], H, 3 * H), matrix(arena, row[DPAST], Q, H)
    U = matrix(arena, row[MASKED], H, 3 * H) if row[S1] else matrix(params, row[P0], H, 3 * H)
    panels = vector(arena, row[PANELS], panels_size(H, 3 * H, Q))
    pack_panels(U.T, panels)
    backward(
        levels,
        panels,
        matrix(arena, row[GATES], N, 3 * H),
        matrix(arena, row[M], N, H),
        past,
        matrix(arena, row[DY], N, H),
        du,
        dpast,
        matrix(arena, row[PRODUCT], Q, H),
        vector(arena, row[DH], H),
        matrix(arena, row[DX], N, 3 * H),
    )
    weight_gradient(past, du, panels, dU)
    bias_gradient(du, vector(grads, row[P1], H))
    mask_gradient(dU, levels, row[S2], row[S1])
    start_gradient(dpast, vector(grads, row[P2], H * (row[P2] >= 0)))


def scratch(layer: GRU, in_shape: Shape, rows: int) -> tuple[int, ...]:
    H, Q = layer.n_hidden, rows + 1
    masked = 3 * H * H * (layer.dropout > 0)
    return (3 * rows * H, rows * H, Q * H, 3 * Q * H, masked, panels_size(H, 3 * H, Q), Q * H, Q * H, H)


def torch_forward(module, x, levels):
    from torch import sigmoid, tanh

    U = levels.mask_state(module.U, module.layer)

    def step(x, h):
        H = module.layer.n_hidden
        u = h @ U
        r, z = sigmoid(x[:, : 2 * H] + u[:, : 2 * H]).split(H, 1)
        n = tanh(x[:, 2 * H :] + r * (u[:, 2 * H :] + module.c))
        return (n + z * (h - n),)

    return levels.walk(step, x, first_states(module, "start"))


KERNELS = Kernels(
    forward_op,
    backward_op,
    torch=torch_forward,
    example=GRU(4, Normal(0.4), learn_start=True),
    scratch=scratch,
    steps=GRU_STEPS,
    saturation=SATURATION,
    levels=True,
    state=lambda layer: (layer.n_hidden,),
)
