"""Check every hand-derived gradient of the models, parameter by parameter and layer by layer.

Compares each gradient with autograd (if PyTorch is installed) and with central differences, in float64 and float32, in
the order of the backward pass. The exit status is 1 if any gradient is wrong.

Examples:
  moreish gradcheck
  moreish gradcheck mlp --json
  moreish gradcheck gru --n-layer 2 --dropout 0.3 --recurrent-dropout 0.3
"""

from importlib.util import find_spec
from typing import Annotated

from ..analysis.gradcheck import Check, as_json, check_models, first_wrong
from ..errors import InputError, WorkError, install_command, unknown
from ..models import NETS
from .arguments import ModelArguments, NetName
from .fields import Flat, given_options
from .terminal import announce_work, print_json, print_table, say
from .values import Flag

HEADING = ["tensor", ">shape", "against", "equal", ">max abs", ">max rel", ""]


def gradcheck(
    *models: NetName,
    json: Flag = False,
    model_options: Annotated[ModelArguments, Flat] = ModelArguments(),  # pyright: ignore[reportInvalidTypeForm]
) -> None:
    """Run `moreish gradcheck`.

    Parameters
    ----------
    models
        Names of the models to check [default: all].
    json
        Print JSON: {"models": {NAME: {"ok": ..., "tensors": [{"name", "kind", "shape", "dtype", "against", "exact",
        "approximate", "max_abs", "max_rel", "ok"}, ...]}, ...}}.
    """
    for name in models:
        if name not in NETS:
            raise unknown("model with gradients", name, NETS)
    options = given_options(model_options)
    if options and len(models) != 1:
        name = next(iter(options)).replace("_", "-")
        raise InputError(f"--{name} is an option of a model: name one, as in moreish gradcheck gru --{name} ...")
    announce_work()
    if find_spec("torch") is None:
        say(
            "moreish: without PyTorch, gradients are compared only with central differences "
            f"(for autograd too: {install_command('torch')})"
        )
    results = {}
    for name, checks in check_models(list(models) or list(NETS), options):
        results[name] = checks
        if not json:
            for dtype in dict.fromkeys(check.dtype for check in checks):
                print(f"{name} in {dtype}: every gradient, in the order of the backward pass")
                print_table(HEADING, [row(check) for check in checks if check.dtype == dtype])
                print()
    if json:
        print_json(as_json(results))
    wrong = {name: bad for name, checks in results.items() if (bad := first_wrong(checks))}
    for name, bad in wrong.items():
        raise WorkError(
            f"{name}: the first wrong gradient of the backward pass is that of {bad.name}, compared with {bad.against}"
        )


def row(check: Check) -> list[str]:
    """Cells of a gradient and its reference."""
    equal = "exactly" if check.exact else "nearly" if check.approximate else "no"
    errors = [f"{error:.1e}" for error in (check.max_abs, check.max_rel)]
    return [check.name, "×".join(map(str, check.shape)), check.against, equal, *errors, "ok" if check.ok else "WRONG"]
