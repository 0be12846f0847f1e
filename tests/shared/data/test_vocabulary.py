"""A vocabulary of words."""

from shared.data.vocabulary import END, START, UNKNOWN, Vocabulary


def test_a_vocabulary_knows_what_is_common():
    vocabulary = Vocabulary.of([("a", "dog"), ("a", "cat"), ("the", "dog")], least=2)
    assert vocabulary.words == ["a", "dog"]
    assert len(vocabulary) == 6
    ids = vocabulary.encode(("a", "red", "dog"))
    assert ids == [START, 4, UNKNOWN, 5, END]
    assert vocabulary.decode([*ids[1:], 4, 4]) == ("a", "dog"), "what is behind the end does not count"


def test_the_order_of_words_is_that_of_no_file():
    one = Vocabulary.of([("b", "a"), ("c",)], least=1)
    assert one.words == Vocabulary.of([("c",), ("a", "b")], least=1).words == ["a", "b", "c"]
