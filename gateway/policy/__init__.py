"""
The published purposes as data: reading `purposes.toml` into a `Policy`.

Adding a purpose changes the table and a test vector, no code (house decision 0007).
"""

from functools import lru_cache
from importlib import resources

import msgspec

from gateway.domain.purpose import Policy, Purpose


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: str
    purpose: list[Purpose]


@lru_cache(maxsize=1)
def published_policy() -> Policy:
    """
    Read the purposes shipped with the package.

    Raises:
        ValueError: For a purpose twice, or without a statutory business (R000-G2).
        msgspec.ValidationError: For a value outside the tables.
    """
    text = resources.files(__name__).joinpath("purposes.toml").read_bytes()
    file = msgspec.toml.decode(text, type=_File)
    purposes = {purpose.code: purpose for purpose in file.purpose}
    if len(purposes) != len(file.purpose):
        raise ValueError("a purpose code stands twice")
    if not all(purpose.business for purpose in file.purpose):
        raise ValueError("PURPOSE_NO_STATUTORY_BASIS")
    return Policy(file.version, purposes)
