"""The SARIF of an audit, held against the object model that is made from the standard's schema (sarif-om)."""

import json
from collections.abc import Mapping
from typing import Any, cast

import attr
import pytest
import sarif_om

from audit.gaps import fastapi_account_in_the_path, fastapi_dead_rule
from guestpass.audit import Accepted, Audit, Location, audit
from guestpass.audit.sarif import sarif

MODEL: Mapping[str, type] = {
    "runs": sarif_om.Run,
    "tool": sarif_om.Tool,
    "driver": sarif_om.ToolComponent,
    "rules": sarif_om.ReportingDescriptor,
    "defaultConfiguration": sarif_om.ReportingConfiguration,
    "shortDescription": sarif_om.MultiformatMessageString,
    "results": sarif_om.Result,
    "message": sarif_om.Message,
    "description": sarif_om.Message,
    "locations": sarif_om.Location,
    "physicalLocation": sarif_om.PhysicalLocation,
    "artifactLocation": sarif_om.ArtifactLocation,
    "region": sarif_om.Region,
    "suppressions": sarif_om.Suppression,
}
"""What the objects at a property are. Properties whose values are named freely hold no others."""

FREE: Mapping[str, type | None] = {"originalUriBaseIds": sarif_om.ArtifactLocation, "partialFingerprints": None}


def check(value: Any, model: type, at: str = "log") -> None:
    """Every property is one of the model's, and none that has to be there is missing."""
    fields = {field.metadata["schema_property_name"]: field for field in cast("Any", model).__attrs_attrs__}
    assert set(value) <= set(fields), at
    needed = {name for name, field in fields.items() if field.default is attr.NOTHING}
    assert needed <= set(value), at
    for name, below in value.items():
        if name in FREE:
            kept = FREE[name]
            for inner in below.values():
                if kept is None:
                    assert isinstance(inner, str)
                else:
                    check(inner, kept, f"{at}.{name}")
            continue
        for inner in below if isinstance(below, list) else [below]:
            if isinstance(inner, dict):
                check(inner, MODEL[name], f"{at}.{name}")


@pytest.fixture(scope="module")
def seen() -> Audit:
    accept = [Accepted("rule_unmatched", "GET /v1/voicemail", reason="its route comes next week")]
    return audit(fastapi_dead_rule(), accept=accept)


def test_it_has_what_the_standard_has() -> None:
    found = audit(fastapi_account_in_the_path())
    log = json.loads(json.dumps(sarif(found, version="1.2.3")))
    check(log, sarif_om.SarifLog)
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    (result,) = run["results"]
    rule = run["tool"]["driver"]["rules"][result["ruleIndex"]]
    assert result["ruleId"] == rule["id"] == "account_unbound"
    assert result["level"] == rule["defaultConfiguration"]["level"] == "error"
    (location,) = result["locations"]
    artifact = location["physicalLocation"]["artifactLocation"]
    assert artifact["uriBaseId"] in run["originalUriBaseIds"]
    assert artifact["uri"].endswith("tests/audit/gaps.py")
    assert location["physicalLocation"]["region"]["startLine"] > 1


def test_what_is_accepted_is_suppressed_with_its_reason(seen: Audit) -> None:
    assert seen.clean
    log: Any = sarif(seen, version="1.2.3", application=Location("shop/main page.py", 1))
    check(log, sarif_om.SarifLog)
    (result,) = log["runs"][0]["results"]
    assert result["suppressions"] == [{"kind": "external", "justification": "its route comes next week"}]
    # A rule of the policy has no line of its own: the application's module has to do.
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "shop/main%20page.py"


def test_a_file_elsewhere_is_named_whole(seen: Audit) -> None:
    log: Any = sarif(seen, version="1.2.3", application=Location("/srv/shop/main.py", 1))
    artifact = log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert artifact == {"uri": "file:///srv/shop/main.py"}


def test_the_same_gap_has_the_same_fingerprint(seen: Audit) -> None:
    def fingerprint(seen: Audit) -> Any:
        log: Any = sarif(seen, version="1.2.3")
        return log["runs"][0]["results"][0]["partialFingerprints"]

    assert fingerprint(seen) == fingerprint(audit(fastapi_dead_rule()))
    assert fingerprint(seen) != fingerprint(audit(fastapi_account_in_the_path()))
