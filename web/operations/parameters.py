"""What all kinds' parameters have in common: frozen, and nothing that is not known."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Parameters(BaseModel):
    """Parameters of a kind; those of kinds that take none."""

    model_config = ConfigDict(frozen=True, extra="forbid")
