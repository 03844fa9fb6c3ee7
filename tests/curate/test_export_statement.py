"""What the hospital says of its data set."""

import pytest

from pipelines.curate.export.statement import Statement, StatementError, read_statement
from tests.curate.exported import export, publish


def test_without_a_file_nothing_was_stated(tmp_path):
    assert read_statement(tmp_path / "dataset.toml") == Statement()
    assert Statement().license == "not stated"


def test_a_file_is_read(tmp_path):
    path = tmp_path / "dataset.toml"
    path.write_text(
        'title = "Screening"\nlicense = " CC-BY-4.0 "\ncreators = ["A", "B"]\nversion = "2.0.1"\n'
        'date_published = 2026-01-31\nurl = "https://example.org"\n'
    )
    assert read_statement(path) == Statement(
        title="Screening",
        license="CC-BY-4.0",
        creators=("A", "B"),
        version="2.0.1",
        date_published="2026-01-31",
        url="https://example.org",
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("title = ", "not valid TOML"),
        ('lisence = "x"', "unknown settings: lisence"),
        ('creators = "Miss Marple"', "creators must be a list"),
        ("license = 4", "license must be a text"),
        ('version = "two"', "MAJOR.MINOR.PATCH"),
        ('date_published = "yesterday"', "YYYY-MM-DD"),
        ('url = "file:///home/marple"', "http"),
        ('title = " "', "title must not be empty"),
    ],
)
def test_what_cannot_be_used_is_told_without_its_value(tmp_path, text, told):
    (tmp_path / "dataset.toml").write_text(text)
    with pytest.raises(StatementError, match=told) as error:
        read_statement(tmp_path / "dataset.toml")
    assert "arple" not in str(error.value)


def test_the_card_quotes_it(level_b, tmp_path):
    statement = Statement(license="Ours\nalone | see contract", publisher="Anytown Hospital", ethics="Board 7")
    export(*publish(level_b, tmp_path), tmp_path / "export", statement=statement)
    card = (tmp_path / "export/README.md").read_text()
    assert "| license | Ours alone \\| see contract |" in card
    assert "| publisher | Anytown Hospital |" in card
    assert "| release approved by | Board 7 |" in card
    assert "| citation | not stated |" in card
