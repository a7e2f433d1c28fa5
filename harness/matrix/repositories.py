"""From a branch, a tag or a pull request to a commit, by asking the repository."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.errors import ConfigError, InfrastructureError
from harness.matrix.cache import AnswerCache, age
from harness.matrix.expression import Commit
from harness.matrix.gitcommand import GitFailed, git
from harness.matrix.places import nearest

GIT_TIMEOUT_SECONDS = 60

# Where `dev`, `git:` and `pr:` look when the matrix has no [repositories] entry for a package.
DEFAULT_REPOSITORIES: Mapping[str, str] = {
    "accelerate": "https://github.com/huggingface/accelerate",
    "bitsandbytes": "https://github.com/bitsandbytes-foundation/bitsandbytes",
    "peft": "https://github.com/huggingface/peft",
    "torch": "https://github.com/pytorch/pytorch",
    "transformers": "https://github.com/huggingface/transformers",
}


@dataclass(frozen=True)
class Found:
    """A commit, as its full 40 characters, and what to tell the user about it."""

    commit: str
    warning: str | None = None


def url(repository: str, beside: Path) -> str:
    """Return what git is given: an address as it is, or a local folder made absolute as a ``file:`` address."""
    if re.match(r"[a-z+]+://|[\w.-]+@[\w.-]+:", repository):
        return repository
    return (beside / Path(repository).expanduser()).resolve().as_uri()


def find_commit(wanted: Commit, address: str, cache: Path) -> Found:
    """Ask a repository which commit an expression means today.

    An answer of a remote repository is kept for an hour, so that a cell keeps its id between listing and running it.

    Raises:
        ConfigError: the repository has no such branch, tag or pull request.
        InfrastructureError: the repository cannot be reached, or git is missing.
    """
    if wanted.ref and re.fullmatch(r"[0-9a-f]{40}", wanted.ref):
        return Found(wanted.ref)
    if address.startswith("file:"):
        return Found(_ask(wanted, address))
    answer = AnswerCache(cache).ask(f"commit {wanted.text} {address}", lambda: _ask(wanted, address))
    if answer.stale is None:
        return Found(answer.value)
    return Found(answer.value, f"{address} does not answer; what {wanted.text} means is {age(answer.stale)} old")


def _ask(wanted: Commit, address: str) -> str:
    names = _names(wanted)
    refs = _ls_remote(address, *names)
    for name in names:
        if name in refs:
            return refs[name]
    raise ConfigError(_absent(wanted, address))


def _names(wanted: Commit) -> tuple[str, ...]:
    """Return the references to try, the best first; an annotated tag stands for the commit behind it (``^{}``)."""
    if wanted.pull is not None:
        return (f"refs/pull/{wanted.pull}/head",)
    if wanted.ref is None:
        return ("HEAD",)
    tag = f"refs/tags/{wanted.ref}"
    return (f"refs/heads/{wanted.ref}", f"{tag}^{{}}", tag, wanted.ref)


def _absent(wanted: Commit, address: str) -> str:
    if wanted.pull is not None:
        return f"{address} has no pull request {wanted.pull}"
    if wanted.ref is None:
        return f"{address} has no default branch"
    known = (name.split("/", 2)[2] for name in _ls_remote(address, "refs/heads/*", "refs/tags/*") if "^" not in name)
    near = nearest(wanted.ref, known)
    hint = f'; the nearest is "git:{near}"' if near else ""
    return f"{address} has no branch or tag {wanted.ref} (a commit needs all its 40 characters){hint}"


def _ls_remote(address: str, *patterns: str) -> dict[str, str]:
    """Return the matching references and their commits."""
    try:
        said = git(Path(), "ls-remote", "--quiet", "--", address, *patterns, seconds=GIT_TIMEOUT_SECONDS)
    except GitFailed as error:
        raise InfrastructureError(f"git cannot ask {address}: {error}.") from None
    rows = (line.split("\t", 1) for line in said.splitlines() if "\t" in line)
    return {name: commit for commit, name in rows}
