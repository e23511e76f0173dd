"""Hashing and checking of passwords (argon2id). Both take time and memory on purpose, and run in a thread."""

from __future__ import annotations

import asyncio

from pwdlib import PasswordHash
from pwdlib.exceptions import UnknownHashError

from web.errors import Invalid

HASHER = PasswordHash.recommended()
#: Length and nothing else (OWASP ASVS 5, 6.2): rules about kinds of characters make worse passwords.
SHORTEST, LONGEST = 12, 1024
#: The hash of no password; a sign-in under an unknown name takes as long as any other.
NOBODY = "$argon2id$v=19$m=65536,t=3,p=4$l7WxbnRCAV2ZFuv4VfvBAw$LZ8TzMHUuG5ypg3XFnxPzqbK/JpEImDRHo7vq7bTs9c"


async def hash_password(password: str) -> str:
    """Hash a new password; `Invalid` where it is too short or too long."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise Invalid(f"A password has {SHORTEST} to {LONGEST} characters.")
    return await asyncio.to_thread(HASHER.hash, password)


async def check_password(password: str, stored: str | None) -> tuple[bool, str | None]:
    """Whether the password is the stored one, and a new hash where today's parameters are stronger.

    `stored` is None where there is no such user: the same work is done, and the answer is no.
    """
    if len(password) > LONGEST:
        return False, None
    try:
        matches, stronger = await asyncio.to_thread(HASHER.verify_and_update, password, stored or NOBODY)
    except UnknownHashError:
        return False, None
    return (matches, stronger) if stored is not None else (False, None)
