from harness.envs.uv import LIMIT, error_paragraph, explain_log, is_network

UNSOLVABLE = """warning: something harmless
error: No solution found when resolving dependencies
  cause: Because a==1 depends on b>=1.3.0,<2.0 and you require a==1, we can conclude that you require b>=1.3.0,<2.0.
         And because you require b==0.36.2, we can conclude that your requirements are unsatisfiable.

hint: `b` could be had elsewhere.
"""
OLDER_FORM = """  × No solution found when resolving dependencies:
  ╰─▶ Because there is no version of six==99.0 and you require six==99.0, we can
      conclude that your requirements are unsatisfiable.
"""
REFUSED = """error: Request failed after 3 retries in 10.8s
  cause: Failed to fetch: http://127.0.0.1:9/simple/attrs/
  cause: error sending request for url (http://127.0.0.1:9/simple/attrs/)
  cause: tcp connect error
"""
OFFLINE = """error: No solution found when resolving dependencies
  cause: Because attrs was not found in the cache and you require attrs==25.4.0, we can conclude that not.

hint: Packages were unavailable because the network was disabled.
"""


def test_the_resolvers_sentences_become_one_paragraph():
    assert error_paragraph(UNSOLVABLE) == (
        "Because a==1 depends on b>=1.3.0,<2.0 and you require a==1, we can conclude that you require b>=1.3.0,<2.0. "
        "And because you require b==0.36.2, we can conclude that your requirements are unsatisfiable."
    )


def test_drawing_around_the_text_goes_away():
    assert error_paragraph(OLDER_FORM) == (
        "Because there is no version of six==99.0 and you require six==99.0, we can conclude that your requirements "
        "are unsatisfiable."
    )


def test_the_hint_about_dates_stays():
    text = f"{OLDER_FORM}\nhint: `six` was filtered by `exclude-newer` to packages before 2026-02-02. "
    text += "Consider using `exclude-newer-package` to override the cutoff for this package.\n\nhint: other\n"
    assert error_paragraph(text).endswith(
        "unsatisfiable. `six` was filtered by `exclude-newer` to packages before 2026-02-02."
    )


def test_a_dead_index_is_distinguished_from_a_contradiction():
    assert is_network(REFUSED)
    assert is_network(OFFLINE)
    assert not is_network(UNSOLVABLE)
    assert not is_network(OLDER_FORM)


def test_a_build_log_is_cut_to_its_error():
    log = f"nox > Running session env\nUsing Python 3.11.7\n{OLDER_FORM}nox > Command uv failed with exit code 1\n"
    assert explain_log(log) == error_paragraph(OLDER_FORM)


def test_a_log_without_an_error_gives_its_end():
    assert explain_log("nox > x\nfirst\nlast\n") == "first last"
    assert explain_log("") == "no reason was printed"


def test_a_sentence_has_an_end():
    assert len(error_paragraph("error: " + "word " * 1000)) <= LIMIT
