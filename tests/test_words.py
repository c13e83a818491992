"""The reader of word lists: any UTF-8 text, and clear errors for anything else."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moreish.corpus import ListOptions
from moreish.corpus.reading import parse_words, read_words
from moreish.errors import InputError

AS_IT_STANDS = ListOptions(format="text")
LINE_ENDS = ("\n", "\r\n", "\r")
# Any character but line ends, zero and what cannot be encoded; a word has no space at its ends.
WORD = (
    st.text(st.characters(exclude_characters="\n\r\0", exclude_categories=["Cs"]), min_size=1)
    .map(str.strip)
    .filter(bool)
)


@given(st.lists(WORD, min_size=1), st.sampled_from(LINE_ENDS), st.booleans(), st.sampled_from(["", " ", "\t "]))
def test_what_is_around_a_word_does_not_matter(words, line_end, bom, space):
    text = line_end.join(space + word + space for word in words) + line_end
    data = text.encode("utf-8-sig" if bom else "utf-8")
    # A byte-order mark at the start of the first word is taken for the file's own.
    if not words[0].startswith("\ufeff"):
        assert parse_words(data, "f", AS_IT_STANDS) == [unicodedata.normalize("NFC", w).strip() for w in words]


@given(st.lists(WORD, min_size=1))
def test_composed_and_decomposed_text_give_the_same_words(words):
    text = "\n".join(words).removeprefix("\ufeff")
    forms = [unicodedata.normalize(form, text).encode() for form in ("NFC", "NFD")]
    if text.strip():
        assert parse_words(forms[0], "f", AS_IT_STANDS) == parse_words(forms[1], "f", AS_IT_STANDS)


def test_blank_lines_are_left_out_and_repeats_and_order_kept():
    assert parse_words(b"\n\nbob\n  \nann\n\nbob", "f") == ["bob", "ann", "bob"]


def test_characters_of_any_kind_are_allowed():
    words = ["a.b", "o'neil", "новый год", "日本", "👩‍🚀", "#not-a-comment"]
    assert parse_words("\n".join(words).encode(), "f") == words


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "no words"),
        (b" \n\r\n\t\n", "no words"),
        (b"ann\nb\xffb\n", "list.txt:2: byte 0xff at offset 5 is not UTF-8"),
        (b"\xef\xbb\xbfann\n\xc3(", "list.txt:2: byte 0xc3 at offset 7"),
        (b"ann\nbob\n\x7fELF\0\1", "list.txt:3: this is a binary file"),
        ("ann".encode("utf-16"), "UTF-16"),
    ],
)
def test_what_is_no_word_list_is_refused_with_its_place(data, says, tmp_path):
    path = tmp_path / "list.txt"
    path.write_bytes(data)
    with pytest.raises(InputError) as caught:
        read_words(path)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(InputError, match="nowhere.txt: no such file"):
        read_words(tmp_path / "nowhere.txt")
    with pytest.raises(InputError, match="this is a folder"):
        read_words(tmp_path)
