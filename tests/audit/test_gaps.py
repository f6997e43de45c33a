"""Every planted gap is found, and nothing else; in sound applications nothing is."""

from typing import Any

import pytest
from django.test.utils import override_settings  # type: ignore[import-untyped]

from audit.gaps import GAPS, Gap, urls
from audit.sound import DJANGO_URLS, SOUND
from guestpass.audit import KINDS, Audit, audit


def audited(app: Any, at: Any = None, **settings: Any) -> Audit:
    with override_settings(ROOT_URLCONF=at or urls()):
        return audit(app, **settings)


@pytest.mark.parametrize("gap", GAPS.values(), ids=GAPS)
def test_the_gap_is_found(gap: Gap) -> None:
    seen = audited(gap.make(), gap.urls)
    assert {(finding.code, finding.route) for finding in seen.findings} == gap.found
    assert not seen.clean


def test_every_framework_has_several() -> None:
    for framework in ("FastAPI", "Starlette", "Flask", "Litestar", "Django"):
        assert sum(name.startswith(framework) for name in GAPS) >= 5
    assert {code for gap in GAPS.values() for code, _ in gap.found} >= set(KINDS) - {
        "acceptance_unused",
        "reached_uncovered",
        "rules_unreadable",
    }


@pytest.mark.parametrize("make", SOUND.values(), ids=SOUND)
def test_nothing_is_found_in_a_sound_application(make: Any) -> None:
    seen = audited(make(), DJANGO_URLS)
    assert seen.findings == ()
    assert seen.clean
    # It was asked, and every request that should have reached its handler did.
    assert seen.requests >= 4
    assert [(row.shown, why) for row, why in seen.unreached] == []
