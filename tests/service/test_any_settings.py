"""The law of the settings: whatever is written, it is settings that can be built, or one clear error."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from guestpass.service.building import build
from guestpass.service.settings import SettingsError, read_settings
from service.writing import EXAMPLE, SOUND, toml, uncommented

NAME = "guestpass.toml"
ENVIRON = {"GUESTPASS_WRAPPING_KEY": "a wrapping key that is long enough: 32 bytes"}

KEYS = sorted(
    set(re.findall(r"^#?([a-z_]+) = ", EXAMPLE, re.MULTILINE)) | {"jwks_url", "any_audience", "mints", "role"}
)
TABLES = (
    *("components", "ownership", "platforms", "listen", "forward_auth", "rules", "issuing", "signed_tokens", "issuers"),
    *("credentials", "accounts", "roles", "cognito", "require", "values"),
)
TEXTS = st.one_of(
    st.sampled_from(sorted(set(re.findall(r'"([^"\n]+)"', EXAMPLE)))),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
)
SCALARS = st.one_of(TEXTS, st.booleans(), st.integers(-(2**63), 2**63), st.floats(), st.just([]))
NAMES = st.one_of(st.sampled_from([*KEYS, *TABLES]), TEXTS)
VALUES: st.SearchStrategy[object] = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=4)),
    max_leaves=12,
)
DOCUMENTS = st.dictionaries(NAMES, VALUES, max_size=8).map(toml)


def held(text: str, environ: dict[str, str]) -> None:
    """Fails where the law does not hold."""
    try:
        found = read_settings(text, NAME, environ)
        # Any other store would be opened.
        if found.store == "memory://" and found.store_file is None:
            build(found, {**environ, **ENVIRON}, make=False).close()
    except SettingsError as problem:
        said = str(problem)
    else:
        return
    assert re.match(r"['\"]?(guestpass\.toml|GUESTPASS_)", said)
    assert "\n" not in said


@settings(deadline=None, max_examples=300)
@given(DOCUMENTS)
def test_any_document_gives_settings_or_one_clear_error(text: str) -> None:
    held(text, {})


@settings(deadline=None, max_examples=300)
@given(st.text(max_size=200))
def test_any_text_gives_settings_or_one_clear_error(text: str) -> None:
    held(text, {})


LINES = EXAMPLE.splitlines()


@settings(deadline=None, max_examples=400)
@given(st.data())
def test_an_example_that_was_meddled_with_gives_settings_or_one_clear_error(data: st.DataObject) -> None:
    lines = ['store = "memory://"', *map(uncommented, LINES)] if data.draw(st.booleans()) else LINES.copy()
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(lines) - 1))
        line = lines[at]
        key, is_setting, _ = line.partition(" = ")
        meddled = [
            "",
            line[data.draw(st.integers(0, len(line))) :],
            f"{key} = {toml({'x': data.draw(VALUES)})[6:-1]}" if is_setting else f"#{line}",
            data.draw(st.sampled_from(lines)),
        ]
        lines[at] = data.draw(st.sampled_from(meddled))
    held("\n".join(lines), {})


VARIABLES = st.one_of(
    st.builds(lambda *names: "__".join(["GUESTPASS", *names]).upper(), st.sampled_from(TABLES), st.sampled_from(KEYS)),
    st.builds(lambda key: f"GUESTPASS__{key}".upper(), st.sampled_from(KEYS)),
    TEXTS.map(lambda text: f"GUESTPASS__{text}"),
)


@settings(deadline=None, max_examples=300)
@given(st.dictionaries(VARIABLES, TEXTS, max_size=2))
def test_any_environment_gives_settings_or_one_clear_error(environ: dict[str, str]) -> None:
    held(SOUND, environ)
