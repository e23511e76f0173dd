"""Errors of the API as problem details (RFC 9457), with our hint as a further member."""

from __future__ import annotations

import logging
import re
import secrets
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from web.errors import CleanStartError

logger = logging.getLogger(__name__)


def problem(
    status: int, title: str, detail: str, *, kind: str = "about:blank", hint: str = "", **more: Any
) -> JSONResponse:
    """Build the response; `kind` is the error's name in kebab case, stable for programs."""
    content = {"type": kind, "title": title, "status": status, "detail": detail, "hint": hint, **more}
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    return JSONResponse(content, status, headers=headers, media_type="application/problem+json")


def of_error(error: CleanStartError) -> JSONResponse:
    """An expected error."""
    more = {"job": error.job_id} if hasattr(error, "job_id") else {}
    return problem(error.status, error.title, str(error), kind=_name(error), hint=error.hint, **more)


def of_http(error: HTTPException) -> JSONResponse:
    """What the framework refuses by itself: no such path, wrong method."""
    response = problem(error.status_code, str(error.detail), str(error.detail))
    response.headers.update(error.headers or {})
    return response


def of_validation(error: RequestValidationError) -> JSONResponse:
    """A request that is not what the route takes."""
    problems = [
        # A key of the request is part of the place, however long it is.
        {"where": ".".join(str(part)[:100] for part in each["loc"]), "what": each["msg"]}
        for each in error.errors()
    ]
    said = "; ".join(f"{each['where']}: {each['what']}" for each in problems)
    if any(each["loc"][0] == "path" for each in error.errors()):
        return problem(404, "Not found", "There is no such thing.", kind="not-found")
    return problem(422, "This cannot be done as asked", said, kind="invalid", problems=problems)


def of_bug(request: Request, error: Exception) -> JSONResponse:
    """A 500: always a bug. The log holds it under the reference; the answer does not."""
    reference = secrets.token_hex(6)
    logger.error("Unexpected error %s at %s", reference, request.url.path, exc_info=error)
    return problem(
        500,
        "Something went wrong",
        f"This is a mistake in Clean Start. Its log has the details under {reference}.",
        kind="bug",
        reference=reference,
    )


def _name(error: CleanStartError) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", type(error).__name__).lower()
