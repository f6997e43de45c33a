"""What a platform's backend may end over HTTP: everything of an account, a subject's tokens, one token.

Holds each request to the key's own platform and accounts; what then ends is `guestpass.revocation.revocations`' to say.
"""

import re
from collections.abc import Mapping
from typing import Final

from guestpass.errors import Refused
from guestpass.grants import ALL
from guestpass.inquiry import Inquiry
from guestpass.ownership import Ownership, is_owned
from guestpass.principal import SECRET_KEY, Principal, is_account_id, is_user_id
from guestpass.records import Cutoff
from guestpass.refusals import FieldError, Refusal
from guestpass.revocation.revocations import Revocations

FIELDS: Final = frozenset({"account", "subject", "token"})

_JTI = re.compile(r"[0-9a-f]{32}\Z")
_ONE_OF: Final = 'one of {"account": …}, {"subject": …}, {"subject": …, "account": …} and {"token": jti}'


def revoke_from(
    revocations: Revocations, ownership: Ownership | None, by: Principal, body: Mapping[str, object]
) -> Inquiry[Cutoff]:
    """End what the fields of `body` name, of the platform of `by`: drive the answer.

    Raises `Refused`: ``escalation_denied``, ``validation_error``, ``account_refused``.
    """
    if by.kind != SECRET_KEY:
        raise Refused(Refusal("escalation_denied", more="Only a secret key revokes."))
    given = {name: value for name, value in body.items() if name in FIELDS}
    wrong = [FieldError(name, "a text, not empty") for name, value in given.items() if not _is_text(value)]
    if set(body) - FIELDS or set(given) not in ({"account"}, {"subject"}, {"subject", "account"}, {"token"}):
        wrong.append(FieldError("body", _ONE_OF))
    if "account" in given and not wrong and not is_account_id(given["account"]):
        wrong.append(FieldError("account", "an account's id"))
    if "token" in given and not wrong and not _JTI.match(str(given["token"])):
        wrong.append(FieldError("token", "the jti of a token that was signed here"))
    if "subject" in given and not wrong and not is_user_id(str(given["subject"]).lower()):
        wrong.append(FieldError("subject", "a UUID in its 36-character form"))
    if wrong:
        raise Refused(Refusal("validation_error", errors=tuple(wrong)))
    texts = {name: str(value) for name, value in given.items()}
    account = texts.get("account")
    yield from _refuse_strange(ownership, by, account)
    if "token" in texts:
        return (yield from revocations.token_from(texts["token"], by.platform))
    if "subject" in texts:
        return (yield from revocations.subject_from(by.platform, texts["subject"], account))
    return (yield from revocations.account_from(by.platform, texts["account"]))


def _refuse_strange(ownership: Ownership | None, by: Principal, account: str | None) -> Inquiry[None]:
    if by.grant.accounts is not ALL:
        # Whose a token or an account-less subject is, its name does not say.
        if account is None or account not in by.grant.accounts:
            more = "A key that is held to accounts ends what is theirs: name the account."
            raise Refused(Refusal("account_refused", "API key", more))
    elif account is not None and not (yield from is_owned(ownership, by.platform, account)):
        raise Refused(Refusal("account_refused", "API key"))


def _is_text(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 256 and value.isprintable()
