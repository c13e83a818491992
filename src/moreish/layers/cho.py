"""ChoGRU: a GRU that resets its state before the product (Cho et al. 2014, equations 5 to 8).

The form of PyTorch, in gru.py, resets after it, so that one product is enough. From x = e W + b of a Linear before this
layer and the state h' after the character before, along each word:

    r = sigmoid(x_r + h' U_r)           z = sigmoid(x_z + h' U_z)       u = h' U, with U of two blocks, U_r and U_z
    v = r h'
    n = tanh(x_n + v V)                 candidate, from what the reset leaves of the state
    h = n + z (h' - n)

Back through time: dh of a row is dy, from the layers above, plus what its children send back:

    dn = dh (1 - z)                     dx_n = dn (1 - n**2)
    dz = dh (h' - n)                    dx_z = dz z (1 - z)
    dv = dx_n V^T
    dr = dv h'                          dx_r = dr r (1 - r)
    du = dx_r, dx_z

h' reaches h in three ways: directly, through v, and through u. So a row sends back

    dh' = dh z + dv r + du U^T

Rows with the same parent share h' and u: their du and the other two terms are added first. Over all rows,
dU = sum of h'^T du and dV = sum of v^T dx_n.

With dropout of the state, the rows of U and of V are multiplied by the mask s (H,) of the batch.
"""

# pyright: reportMissingParameterType=false

from dataclasses import dataclass
from typing import ClassVar

from .init import Normal
from .levels import GIVEN, N_LEVELS, STRIDE, begin_past, copy_past, levels_of, mask_gradient, masked, past_size
from .maths import kernel, sigmoid, tanh
from .matmul import dot_packed, pack_panels, packed_size
from .recurrent import SATURATION, Recurrent, add_past, first_states, gradient_of_row, start_gradient, weight_gradient
from .recurrent_steps import CHO_STEPS
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
    Kernels,
    Parameter,
    Shape,
    X,
    Y,
)
from .views import block, matrix, vector

# Scratch: DU is the gradient of u, and V_OF_ROWS holds v in the order of levels; RESET is v V, and later dx_n. MASKED
# holds U and V with their rows scaled, PANELS both, or their transposes, packed.
GATES, PAST, DU, V_OF_ROWS, RESET, MASKED, PANELS, DPAST, PRODUCT, DH = (
    *(AUX0, AUX1, AUX2, AUX3, AUX4, AUX5, AUX6, AUX7, AUX8, AUX9),
)


@dataclass(frozen=True)
class ChoGRU(Recurrent):
    """Gates and state of a GRU with its reset before: (..., 3 n_hidden) becomes (..., n_hidden); see `Recurrent`."""

    blocks: ClassVar[int] = 3

    def parameters(self) -> tuple[Parameter, ...]:
        H = self.n_hidden
        products = (Parameter("U", (H, 2 * H), self.weight), Parameter("V", (H, H), self.weight))
        return (*products, *self.starts("start"))


@kernel
def forward(levels, x, to_u, to_v, gates, past, u, v, reset, y):
    """x (N, 3H), U (H, 2H) and V (H, H) packed -> y (N, H); also gates r, z, n (N, 3H), past (Q, H), v (N, H) by level.

    u (Q, 2H) and reset (N, H) are scratch.
    """
    H, H2, stride, place, first = y.shape[1], 2 * y.shape[1], levels.head[STRIDE], 0, 0
    for level in range(levels.head[N_LEVELS]):
        count, size = copy_past(levels, level, y, past, place), levels.sizes[level]
        dot_packed(past[place : place + count], to_u, u[:count])
        for i in range(size):
            n = levels.begins[level] + i * stride
            q = levels.parents[n]
            r_and_z, of_input, of_state = block(gates, n, 0, H2), block(x, n, 0, H2), block(u, q - place, 0, H2)
            for j in range(H2):
                r_and_z[j] = sigmoid(of_input[j] + of_state[j])
            vn, r, before = block(v, first + i, 0, H), block(gates, n, 0, H), block(past, q, 0, H)
            for j in range(H):
                vn[j] = r[j] * before[j]
        dot_packed(v[first : first + size], to_v, reset[:size])
        for i in range(size):
            n = levels.begins[level] + i * stride
            candidate, of_input, of_state = block(gates, n, 2, H), block(x, n, 2, H), block(reset, i, 0, H)
            for j in range(H):
                candidate[j] = tanh(of_input[j] + of_state[j])
            h, z, before = block(y, n, 0, H), block(gates, n, 1, H), block(past, levels.parents[n], 0, H)
            for j in range(H):
                h[j] = candidate[j] + z[j] * (before[j] - candidate[j])
        place += count
        first += size


@kernel
def backward(levels, from_u, from_v, gates, past, dy, du, dpast, product, dxn, dh, dx):
    """dy (N, H), the transposes of U (2H, H) and V (H, H) packed -> dx (N, 3H); also du (Q, 2H), dpast (Q, H), of past.

    dxn (N, H) is the last block of dx, in the order of levels.
    """
    H, H2, stride, place, first = dy.shape[1], 2 * dy.shape[1], levels.head[STRIDE], past_size(levels), dy.shape[0]
    du[:place].fill(0)
    dpast[:place].fill(0)
    one = dh.dtype.type(1)
    for level in range(levels.head[N_LEVELS] - 1, -1, -1):
        count, size = levels.alive[level - 1] if level else levels.head[GIVEN], levels.sizes[level]
        first -= size
        for i in range(size):
            n = levels.begins[level] + i * stride
            q = levels.parents[n]
            gradient_of_row(levels, level, i, n, dy, dpast, place, dh)
            # h = n + z (h' - n), n = tanh(x_n + v V)
            z, candidate, dn = block(gates, n, 1, H), block(gates, n, 2, H), block(dxn, first + i, 0, H)
            for j in range(H):
                dn[j] = dh[j] * (one - z[j]) * (one - candidate[j] * candidate[j])
            # z = sigmoid(x_z + u_z)
            dz, before = block(dx, n, 1, H), block(past, q, 0, H)
            for j in range(H):
                dz[j] = dh[j] * (before[j] - candidate[j]) * z[j] * (one - z[j])
            of_past = block(dpast, q, 0, H)
            for j in range(H):
                of_past[j] += dh[j] * z[j]
        # v V
        dot_packed(dxn[first : first + size], from_v, product[:size])
        for i in range(size):
            n = levels.begins[level] + i * stride
            q = levels.parents[n]
            # v = r h', r = sigmoid(x_r + u_r)
            dr, dv, before, r = block(dx, n, 0, H), block(product, i, 0, H), block(past, q, 0, H), block(gates, n, 0, H)
            for j in range(H):
                dr[j] = dv[j] * before[j] * r[j] * (one - r[j])
            of_past = block(dpast, q, 0, H)
            for j in range(H):
                of_past[j] += dv[j] * r[j]
            of_input, dn = block(dx, n, 2, H), block(dxn, first + i, 0, H)
            for j in range(H):
                of_input[j] = dn[j]
            of_state, of_input = block(du, q, 0, H2), block(dx, n, 0, H2)
            for j in range(H2):
                of_state[j] += of_input[j]
        place -= count
        # u = h' U
        dot_packed(du[place : place + count], from_u, product[:count])
        add_past(dpast, place, count, product)


def forward_op(row, arena, params, grads, ints):
    N, H, levels = row[ROWS], row[S0], levels_of(ints, row[LEVELS])
    Q = past_size(levels)
    past, start = matrix(arena, row[PAST], Q, H), vector(params, row[P2], H * (row[P2] >= 0))
    begin_past(levels, matrix(arena, row[STATE0], levels.head[GIVEN], H), start, past)
    of_u, of_v = matrix(arena, row[MASKED], H, 2 * H), matrix(arena, row[MASKED] + 2 * H * H, H, H)
    to_u = vector(arena, row[PANELS], packed_size(2 * H, H))
    to_v = vector(arena, row[PANELS] + packed_size(2 * H, H), packed_size(H, H))
    pack_panels(masked(matrix(params, row[P0], H, 2 * H), levels, row[S2], row[S1], of_u), to_u)
    pack_panels(masked(matrix(params, row[P1], H, H), levels, row[S2], row[S1], of_v), to_v)
    forward(
        levels,
        matrix(arena, row[X], N, 3 * H),
        to_u,
        to_v,
        matrix(arena, row[GATES], N, 3 * H),
        past,
        matrix(arena, row[DU], Q, 2 * H),
        matrix(arena, row[V_OF_ROWS], N, H),
        matrix(arena, row[RESET], N, H),
        matrix(arena, row[Y], N, H),
    )


def backward_op(row, arena, params, grads, ints):
    N, H, levels = row[ROWS], row[S0], levels_of(ints, row[LEVELS])
    Q = past_size(levels)
    past, du = matrix(arena, row[PAST], Q, H), matrix(arena, row[DU], Q, 2 * H)
    v, dxn = matrix(arena, row[V_OF_ROWS], N, H), matrix(arena, row[RESET], N, H)
    dU, dV = matrix(grads, row[P0], H, 2 * H), matrix(grads, row[P1], H, H)
    U = matrix(arena, row[MASKED], H, 2 * H) if row[S1] else matrix(params, row[P0], H, 2 * H)
    V = matrix(arena, row[MASKED] + 2 * H * H, H, H) if row[S1] else matrix(params, row[P1], H, H)
    from_u = vector(arena, row[PANELS], packed_size(2 * H, H))
    from_v = vector(arena, row[PANELS] + packed_size(2 * H, H), packed_size(H, H))
    pack_panels(U.T, from_u)
    pack_panels(V.T, from_v)
    dpast = matrix(arena, row[DPAST], Q, H)
    backward(
        levels,
        from_u,
        from_v,
        matrix(arena, row[GATES], N, 3 * H),
        past,
        matrix(arena, row[DY], N, H),
        du,
        dpast,
        matrix(arena, row[PRODUCT], max(N, Q), H),
        dxn,
        vector(arena, row[DH], H),
        matrix(arena, row[DX], N, 3 * H),
    )
    # The panels of the weights are no longer needed.
    weight_gradient(past, du, vector(arena, row[PANELS], packed_size(Q, 2 * H)), dU)
    weight_gradient(v, dxn, vector(arena, row[PANELS], packed_size(N, H)), dV)
    mask_gradient(dU, levels, row[S2], row[S1])
    mask_gradient(dV, levels, row[S2], row[S1])
    start_gradient(dpast, vector(grads, row[P2], H * (row[P2] >= 0)))


def scratch(layer: ChoGRU, in_shape: Shape, rows: int) -> tuple[int, ...]:
    H, Q = layer.n_hidden, rows + 1
    masked = 3 * H * H * (layer.dropout > 0)
    return (
        3 * rows * H,
        Q * H,
        2 * Q * H,
        rows * H,
        rows * H,
        masked,
        max(packed_size(2 * H, H) + packed_size(H, H), packed_size(Q, 2 * H)),
        Q * H,
        Q * H,
        H,
    )


def torch_forward(module, x, levels):
    from torch import sigmoid, tanh

    U, V = (levels.mask_state(weight, module.layer) for weight in (module.U, module.V))

    def step(x, h):
        H = module.layer.n_hidden
        r, z = sigmoid(x[:, : 2 * H] + h @ U).split(H, 1)
        n = tanh(x[:, 2 * H :] + (r * h) @ V)
        return (n + z * (h - n),)

    return levels.walk(step, x, first_states(module, "start"))


KERNELS = Kernels(
    forward_op,
    backward_op,
    torch=torch_forward,
    example=ChoGRU(4, Normal(0.4), learn_start=True),
    scratch=scratch,
    steps=CHO_STEPS,
    saturation=SATURATION,
    levels=True,
    state=lambda layer: (layer.n_hidden,),
)
