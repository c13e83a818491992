"""Lists as people have them: tables, JSON, dictionaries, packed files and other encodings; and what is refused."""

import json
import logging
import random
import shlex
import subprocess
import sys
import tracemalloc
import zipfile

import pytest
from conftest import made_up_words
from list_files import KINDS, WORDS, N, labels_of, lines, read_as_suggested, refused, suggested
from test_reading_fuzz import PACKERS

import moreish
from moreish.cli import run
from moreish.corpus import BUNDLED

# What is refused, with the command that reads it


@pytest.mark.parametrize(
    ("name", "text", "options", "has_labels"),
    [
        ("counts.txt", lines("{2:7} {0}"), "--column 2 --weights 1", False),
        ("freq list.txt", lines("{0} {2}"), "--column 1 --weights 2", False),
        ("yob2031.txt", lines("{0},{1},{2}"), "--column 1 --labels 2 --weights 3", True),
        ("a.csv", "sex;n;name\n" + lines("{1};{2};{0}"), "--column name --labels sex --weights n", True),
        ("a.txt", "weight|what is it|kind\n" + lines("{2}|{0}|{1}"), "--column 'what is it' --weights weight", True),
        ("a.jsonl", lines('{{"name": "{0}", "sort": "{1}", "n": {2}}}'), "--column name --weights n", True),
    ],
)
def test_a_choice_of_columns_is_refused_with_the_command_that_reads_the_list(name, text, options, has_labels, file):
    message = refused(file(text, name))
    command = suggested(message)
    assert command[:2] == ["train", name]
    assert set(shlex.split(options)) <= set(command)
    words = read_as_suggested(message)
    assert words == WORDS
    assert words.weights is not None
    assert words.weights.tolist() == N
    assert (labels_of(words) if has_labels else KINDS) == KINDS


def test_two_columns_of_words_are_refused_and_a_row_is_a_word_where_it_is_asked_for(file):
    name = file("name,species\n" + lines("{0},{1}"), "pets.csv")
    message = refused(name)
    assert "columns 1 (name), 2 (species)" in message
    assert suggested(message) == ["train", name, "--column", "name", "--labels", "species"]
    assert labels_of(read_as_suggested(message)) == KINDS
    assert moreish.read_words(name, format="text") == [
        "name,species",
        *(f"{a},{b}" for a, b in zip(WORDS, KINDS, strict=True)),
    ]


def test_a_gazetteer_with_many_columns_is_refused_with_a_column(file):
    row = "{1}\t{0}\t{0}\tx{0},y\t4{1}.5\tP\tXX\t\t01\t\t\t{1}\tEurope/Vienna\t2031-01-01"
    message = refused(file(lines(row, WORDS, N), "XX.txt"))
    assert "(14 in all)" in message
    assert len(message) < 500
    assert read_as_suggested(message) == WORDS


@pytest.mark.parametrize(
    ("pattern", "column", "says"),
    [
        (
            "2,3-{0}",
            [f"3-{word}" for word in WORDS],
            "list.txt: this looks like a table separated by commas: columns 1 ('2'), 2 ('3-Anna')",
        ),
        ("{0},", WORDS, "columns 1 ('Anna'), 2 ('')"),
        ("{0};", WORDS, "columns 1 ('Anna'), 2 ('')"),
        ('"{0}"', WORDS, "every line is in quotes; read it"),
        ("{0}|{2}", WORDS, "columns 1 ('Anna'), 2 ('2001')"),
    ],
)
def test_a_text_whose_lines_share_a_shape_loses_nothing_unless_it_is_asked_for(pattern, column, says, file):
    text = lines(pattern)
    name = file(text)
    message = refused(name)
    assert says in message
    assert read_as_suggested(message) == column
    assert "or take each line as it is with --format text" in message
    assert moreish.read_words(name, format="text") == text.splitlines()
    assert moreish.read_words(name, format="csv") == column
    assert moreish.read_words(file(PACKERS[0](text.encode()), "a.csv.gz")) == column
    assert says in refused(file(text.encode("utf-16")), encoding="utf-16")


def test_a_fasta_file_is_refused_with_the_format_that_joins_its_lines(file):
    text = "".join(f">s{i} of {w}\nACGT{'GA' * i}\nTT\n" for i, w in enumerate(WORDS))
    message = refused(file(text, "x.fasta"))
    assert message.endswith("(or take each line as it is with --format text)")
    assert read_as_suggested(message) == [f"ACGT{'GA' * i}TT" for i in range(len(WORDS))]


def test_broken_json_is_refused_with_its_line(file):
    text = json.dumps(WORDS, indent=1)
    message = refused(file(text.replace('"Clara",', '"Clara"'), "list.json"))
    assert message.startswith("list.json:5: this looks like JSON but is not (Expecting ',' delimiter)")
    assert read_as_suggested(message)[0] == "["
    assert "looks like JSON" in refused(file("['Anna', 'Bela']\n"))


@pytest.mark.parametrize("place", [0, 3, 6])
def test_one_broken_line_of_json_is_refused_with_its_number(place, file):
    listed = [f'{{"name": "{word}"}}' for word in WORDS[:6]]
    listed.insert(place, "{bad")
    message = refused(file("\n".join(listed)))
    assert message.startswith(f"list.txt:{place + 1}: not JSON (Expecting property name")
    assert read_as_suggested(message) == listed


def test_half_of_a_surrogate_pair_is_refused_with_the_number_of_its_item(file):
    assert refused(file('["Anna", "\\ud800x"]', "a.json")).startswith(
        "a.json: item 2: the word '\\ud800x' contains half"
    )
    name = file('{"name": "Anna", "kind": "a"}\n{"name": "Ben", "kind": "\\udc00"}\n', "a.jsonl")
    assert refused(name, column="name", labels="kind").startswith("a.jsonl:2: the label '\\udc00' contains half")


def test_a_file_whose_name_begins_with_a_dash_has_a_command_that_reads_it(file):
    message = refused(file(lines("{0},{1},{2}"), "-dash, 1.csv"))
    assert suggested(message)[:2] == ["train", "./-dash, 1.csv"]
    assert read_as_suggested(message) == WORDS
    assert "zstd -dc ./-list.zst | moreish" in refused(file(b"\x28\xb5\x2f\xfd\x04\x00rest", "-list.zst"))


@pytest.mark.parametrize("bad", ["nan", "inf", "-inf", "NA"])
def test_a_column_of_numbers_in_which_some_are_none_is_not_suggested(bad, file):
    numbers = [bad if i % 3 == 0 else n % 3 for i, n in enumerate(N)]
    name = file("name,other,n\n" + lines("{0},{0}x,{1}", WORDS, numbers), "a.csv")
    assert suggested(refused(name)) == ["train", name, "--column", "name"]


def test_a_row_that_breaks_the_table_is_named(file):
    text = lines("{0},{1},{2}", *[column * 4 for column in (WORDS, KINDS, N)])
    message = refused(file(text.replace("Daria,cat,501", "Daria,501", 1), "a.csv"), column=1)
    assert message.startswith("a.csv:4: 2 fields where the first row has 3; correct it")
    assert len(read_as_suggested(message)) == 48
    counts = lines("{0} {1}", N * 4, WORDS * 4).replace("501 Daria", "Daria", 1)
    assert refused(file(counts), column=2).startswith("list.txt:4: 'Daria' is not a number and a word")
    assert "not CSV (unexpected end of data)" in refused(file('a,b\nc,"d,e\n'), format="csv", column=1)


@pytest.mark.parametrize(
    ("encoding", "says"),
    [
        ("cp1252", ":1: byte 0x92 at offset 1 is not UTF-8; it is likely cp1252"),
        ("utf-16", ": this is UTF-16; "),
        ("utf-16-le", ": this is UTF-16-LE; "),
        ("utf-16-be", ": this is UTF-16-BE; "),
        ("utf-32", ": this is UTF-32; "),
        ("utf-32-be", ": this is UTF-32-BE; "),
    ],
)
def test_another_encoding_is_named_and_read(encoding, says, file):
    words = ["O’Brien", "Zoë", "Jürgen", "Ana", "Bjørn", "Ida"] * 5
    name = file("\r\n".join(words).encode(encoding), "my list's.txt")
    message = refused(name)
    assert message.startswith(name + says)
    assert read_as_suggested(message) == words


def test_encodings_are_those_of_python(file):
    words = ["Анна", "Борис", "Вера"]
    name = file("\n".join(words).encode("koi8-r"))
    assert "name its encoding" in refused(name)
    assert moreish.read_words(name, encoding="koi8-r") == words
    assert "did you mean koi8-r?" in refused(name, encoding="koi8r-")
    for encoding in ("rot13", "hex", "base64"):
        assert refused(name, encoding=encoding).startswith(f"'{encoding}' is not a text encoding: ")
    assert "hex" not in refused(name, encoding="hexx").removeprefix("unknown encoding 'hexx'")
    assert refused(name, encoding="ascii").startswith("list.txt:1: byte 0xe1 is not ascii")
    assert "binary file" in refused(file(b"\x7fELF\2\1\1\0\0\0\0\0\0\0\0\0\3\0>\0\n"))
    assert suggested(refused(file("Ana\nEva\n".encode("utf-16-le")), encoding="cp1252"))[-1] == "utf-16-le"


@pytest.mark.parametrize(
    ("word", "encoding", "perhaps"),
    [
        ("zażółć gęślą", "iso8859_2", "iso8859_2"),
        ("zażółć gęślą", "cp1250", "cp1250"),
        ("łódź", "iso8859_2", "iso8859_2 or cp1250"),
        ("Bucureşti", "iso8859_2", "iso8859_2 or cp1250"),
        ("Müller", "cp850", "cp850 or mac_roman"),
        ("Bàrbara", "mac_roman", "cp850 or mac_roman"),
    ],
)
def test_an_encoding_is_likely_only_if_it_gives_no_odd_letters(word, encoding, perhaps, file):
    message = refused(file(f"{word}\nMagdalena\n".encode(encoding)))
    assert f"it is damaged or in another encoding, perhaps {perhaps}: try, for example: moreish train" in message
    assert "likely" not in message


def test_what_no_encoding_makes_likely_is_called_damaged(file):
    assert "it is damaged or in another encoding: try" in refused(file(b"Anna\nBen\xad\x81\x98\xb3\n"))
    message = refused(file("Zoë\nŁódź\n".encode() + b"Andr\xe9\n"))
    assert message == "list.txt:3: byte 0xe9 at offset 17 is not UTF-8; most of the file is UTF-8: correct this line"


@pytest.mark.parametrize(
    "word", ["¿Qué tal?", "Mª José", "nº 5", "col·legi", "Zoë’s", "Šárka", "«Zoë»", "30 °C Ñu", "naïve – Zoë…"]
)
def test_western_words_are_likely_cp1252(word, file):
    assert "it is likely cp1252; read it with" in refused(file(f"{word}\nMagdalena\n".encode("cp1252")))


# What is taken, and what is said


def test_one_column_of_words_is_taken_and_the_log_says_which(file, caplog):
    text = '"id","name"\n' + lines('"{1}","{0}"', WORDS, range(len(WORDS)))
    with caplog.at_level(logging.INFO, "moreish"):
        assert moreish.read_words(file(text, "quoted.csv")) == WORDS
    assert caplog.messages == [
        "quoted.csv: read as a table separated by commas, the first row is a header, words from column 2 (name), "
        "not used: 1 (id)"
    ]
    caplog.clear()
    with caplog.at_level(logging.INFO, "moreish"):
        assert moreish.read_words(file(lines("{0},{1}", WORDS, N), "a.csv")) == WORDS
    assert caplog.messages == [
        "a.csv: read as a table separated by commas, the first row is no header, words from column 1 ('Anna'), "
        "not used: 2 ('2001'), --weights 2 would take column 2 as weights"
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pretty.json", json.dumps(WORDS, indent=1)),
        ("oneline.txt", json.dumps(WORDS)),
        ("objects.json", json.dumps([{"name": word, "n": n} for word, n in zip(WORDS, N, strict=True)])),
        ("dict.json", json.dumps(dict(zip(WORDS, N, strict=True)))),
        ("ones.json", json.dumps(dict.fromkeys(WORDS, 1), indent=1)),
        ("synonyms.json", json.dumps({word: {"n": 1} for word in WORDS})),
        ("corpora.json", json.dumps({"description": "names", "names": WORDS})),
        ("list.jsonl", lines('{{"name": "{0}"}}')),
        ("list.txt", lines('{{"name": "{0}", "n": {2}}}')),
        ("strings.jsonl", "".join(f"{json.dumps(word)}\n" for word in WORDS)),
        ("pairs.jsonl", lines('["{0}", {2}]')),
        ("list.dic", f"{len(WORDS)}\n" + lines("{0}/MS")),
        ("dictionary.txt", f"{len(WORDS)}\n" + lines("{0}/AB po:noun")),
        ("quoted.csv", lines('"{0}"')),
        ("one.csv", "name\n" + lines("{0}")),
        ("semicolon.csv", "Name;Zahl\n" + lines("{0};{2}")),
        ("header.txt", "Name;Zahl\n" + lines("{0};{2}")),
        ("comments.txt", "# names\n#\n# of people\n\n" + lines("{0}")),
    ],
)
def test_the_words_of_other_formats_are_taken(name, text, file):
    assert moreish.read_words(file(text, name)) == WORDS


@pytest.mark.parametrize("packed", PACKERS)
@pytest.mark.parametrize("name", ["list.txt.gz", "list"])
def test_packed_files_are_told_by_their_first_bytes(packed, name, file):
    assert moreish.read_words(file(packed(lines("{0}").encode()), name)) == WORDS
    assert moreish.read_words(file(packed(lines("{0},{1},{2}").encode()), name), column=1) == WORDS
    cut = packed(lines("{0}").encode())
    assert refused(file(cut[: len(cut) // 2], name)).startswith(f"{name}: this ")


def test_archives_with_several_files_and_office_documents_are_refused(file, tmp_path):
    for members, says in (
        (["a.txt", "b.txt"], "holds 2 files ('a.txt', 'b.txt')"),
        ([], "holds no file"),
        (["[Content_Types].xml"], "as CSV"),
    ):
        with zipfile.ZipFile("x.zip", "w") as archive:
            for member in members:
                archive.writestr(member, "Anna\n")
        assert says in refused("x.zip")
    assert "zstd -dc list.zst | moreish train -" in refused(file(b"\x28\xb5\x2f\xfd\x04\x00rest", "list.zst"))


def test_standard_input_may_be_packed_and_a_table(file):
    data = PACKERS[0](lines("{0},{1},{2}").encode())
    command = [sys.executable, "-m", "moreish", "words", "-", "--json"]
    done = subprocess.run(command, input=data, capture_output=True)
    assert done.returncode == 2
    assert b"moreish train - --column 1" in done.stderr
    done = subprocess.run([*command, "--column", "1", "--weights", "3"], input=data, capture_output=True, check=True)
    assert json.loads(done.stdout)["weights"] == sum(N)


# Lists that are just words


def texts() -> dict[str, list[str]]:
    generator = random.Random(5)
    words = made_up_words(200, seed=9)
    pairs = [(word, generator.choice(words)) for word in words]
    return {
        "first and last names": [f"{a.title()} {b.title()}" for a, b in pairs],
        "places": [f"{a.title()}{generator.choice(['-', ' ', chr(39), ' (', '. '])}{b}" for a, b in pairs],
        "commas in a minority": [f"{a}, {b}" if i % 4 == 0 else a for i, (a, b) in enumerate(pairs)],
        "chemistry": [f"{','.join(map(str, range(1, 1 + generator.randint(1, 4))))}-{a}" for a in words],
        "numbers": [str(generator.randint(0, 10**6)) for _ in words],
        "dates": [f"20{i:03}-01-02" for i in range(200)],
        "bands": [f"{i} {a}" if i % 3 == 0 else a for i, a in enumerate(words)],
        "passwords": ["".join(generator.choices("ab1,;|\t#\"'[{/ 9", k=9)).strip() or "x" for _ in words],
        "hashtags": [f"#{a}" for a in words],
        "brackets": ["[deleted]", *words],
        "quotes": ['"Anna" the great', *words],
        "emoticons": [">:(", ":)", ":-)", *words],
        "slashes": ["12", *(f"{a}/{b}" for a, b in pairs)],
        "one": ["Anna"],
    }


@pytest.mark.parametrize("kind", texts())
def test_lists_of_words_are_read_as_they_are_without_a_word(kind, file, caplog):
    with caplog.at_level(logging.INFO, "moreish"):
        assert moreish.read_words(file("\n".join(texts()[kind]))) == texts()[kind]
    assert caplog.messages == []


@pytest.mark.parametrize("name", BUNDLED)
def test_the_bundled_lists_are_read_without_a_word(name, caplog):
    with caplog.at_level(logging.INFO, "moreish"):
        assert not any(word.startswith("#") for word in moreish.bundled(name))
    assert caplog.messages == []


@pytest.mark.parametrize("every", [1, 40])
def test_tabs_around_words_are_spaces(every, file, caplog):
    words = made_up_words(80, seed=4)
    text = "".join(word + " \t" * (i % every == 0) + "\n" for i, word in enumerate(words))
    with caplog.at_level(logging.INFO, "moreish"):
        assert moreish.read_words(file(text)) == words
    assert caplog.messages == []


def test_a_few_odd_lines_are_read_with_one_warning(file, capsys):
    words = made_up_words(300, seed=2)
    words[7:8] = ["Washington, D.C."]
    assert run(["words", file("\n".join(words))]) == 0
    assert "list.txt: 1 line looks odd, with a comma, such as 'Wash" in capsys.readouterr().err
    words[8:9] = ["a\tb"]
    name = file("\n".join(words))
    assert run(["train", name, "--model", "bigram-counts", "--samples", "1"]) == 0
    assert "list.txt: 2 lines look odd, with a tab or a comma" in capsys.readouterr().err
    assert moreish.read_words(name) == words


@pytest.mark.parametrize("line", ["\n", "#\n", " \r\n"])
def test_lines_that_are_left_out_take_little_memory(line, file):
    name = file(line * 300_000 + "Anna\nBen\n")
    tracemalloc.start()
    try:
        assert moreish.read_words(name) == ["Anna", "Ben"]
        assert tracemalloc.get_traced_memory()[1] < 8 * 300_000 * len(line)
    finally:
        tracemalloc.stop()


def test_only_a_leading_block_of_comments_is_left_out(file):
    name = file("\n# a list\n#\n\n# b\n#tag\nAnna\n# Ben\n")
    assert moreish.read_words(name) == ["#tag", "Anna", "# Ben"]
    assert moreish.read_words(name, format="text") == ["# a list", "#", "# b", "#tag", "Anna", "# Ben"]
    message = refused(file("# a\n\n#\n" + lines("# {0}") + " "))
    assert message.startswith('list.txt: all lines are comments, as they begin with "# "')
    assert read_as_suggested(message) == ["# a", "#", *(f"# {word}" for word in WORDS)]
    assert refused(file("# a\n# b\na,1\nb,-2\n"), weights=2).startswith("list.txt:4: the weight of 'b' is '-2'")
