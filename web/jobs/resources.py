"""What a worker process has at hand for its jobs, made once by the composition root."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from web.postgres.programs import Programs

if TYPE_CHECKING:
    from web.postgres.scratch import ScratchServers


@dataclass(frozen=True, slots=True)
class Resources:
    """Programs and servers that jobs share. A kind makes what else it needs from the configuration."""

    programs: tuple[Programs, ...]
    scratch: ScratchServers
    #: What is around projects' code on this machine, in words.
    wall: str = "not known"
