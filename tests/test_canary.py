"""The canary finds a secret in every form in which it may be shown, and nothing where there is none."""

from __future__ import annotations

import base64

import pytest

from tests.canary import shown

SECRET = "pk/4f+9=Kiwi&\"<'ü-Quince"
FORMS = {
    "plain": SECRET,
    "percent": "pk%2F4f%2B9%3DKiwi%26%22%3C%27%C3%BC-Quince",
    "percent in small letters": "pk%2f4f%2b9%3dkiwi%26%22%3c%27%c3%bc-quince",
    "JSON": r"pk/4f+9=Kiwi&\"<'\u00fc-Quince",
    "JSON as UTF-8": r"pk/4f+9=Kiwi&\"<'ü-Quince",
    "repr": "pk/4f+9=Kiwi&\"<\\'ü-Quince",
    "HTML": "pk/4f+9=Kiwi&amp;&quot;&lt;&#x27;ü-Quince",
    "hex": "706b2f34662b393d4b697769",
    "capitals": SECRET.upper(),
    "a dozen letters": SECRET[5:17],
    "over lines": "\n  ".join(SECRET[at : at + 4] for at in range(0, len(SECRET), 4)),
    **{
        f"Base64 behind {before} bytes": base64.b64encode(b"x" * before + SECRET.encode() + b":more").decode()
        for before in range(6)
    },
    "Base64 for URLs": base64.urlsafe_b64encode(b"user:" + SECRET.encode()).decode(),
}


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS.keys())
def test_x1_each_form_of_a_secret_is_found(text: str) -> None:
    assert shown([SECRET], f"a line before {text} and behind")


def test_x1_a_plus_for_a_blank_is_found() -> None:
    assert shown(["pk 4f 9 Kiwi-Quince"], "q=pk+4f+9+Kiwi-Quince&x=1")


@pytest.mark.parametrize("form", ["plain", "percent", "JSON", "repr", "HTML", "over lines", "Base64 behind 1 bytes"])
def test_x1_what_is_for_programs_is_looked_through_too(form: str) -> None:
    assert shown([SECRET], "", FORMS[form])


def test_x1_where_there_is_none_nothing_is_found() -> None:
    assert shown([SECRET], "a run of tap-peakium: 401 Unauthorized; check api_key ***", '{"type":"RECORD"}') == []


def test_x1_eleven_letters_are_not_yet_a_secret() -> None:
    assert shown([SECRET], SECRET[5:16]) == []
