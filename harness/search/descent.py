"""What a search among commits asks and how it ended, as both are kept beside its run."""

from __future__ import annotations

from harness.matrix.git import Commit
from harness.search.criterion import Evaluation
from harness.search.kept import keep, kept
from harness.search.result import Ending
from harness.store.records import Record
from harness.store.run_folder import RunFolder

QUESTION, RESULT = "into.json", "commits.json"


class Into(Record):
    """Where the commits lie: ``--into``, ``--tags``, ``--all-parents`` and ``--commits`` as they were typed.

    With ``commits`` no release is searched: the ends of the question are commits themselves.
    """

    repository: str
    tags: str | None = None
    all_parents: bool = False
    commits: bool = False

    def words(self) -> tuple[str, ...]:
        """Return the options of the command line that say the same."""
        tags = ("--tags", self.tags) if self.tags else ()
        flags = [word for word, on in (("--all-parents", self.all_parents), ("--commits", self.commits)) if on]
        return ("--into", self.repository, *tags, *flags)


class CommitResult(Record):
    """How it ended: the last commit before the change, and those of which one is the first after it.

    There is no suspect where the change lies on the older branch, before the two part.
    """

    ending: Ending
    package: str
    address: str  # of the repository, as people know it
    older: str  # the tags between which was searched
    newer: str
    before: str
    suspects: tuple[str, ...]
    commits: dict[str, Commit]  # those named here and in ``judged``
    judged: dict[str, Evaluation]  # every commit that was probed, oldest first
    find_fix: bool = False
    reason: str = ""


def write_question(question: Into, folder: RunFolder) -> None:
    """Keep the question in its run folder."""
    keep(question, folder, QUESTION)


def read_question(folder: RunFolder) -> Into | None:
    """Read the question of a run; None where it does not go on to commits.

    Raises:
        ConfigError: the file is not one.
    """
    return kept(folder, QUESTION, Into)


def write_result(result: CommitResult, folder: RunFolder) -> None:
    """Keep the result in its run folder."""
    keep(result, folder, RESULT)


def read_result(folder: RunFolder) -> CommitResult | None:
    """Read the result of a search among commits; None where there was none.

    Raises:
        ConfigError: the file is not one.
    """
    return kept(folder, RESULT, CommitResult)
