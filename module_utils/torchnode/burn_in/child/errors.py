"""What an error of torch says, by its words: it has few types of its own."""

from __future__ import annotations

#: Every way in which torch and its libraries say that memory ran out.
_OUT_OF_MEMORY = (
    "outofmemory",
    "memoryerror",
    "out of memory",
    "can't allocate memory",
    "cublas_status_alloc_failed",
)
#: And that they have nothing for what was asked of them.
_NOT_SUPPORTED = ("not supported", "not_supported", "not implemented", "only supported")


def out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out."""
    return _says(error, _OUT_OF_MEMORY)


def not_supported(error: BaseException) -> bool:
    """Whether this build has no way to do it; a call with unknown arguments is one as well."""
    return isinstance(error, TypeError) or _says(error, _NOT_SUPPORTED)


def _says(error: BaseException, signs: tuple[str, ...]) -> bool:
    told = ("%s %s" % (type(error).__name__, error)).lower()
    return any(sign in told for sign in signs)
