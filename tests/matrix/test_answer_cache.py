import pytest

from harness.errors import InfrastructureError
from harness.matrix.answer_cache import AnswerCache, format_age


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def cache(tmp_path, clock):
    return AnswerCache(tmp_path / "answers", clock=clock)


def silent():
    raise InfrastructureError("no answer")


def test_an_answer_is_asked_for_once_an_hour(cache, clock):
    asked = []
    for later in (0, 3599, 1, 10):
        clock.now += later
        assert cache.ask("releases torch", lambda: asked.append(clock.now) or len(asked)).stale is None
    assert len(asked) == 2


def test_questions_that_differ_in_a_sign_have_their_own_answers(cache):
    assert cache.ask("a b", lambda: 1).value == 1
    assert cache.ask("a-b", lambda: 2).value == 2
    assert cache.ask("a b", silent).value == 1


def test_an_old_answer_is_better_than_none_and_says_its_age(cache, clock):
    cache.ask("x", lambda: [1])
    clock.now += 7200
    answer = cache.ask("x", silent)
    assert answer.value == [1]
    assert answer.stale == 7200


def test_a_cached_answer_is_returned_without_a_question_at_any_age(cache, clock):
    assert cache.cached("x") is None
    cache.ask("x", lambda: [1])
    assert (cache.cached("x").value, cache.cached("x").stale) == ([1], None)
    clock.now += 7200
    assert cache.cached("x").stale == 7200


def test_without_any_answer_the_error_is_raised(cache):
    with pytest.raises(InfrastructureError, match="no answer"):
        cache.ask("x", silent)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"asked": "x", "value": 1}', '{"asked": null}'])
def test_a_truncated_file_is_asked_for_again(cache, content):
    cache.ask("x", lambda: 1)
    (file,) = cache.folder.iterdir()
    file.write_text(content, encoding="utf-8")
    assert cache.ask("x", lambda: 2).value == 2


def test_an_answer_from_the_future_is_not_fresh(cache, clock):
    cache.ask("x", lambda: 1)
    clock.now -= 5000
    assert cache.ask("x", lambda: 2).value == 2


def test_a_folder_that_cannot_be_written_only_costs_time(tmp_path):
    (tmp_path / "file").touch()
    assert AnswerCache(tmp_path / "file" / "answers").ask("x", lambda: 3).value == 3


@pytest.mark.parametrize(("seconds", "text"), [(7200, "2 h"), (3600 * 72, "3 days")])
def test_an_age_is_written_for_a_person(seconds, text):
    assert format_age(seconds) == text
