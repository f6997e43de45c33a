"""Text without credentials: for what quotes something that it was given, into a log or an answer."""

import re

PREFIXED = r"[a-z][a-z0-9]*_(?:live|test)_"
"""What every opaque credential begins with, as a regular expression."""

_LIKE_A_CREDENTIAL = re.compile(rf"\b({PREFIXED}|eyJ)[\w.-]{{8,}}")


def without_credentials(text: str) -> str:
    """`text` with everything cut short that could be a credential."""
    return _LIKE_A_CREDENTIAL.sub(r"\1…", text)
