"""Messages that a page may send over its WebSocket: one JSON object each, checked before anything is done."""

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

Text = Annotated[str, Field(max_length=1000)]


class Message(BaseModel):
    """A message; `id` comes back with its response."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
    id: int = Field(0, ge=0, le=1 << 53)


class Command(Message):
    """Play, pause, make one step, start anew with the same settings, save the training as a run, or count the n-gram
    whose val loss is the baseline."""

    do: Literal["play", "pause", "step", "restart", "save", "baseline"]


class Pace(Message):
    """The most steps a second; 0 for as many as possible."""

    do: Literal["pace"]
    steps: float = Field(ge=0, le=1e6)


class Configure(Message):
    """Start anew with other settings; options that are not given are the model's. play None: as it was."""

    do: Literal["configure"]
    list: Text
    model: Text
    options: dict[Text, bool | int | float | Text] = Field(max_length=100)
    play: bool | None = None


class Ask(Message):
    """A question about the training as it stands: see `views`. A live one is asked again with every step."""

    do: Literal["ask"]
    view: Text
    values: dict[Text, Any] = Field({}, max_length=30)
    live: bool = False


class Describe(Message):
    """Describe a list by its name."""

    do: Literal["describe"]
    list: Text


Received = Annotated[Command | Pace | Configure | Ask | Describe, Field(discriminator="do")]
RECEIVED: TypeAdapter[Command | Pace | Configure | Ask | Describe] = TypeAdapter(Received)


def id_of(data: str | bytes) -> int:
    """Return the id of a message that may be malformed; 0 if it has none."""
    try:
        found = json.loads(data)["id"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return 0
    return found if isinstance(found, int) and 0 <= found <= 1 << 53 else 0


def refusal(error: ValidationError) -> str:
    """Return a line that says why a message is refused."""
    last = error.errors(include_url=False)[-1]
    name = next((str(part)[:100] for part in last["loc"][1:] if part != "options"), "")
    what = last["msg"].replace("Input should", "it should").replace("String should", "it should")
    return f"{name}: {what}" if name else "the message is not one that the lab knows"
