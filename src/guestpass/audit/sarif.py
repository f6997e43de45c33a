"""An audit as SARIF 2.1.0 (OASIS), for code scanning: one result for each finding, suppressed where it is accepted."""

import hashlib
import os
from pathlib import Path
from typing import Final

from guestpass.audit.auditing import Audit
from guestpass.audit.findings import KINDS, Finding, Location

_SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_ROOT: Final = "SRCROOT"


def sarif(seen: Audit, *, version: str, application: Location | None = None) -> dict[str, object]:
    """The log of one run. `version` is guestpass's; findings without a line of their own are put at `application`."""
    codes = list(KINDS)
    results = [_result(finding, codes, application) for finding in seen.findings]
    results += [
        {
            **_result(finding, codes, application),
            "suppressions": [{"kind": "external", "justification": by.reason}],
        }
        for finding, by in seen.accepted
    ]
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "guestpass audit",
                        "semanticVersion": version,
                        "rules": [_rule(code) for code in codes],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "originalUriBaseIds": {_ROOT: {"description": {"text": "The directory that the audit was run in."}}},
                "results": results,
            }
        ],
    }


def _rule(code: str) -> dict[str, object]:
    kind = KINDS[code]
    return {
        "id": code,
        "shortDescription": {"text": kind.says},
        "defaultConfiguration": {"level": kind.level},
    }


def _result(finding: Finding, codes: list[str], application: Location | None) -> dict[str, object]:
    at = finding.location or application
    # The same gap is the same alert on whatever line it stands by then.
    same = hashlib.sha256(f"{finding.code}\0{finding.route}".encode()).hexdigest()
    result: dict[str, object] = {
        "ruleId": finding.code,
        "ruleIndex": codes.index(finding.code),
        "level": finding.level,
        "message": {"text": f"{finding.route}: {finding.message}"},
        "partialFingerprints": {"guestpassFinding/v1": same},
    }
    if at is not None:
        result["locations"] = [{"physicalLocation": _physical(at)}]
    return result


def _physical(location: Location) -> dict[str, object]:
    region = {"startLine": location.line}
    if os.path.isabs(location.file):
        return {"artifactLocation": {"uri": Path(location.file).as_uri()}, "region": region}
    uri = Path(location.file).as_posix()
    return {"artifactLocation": {"uri": _escaped(uri), "uriBaseId": _ROOT}, "region": region}


def _escaped(path: str) -> str:
    from urllib.parse import quote

    return quote(path)
