"""Which texts a backend takes."""

from __future__ import annotations

from ..errors import InvalidRequestError
from ..models import CapabilityFeatures
from ..operations import Operation, Update
from ..operations.fields import check_content


def check_texts(op: Operation, features: CapabilityFeatures) -> None:
    """Refuse a text that the backend cannot store or search for, as far as that is known before it is asked.

    Raises:
        InvalidRequestError: it is too long, or the content of an update is empty.
    """
    if op.limited_text is not None:
        _check_length(*op.limited_text, features)
    if isinstance(op, Update) and not features.unindexed:
        check_new_content(op, features)


def check_new_content(op: Update, features: CapabilityFeatures, *, is_indexed: bool = True) -> None:
    """Refuse a content that the memory to be updated cannot have.

    Providers with the feature ``unindexed`` call it once they know the memory.

    Args:
        is_indexed: whether searches find the memory.

    Raises:
        InvalidRequestError: it is empty or too long.
    """
    if "content" not in op.changes:
        return
    try:
        check_content(op.content, is_indexed=is_indexed)
    except ValueError as error:
        raise InvalidRequestError(str(error)) from None
    if is_indexed:
        _check_length("content", op.content, features)


def _check_length(field: str, text: str, features: CapabilityFeatures) -> None:
    bound = features.max_content_length
    if bound is not None and len(text) > bound:
        raise InvalidRequestError(
            f"{field}: {len(text)} characters are over the provider's limit of {bound}; split the text"
        )
