"""winget's tables. Built after the tables that winget 1.29 (MIT licence) prints; made up, not recorded.

*Not run on the real system*: programs, versions and translations in them are made up.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from brakeline.agent.providers.windows.winget import Row, rows

UPGRADE = """\r   - \r   \\ \rName                          Id                          Version     Available    Source
-------------------------------------------------------------------------------------
Editor 31.1.8                 Acme.Editor                 31.1.8      31.4.5       winget
Studio Professional           Acme.Studio.Professional    < 17.14.41  17.14.41     winget
Driver 19 for SQL             Acme.SqlDriver              19.4.1.0    19.4.2       winget
Long name that does not fi…   Acme.AnIdentifierThatDoes…  Unknown     1.0          winget
4 upgrades available.

The following packages have an upgrade available, but require explicit targeting for upgrade:
Name    Id           Version Available Source
----------------------------------------------
Chat    Acme.Chat    1.0.9   1.0.12    winget
"""
GERMAN = """Name                Kennung             Version    Verfügbar  Quelle
--------------------------------------------------------------------
Rechner             Acme.Rechner        1.0        1.1        winget
Rechner ohne Quelle {6B9E2C1A-0000}     2.0
2 Aktualisierungen verfügbar.
"""
FRENCH = """Nom                 ID du paquet        Version    Source
---------------------------------------------------------
Calculatrice        Acme.Calc           1.0        winget
"""
WIDE = """名前               ID                      バージョン 利用可能 ソース
--------------------------------------------------------------------
中文Git            Acme.ChineseGit         3.4        3.5      winget
百度语音输入       Acme.Speech             2.0.0.33   2.1      msstore
"""


def by_id(text: str) -> dict[str, Row]:
    return {r.id: r for r in rows(text)}


def test_what_can_be_upgraded() -> None:
    found = by_id(UPGRADE)
    assert found["Acme.Editor"] == Row("Editor 31.1.8", "Acme.Editor", "31.1.8", "31.4.5", "winget")
    studio = found["Acme.Studio.Professional"]
    assert (studio.version, studio.known, studio.available) == ("< 17.14.41", False, "17.14.41")
    cut = found["Acme.AnIdentifierThatDoes…"]
    assert (cut.cut, cut.known) == (True, False)
    assert (found["Acme.Chat"].alone, found["Acme.Editor"].alone) == (True, False)
    assert len(found) == 5  # footers are no rows


def test_no_word_of_a_language_is_needed() -> None:
    found = by_id(GERMAN)
    assert found["Acme.Rechner"] == Row("Rechner", "Acme.Rechner", "1.0", "1.1", "winget")
    assert found["{6B9E2C1A-0000}"] == Row("Rechner ohne Quelle", "{6B9E2C1A-0000}", "2.0")
    assert len(found) == 2


def test_a_list_without_anything_newer_has_a_column_less() -> None:
    assert rows(FRENCH.replace("ID du paquet", "Id          ")) == (
        Row("Calculatrice", "Acme.Calc", "1.0", "", "winget"),
    )


def test_wide_characters_take_two_cells() -> None:
    assert rows(WIDE) == (
        Row("中文Git", "Acme.ChineseGit", "3.4", "3.5", "winget"),
        Row("百度语音输入", "Acme.Speech", "2.0.0.33", "2.1", "msstore"),
    )


def test_no_table_is_no_row() -> None:
    assert rows("No installed package found matching input criteria.\r\n") == ()
    assert rows("") == ()


@given(st.text(alphabet="ab中 -…\r\n.1<", max_size=200))
def test_any_text_is_read(text: str) -> None:
    assert all(r.id and " " not in r.id for r in rows(f"Name Id Version\n{'-' * 20}\n{text}"))
