"""Requests for words, with the limits of a server."""

import dataclasses
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, FailFast, Field, create_model

from ..sampling import Constraints
from .limits import Limits

Label = Annotated[str | None, Field(max_length=1000)]
LABEL = "label of the words, for a run with labels; null for the sum over labels"


class StrictRequest(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class LabelledRequest(StrictRequest):
    label: Label = Field(None, description=LABEL)


def sample_request(limits: Limits) -> Any:
    """Make the class of requests for words drawn at random."""

    class SampleRequest(_constrained(limits)):
        n: int = Field(20, ge=0, le=limits.samples, description="number of words")
        seed: int | None = Field(
            None, ge=0, lt=1 << 63, description="the same seed gives the same words; null for a random one"
        )
        temperature: float = Field(
            1.0,
            ge=0,
            le=1000,
            description="values below 1 make likely characters more likely, above 1 all more equal; 0 always takes "
            "the most likely character",
        )
        top_k: int = Field(0, ge=0, le=1 << 31, description="draw only from the k most likely characters; 0 for all")
        top_p: float = Field(
            1.0,
            gt=0,
            le=1,
            description="draw only from the fewest characters with this total probability; 1 for all",
        )
        lengths: str = Field(
            "",
            max_length=limits.text,
            description='how often words of each length are drawn: "list" for as often as in the list, 4:1,5:2 for 5 '
            "characters twice as often as 4, 4-8 for each of these equally often; empty for as often as the model "
            "generates them",
        )
        avoid: Annotated[list[Annotated[str, Field(max_length=limits.text)]], FailFast()] = Field(
            [], max_length=limits.words, description="words not to draw"
        )
        only_new: bool = Field(False, description="draw no words of the list")
        distinct: bool = Field(False, description="draw each word at most once")
        exact: bool = Field(
            False, description="draw each word exactly as often as the model generates it, if it takes long"
        )
        tries: int | None = Field(
            None,
            ge=1,
            le=limits.tries,
            description="maximum number of words to draw while some are rejected; null for the server's limit",
        )

    return SampleRequest


def likeliest_request(limits: Limits) -> Any:
    """Make the class of requests for the most likely words."""

    class LikeliestRequest(_constrained(limits)):
        n: int = Field(20, ge=0, le=limits.samples, description="number of words")

    return LikeliestRequest


def _constrained(limits: Limits) -> Any:
    return create_model("ConstrainedRequest", __base__=LabelledRequest, **constraint_fields(limits))


def constraint_fields(limits: Limits) -> dict[str, Any]:
    """Constraints on words as fields of a request: name -> (type, field)."""
    found = {}
    for f in dataclasses.fields(Constraints):
        meta = f.metadata
        kind, default, bounds = f.type, f.default, {}
        if kind == tuple[str, ...]:
            kind, default = Annotated[list[Annotated[str, Field(max_length=limits.text)]], FailFast()], []
            bounds["max_length"] = limits.words
        elif kind is str:
            bounds["max_length"] = limits.text
        else:
            bounds.update(ge=meta["low"], le=min(meta["high"], limits.text))
        found[f.name] = (kind, Field(default, description=meta["help"], **bounds))
    return found
