from __future__ import annotations

import pytest

from applications.verification.names import MAX_WORDS_BETWEEN, is_named_in

NAME = "Nguyễn Văn An"
DECOMPOSED = "Nguye\u0302\u0303n Va\u0306n An"
PAGE = 20_000  # characters
HOSTILE = 100_000  # characters


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (NAME, "This certifies that Nguyễn Văn An has graduated."),
        (NAME, DECOMPOSED),
        (DECOMPOSED, NAME),
        (NAME, "AN NGUYEN VAN"),
        (NAME, "NGUYỄN,VĂN/AN"),
        (NAME, "Surname: NGUYEN\r\nGiven names: VAN AN"),
        (NAME, "ＮＧＵＹＥＮ ＶＡＮ ＡＮ"),
        (NAME, "Nguyen_Van_An.pdf"),
        (NAME, "Ngu-\r\n  yen Van An"),
        (NAME, "Ngu\u00ad\nyen Van An"),
        (NAME, "Ngu\u00adyen Van An"),
        (NAME, "Ngu\ufffeyen Van An"),
        (NAME, "Ngu\u0002yen Van An"),
        ("Trần Đình Đức", "TRAN DINH DUC"),
        ("TRAN DINH DUC", "trần đình đức"),
        ("Đỗ Hà", "Ðỗ Hà"),  # typed with an eth
        ("Anne-Marie Dupont", "DUPONT Anne Marie"),
        ("Anne-Marie Dupont", "Anne-\nMarie Dupont"),
        ("Anne-Marie Dupont", "Anne\ufffeMarie Dupont"),
        ("Søren Łukasz Weiß", "soren lukasz WEISS"),
        ("Œuvrard Æsop", "OEUVRARD AESOP"),
        ("IŞIK Ilgaz", "Işık ILGAZ"),
        ("J. R. Smith", "Smith"),
        ("Мария Иванова", "ИВАНОВА МАРИЯ"),
        ("김 민준", "민준 김"),
        ("राम शर्मा", "नाम: शर्मा राम"),
    ],
)
def test_a_name_is_found_however_it_is_written(name, text):
    assert is_named_in(name, text) is True


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (NAME, "Nguyễn Văn"),
        (NAME, "Nguyễn Văn Anh"),
        (NAME, "Nguyễn Văn an1"),
        (NAME, "NguyễnVănAn"),
        (NAME, "Nguyễn Văn A-n"),
        (NAME, ""),
        ("An An", "An"),
        ("", "Nguyễn Văn An"),
        ("", ""),
        (" \t.-", " \t.-"),
        ("J R", "J R"),
        ("\u0301\u0302", "\u0301\u0302"),
    ],
)
def test_what_is_not_the_whole_name_is_not_found(name, text):
    assert is_named_in(name, text) is False


@pytest.mark.parametrize(
    ("others", "found"), [(MAX_WORDS_BETWEEN, True), (MAX_WORDS_BETWEEN + 1, False)]
)
def test_parts_of_a_name_must_stand_near_one_another(others, found):
    text = "before Nguyen Van " + "x " * others + "An after"

    assert is_named_in(NAME, text) is found


def test_parts_that_stand_apart_do_not_hide_the_name_behind_them():
    text = "Nguyen " + "x " * 20 + "Van An " + "x " * 20 + "Nguyen An Van"

    assert is_named_in(NAME, text) is True


def test_a_name_of_many_parts_may_be_longer_than_the_distance():
    name = "Maria do Carmo Miguel Gabriela Rafaela Micaela Gonzaga de Alcantara"

    assert is_named_in(name, name.upper()) is True


def test_a_part_that_the_name_has_twice_must_stand_there_twice():
    assert (is_named_in("An An", "An An"), is_named_in("An An", "An")) == (True, False)


def test_a_name_is_found_at_the_end_of_a_long_page():
    page = ("Nguyen " * PAGE)[:PAGE] + " Nguyen Van An"

    assert is_named_in(NAME, page) is True


@pytest.mark.parametrize(
    "hostile",
    [
        "\u0301\u0316" * (HOSTILE // 2),  # a run that Unicode's own sorting takes minutes for
        "-\n" * (HOSTILE // 2),
        "-" + " " * HOSTILE,
        "-\r\n" + "\n" * HOSTILE,
        "\ufdfa" * HOSTILE,  # 18 characters each, decomposed
        "\x00" * HOSTILE,
        "\ud800" * HOSTILE,
        "Van " * (HOSTILE // 4),
    ],
    ids=["marks", "hyphens", "spaces", "lines", "ligatures", "nul", "surrogates", "one part"],
)
def test_hostile_text_is_no_hindrance(hostile):
    answers = [
        is_named_in(NAME, hostile),
        is_named_in(hostile, "Lan"),
        is_named_in(NAME, hostile + " An Van Nguyen"),
    ]

    assert answers == [False, False, True]
