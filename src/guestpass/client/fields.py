"""The arguments of a call, held to their bounds before anything is sent, and the body that they make.

Knows what every API of guestpass's checks the same; which components and accounts there are, only the server knows.
"""

import json
import re
import uuid
from collections.abc import Collection, Mapping
from typing import Final

from guestpass.client_error import ClientError
from guestpass.minting import MAX_LIFETIME, MIN_LIFETIME
from guestpass.principal import is_account_id, is_name
from guestpass.signer import MAX_METADATA
from guestpass.strict_json import decode_object
from guestpass.values import FrozenDict, as_collection, as_mapping

_UUID = re.compile(r"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}\Z")
_SESSION_ID = re.compile(r"as_[0-9A-Za-z]{1,64}\Z")
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}\Z")
_MAX_DEPTH: Final = 12
_LONGEST_NAME: Final = 256


class Fields:
    """The fields of one body; what is wrong with them gathers, and is all said at once."""

    def __init__(self) -> None:
        self._body: dict[str, object] = {}
        self._wrong: list[FrozenDict] = []

    def put(self, name: str, value: object) -> None:
        """A field, unless it was left out."""
        if value is not None:
            self._body[name] = value

    def wrong(self, name: str, reason: str) -> None:
        """Note what is wrong with an argument."""
        self._wrong.append(FrozenDict(field=name, reason=reason))

    def account(self, argument: str, field: str, value: str | None) -> None:
        """The id of an account."""
        if value is not None and not is_account_id(value):
            self.wrong(argument, "1-128 of A-Z a-z 0-9 . _ : @ -")
        self.put(field, value)

    def lifetime(self, field: str, value: int | None) -> None:
        """Seconds; a bool is no number here."""
        if value is not None and (type(value) is not int or not MIN_LIFETIME <= value <= MAX_LIFETIME):
            self.wrong("expires_in", f"an integer from {MIN_LIFETIME} to {MAX_LIFETIME} (seconds)")
        self.put(field, value)

    def roles(self, value: Collection[str] | None) -> None:
        """Names of roles."""
        given = None if value is None else as_collection(value)
        if value is not None and (given is None or not all(is_name(one) for one in given)):
            self.wrong("roles", "a list of names of roles")
        self.put("roles", None if given is None else sorted(map(str, given)))

    def components(self, value: Mapping[str, Mapping[str, object]] | None) -> None:
        """``{name: {"enabled": bool, "features": {name: bool}}}``."""
        if value is None:
            return
        given = as_mapping(value)
        if given is None:
            self.wrong("components", 'a mapping: {"call_logs": {"enabled": True}}')
            return
        self._body["components"] = {str(name): self._component(name, setting) for name, setting in given.items()}

    def _component(self, name: object, setting: object) -> object:
        where = f"components.{name}" if is_name(name) else "components"
        given = as_mapping(setting)
        if not is_name(name) or given is None or not set(given) <= {"enabled", "features"}:
            self.wrong(where, 'a name, with a mapping of "enabled" and, if need be, "features"')
            return {}
        if not isinstance(given.get("enabled"), bool):
            self.wrong(f"{where}.enabled", "True or False")
        if "features" not in given:
            return dict(given)
        features = as_mapping(given["features"])
        if features is None or not all(is_name(one) and isinstance(on, bool) for one, on in features.items()):
            self.wrong(f"{where}.features", 'a mapping: {"transcripts": True}')
            return {}
        return {**given, "features": dict(features)}

    def user(self, value: str | uuid.UUID | None) -> None:
        """The end user's UUID."""
        text = str(value) if isinstance(value, uuid.UUID) else value
        if text is not None and not (isinstance(text, str) and _UUID.match(text)):
            self.wrong("id", "a UUID in its 36-character form; leave it out to have one made")
        self.put("id", text)

    def metadata(self, value: Mapping[str, object] | None) -> None:
        """A JSON object of at most `MAX_METADATA` bytes."""
        given = None if value is None else as_mapping(value)
        if value is None:
            return
        encoded = None if given is None else _as_json(given)
        if given is None or encoded is None:
            reason = f"a mapping that JSON can hold, nested at most {_MAX_DEPTH} deep, its integers of 64 bits"
            self.wrong("metadata", reason)
        elif len(encoded) > MAX_METADATA:
            self.wrong("metadata", f"at most {MAX_METADATA} bytes as JSON; it is {len(encoded)}")
        else:
            self._body["metadata"] = dict(given)

    def idempotency_key(self, value: str | None) -> str:
        """The key given, or one made for this call."""
        if value is None:
            return str(uuid.uuid4())
        if not isinstance(value, str) or not _IDEMPOTENCY_KEY.match(value):
            self.wrong("idempotency_key", "1-255 visible ASCII characters")
            return ""
        return value

    def session_id(self, value: str) -> str:
        """The id of a session, for a path. A client secret is none: it would stand in every log on the way."""
        if not isinstance(value, str) or not _SESSION_ID.match(value):
            self.wrong("session_id", "the id of a session, as_…; not its client secret")
            return ""
        return value

    def name(self, field: str, value: str | None) -> None:
        """A subject, or a token's id."""
        if value is not None and (
            not isinstance(value, str) or not 0 < len(value) <= _LONGEST_NAME or not value.isprintable()
        ):
            hint = "; the jti claim, not the token itself" if field == "token" else ""
            self.wrong(field, f"a printable text of 1-{_LONGEST_NAME} characters{hint}")
        self.put(field, value)

    def body(self) -> bytes:
        """The body, as JSON. Raises `ClientError` (``VALIDATION_ERROR``) if anything is wrong."""
        if self._wrong:
            said = "".join(f" {one['field']}: {one['reason']}." for one in self._wrong)
            message = f"nothing was sent, some arguments are not as they should be.{said}"
            raise ClientError("VALIDATION_ERROR", message, details=FrozenDict(errors=tuple(self._wrong)))
        return _encode(self._body)


def _encode(value: Mapping[str, object]) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _as_json(given: Mapping[object, object]) -> bytes | None:
    """`given` as compact JSON, None where it would not be read back as it is (a number for a name, NaN)."""
    try:
        encoded = json.dumps(dict(given), ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
        if len(encoded) <= MAX_METADATA and decode_object(encoded, max_depth=_MAX_DEPTH) != given:
            return None
    except (TypeError, ValueError, RecursionError):
        return None
    return encoded
