"""Commits of the repositories under test: references resolved, histories read, copies kept; all by running git."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock
from pydantic import BaseModel, ConfigDict

from harness.errors import ConfigError, InfrastructureError
from harness.matrix.answer_cache import AnswerCache, format_age
from harness.matrix.expression import GitRef
from harness.matrix.paths import nearest

READ_SECONDS = 120.0
LS_REMOTE_SECONDS = 60
CLONE_SECONDS = 1800.0  # a long history over a slow connection
SHORT_SHA = 10  # characters of a commit for display
COMMIT_FIELDS = "--format=%H%x1f%P%x1f%aI%x1f%s"
URL = re.compile(r"[a-z][a-z+]*://")
SCP = re.compile(r"([\w.-]+@[\w.-]+):(?!//)(.+)")  # git@github.com:owner/name, which no installer reads
DEFAULT_REPOSITORIES: Mapping[str, str] = {  # for `dev`, `git:` and `pr:` of packages without a [repositories] entry
    "accelerate": "https://github.com/huggingface/accelerate",
    "bitsandbytes": "https://github.com/bitsandbytes-foundation/bitsandbytes",
    "peft": "https://github.com/huggingface/peft",
    "torch": "https://github.com/pytorch/pytorch",
    "transformers": "https://github.com/huggingface/transformers",
}


class GitFailed(Exception):
    """git failed; the text is the first line of its message."""


def git(folder: Path, *arguments: str, seconds: float = READ_SECONDS) -> str:
    """Run git in a folder and return its output.

    Raises:
        GitFailed: git failed.
        InfrastructureError: git is missing, or not finished in time.
    """
    command = ["git", "-c", "log.showSignature=false", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(
            command,
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=seconds,
            check=False,
        )
    except FileNotFoundError:
        raise InfrastructureError("git is not installed, and commits need it.") from None
    except subprocess.TimeoutExpired:
        raise InfrastructureError(f"`git {shlex.join(arguments)}` was not finished after {seconds:.0f} s.") from None

    if done.returncode:
        messages = [line for line in done.stderr.strip().splitlines() if not line.startswith("warning:")]
        raise GitFailed(messages[0] if messages else f"exit status {done.returncode}")
    return done.stdout


def clean_environment() -> dict[str, str]:
    """Return the environment without the variables that point git to the repository of a calling git."""
    variables = {
        name: value for name, value in os.environ.items() if not name.startswith(("GIT_DIR", "GIT_WORK", "GIT_IND"))
    }
    return variables | {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}


@dataclass(frozen=True)
class ResolvedRef:
    """A commit in 40 characters, and a warning for the user."""

    commit: str
    warning: str | None = None


def repository_address(repository: str, matrix_folder: Path) -> str:
    """Return the address of a repository for git: a URL unchanged, a local folder as an absolute ``file:`` URL."""
    if re.match(r"[a-z+]+://|[\w.-]+@[\w.-]+:", repository):
        return repository
    return (matrix_folder / Path(repository).expanduser()).resolve().as_uri()


def resolve_ref(wanted: GitRef, address: str, cache: Path) -> ResolvedRef:
    """Resolve an expression to a commit of a repository.

    The answer of a remote repository is cached for an hour, so that a cell keeps its id between plan and run.

    Raises:
        ConfigError: the repository has no such branch, tag or pull request.
        InfrastructureError: the repository cannot be reached, or git is missing.
    """
    if wanted.ref and re.fullmatch(r"[0-9a-f]{40}", wanted.ref):
        return ResolvedRef(wanted.ref)
    if address.startswith("file:"):
        return ResolvedRef(_resolve(wanted, address))
    answer = AnswerCache(cache).ask(f"commit {wanted.text} {address}", lambda: _resolve(wanted, address))
    if answer.stale is None:
        return ResolvedRef(answer.value)
    return ResolvedRef(
        answer.value, f"{address} does not answer; what {wanted.text} means is {format_age(answer.stale)} old"
    )


def _resolve(wanted: GitRef, address: str) -> str:
    names = _names(wanted)
    refs = _ls_remote(address, *names)
    for name in names:
        if name in refs:
            return refs[name]
    raise ConfigError(_absent(wanted, address))


def _names(wanted: GitRef) -> tuple[str, ...]:
    """Return the references to try, the best first; ``^{}`` is the commit of an annotated tag."""
    if wanted.pull is not None:
        return (f"refs/pull/{wanted.pull}/head",)
    if wanted.ref is None:
        return ("HEAD",)
    tag = f"refs/tags/{wanted.ref}"
    return (f"refs/heads/{wanted.ref}", f"{tag}^{{}}", tag, wanted.ref)


def _absent(wanted: GitRef, address: str) -> str:
    if wanted.pull is not None:
        return f"{address} has no pull request {wanted.pull}"
    if wanted.ref is None:
        return f"{address} has no default branch"
    known = (name.split("/", 2)[2] for name in _ls_remote(address, "refs/heads/*", "refs/tags/*") if "^" not in name)
    near = nearest(wanted.ref, known)
    hint = f'; the nearest is "git:{near}"' if near else ""
    return f"{address} has no branch or tag {wanted.ref} (a commit needs all its 40 characters){hint}"


def _ls_remote(address: str, *patterns: str) -> dict[str, str]:
    try:
        listed = git(Path(), "ls-remote", "--quiet", "--", address, *patterns, seconds=LS_REMOTE_SECONDS)
    except GitFailed as error:
        raise InfrastructureError(f"git cannot read the references of {address}: {error}.") from None
    rows = (line.split("\t", 1) for line in listed.splitlines() if "\t" in line)
    return {name: commit for commit, name in rows}


class Commit(BaseModel):
    """One commit; ``date`` is the author date in ISO 8601."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha: str
    parents: tuple[str, ...]
    date: str
    subject: str

    @property
    def short(self) -> str:
        """The abbreviated commit."""
        return self.sha[:SHORT_SHA]

    @property
    def pull(self) -> int | None:
        """The number of the pull request in its subject, as GitHub writes it: ``(#123)``."""
        found = re.findall(r"\(#(\d+)\)", self.subject)
        return int(found[-1]) if found else None

    def summary(self) -> str:
        """Return one line: abbreviated commit, date, pull request and subject."""
        pull = f" PR #{self.pull}" if self.pull is not None else ""
        return f'{self.short} ({self.date[:10]}{pull} "{self.subject}")'


@dataclass(frozen=True)
class CommitRange:
    """A range of commits, oldest first, from the commit before a change to the commit after it.

    With ``fork`` the first commit is on another branch, and the second is the merge base. A search has to probe the
    merge base first: its result may differ from that of the first commit.
    """

    commits: tuple[Commit, ...]
    fork: bool = False

    @property
    def shas(self) -> tuple[str, ...]:
        """The commits in 40 characters."""
        return tuple(one.sha for one in self.commits)


def commit_range(older: Commit, chain: Sequence[Commit], base: Commit) -> CommitRange:
    """Return the range from ``older`` over ``chain``; ``base`` is the parent of the first commit of the chain."""
    if base.sha == older.sha:
        return CommitRange((older, *chain))
    return CommitRange((older, base, *chain), fork=True)


@dataclass(frozen=True)
class Repository:
    """A repository: git reads ``folder``, an installer gets ``address``; the package is in ``subfolder``.

    Nothing is checked out in ``folder``: an installer makes its own copy of a commit.
    """

    folder: Path
    address: str
    subfolder: str = ""
    remote: bool = False

    def tags(self) -> tuple[str, ...]:
        """Return all tags, oldest first."""
        return tuple(git(self.folder, "tag", "--list", "--sort=creatordate").splitlines())

    def commit(self, ref: str) -> Commit:
        """Return the commit of a tag, a branch or an abbreviated commit.

        Raises:
            ConfigError: there is none.
        """
        try:
            return _read_commits(git(self.folder, "log", "--max-count=1", COMMIT_FIELDS, f"{ref}^{{commit}}", "--"))[0]
        except GitFailed as error:
            raise ConfigError(f"{self.address} has no commit {ref} ({error})") from None

    def commits_between(self, older: str, newer: str) -> CommitRange:
        """Return the commits that ``newer`` has and ``older`` has not, along first parents.

        Raises:
            ConfigError: there are none, or the two have no common history.
        """
        limits = ("--first-parent", "--reverse", f"{older}..{newer}", "--")
        chain = _read_commits(git(self.folder, "log", COMMIT_FIELDS, *limits, seconds=CLONE_SECONDS))
        if not chain:
            raise ConfigError(f"{newer} has no commit that {older} has not: the order is wrong")
        if not chain[0].parents:
            raise ConfigError(f"{older} and {newer} have no common commit (is {self.address} a shallow clone?)")
        return commit_range(self.commit(older), chain, self.commit(chain[0].parents[0]))

    def origin(self) -> str:
        """Return the address that the repository was cloned from, else its own."""
        try:
            return git(self.folder, "config", "--get", "remote.origin.url").strip() or self.address
        except GitFailed:
            return self.address

    def fetch(self) -> None:
        """Update the copy of a remote repository; a local one is left unchanged.

        Raises:
            InfrastructureError: the repository does not answer.
        """
        if not self.remote:
            return
        with FileLock(f"{self.folder}.lock"):
            try:
                references = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
                git(self.folder, "fetch", "--quiet", "--prune", "origin", *references, seconds=CLONE_SECONDS)
            except GitFailed as error:
                raise InfrastructureError(f"git cannot fetch {self.address}: {error}") from None


def open_repository(text: str, cache: Path) -> Repository:
    """Open the repository of ``--into``: ``git:<url or folder>``, with ``#subdirectory=…`` for a package deeper in it.

    Args:
        text: A folder is used directly; of an ``https``, ``ssh`` or ``file`` URL a copy is made (bare, without file
            contents) and kept.
        cache: The folder of the copies.

    Raises:
        ConfigError: the text does not begin with ``git:``, or the folder is not a repository.
        InfrastructureError: git is missing, or the URL does not answer.
    """
    kind, colon, rest = text.partition(":")
    address, _, fragment = rest.partition("#")
    if kind != "git" or not colon or not address:
        raise ConfigError(f"--into {text} must be git:URL or git:FOLDER")
    subfolder = fragment.removeprefix("subdirectory=").strip("/")
    address = _as_url(address)
    if URL.match(address):
        return Repository(_clone(address, cache), address, subfolder, remote=True)
    return _local(address, subfolder)


def _local(text: str, subfolder: str) -> Repository:
    folder = Path(text).expanduser().absolute()
    try:
        bare = git(folder, "rev-parse", "--is-bare-repository").strip() == "true"
        if bare:
            return Repository(folder, installer_address(folder), subfolder)
        top = Path(git(folder, "rev-parse", "--show-toplevel").strip())
        inside = git(folder, "rev-parse", "--show-prefix").strip().strip("/")
    except (GitFailed, NotADirectoryError) as error:
        raise ConfigError(f"--into git:{text} is not a git repository ({error})") from None

    return Repository(top, installer_address(top), subfolder or inside)


def installer_address(folder: Path) -> str:
    """Return the address from which an installer gets the commits of a local repository.

    For a partial clone (``--filter=blob:none``) it is the remote: git does not serve a commit without its contents.
    """
    try:
        remote = git(folder, "config", "--get-regexp", r"^remote\..*\.promisor$").split()[0].removesuffix(".promisor")
        address = _as_url(git(folder, "config", "--get", f"{remote}.url").strip())
    except GitFailed:
        return folder.as_uri()
    return address if URL.match(address) else (folder / address).resolve().as_uri()


def _as_url(address: str) -> str:
    """Return an address for installers: the form of scp (``git@host:path``) becomes an ``ssh://`` URL."""
    scp = SCP.fullmatch(address)
    return f"ssh://{scp[1]}/{scp[2]}" if scp else address


def _clone(address: str, cache: Path) -> Path:
    """Return the bare copy of a remote repository; the first call makes it."""
    folder = cache.absolute() / hashlib.sha256(address.encode()).hexdigest()[:16]
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if (folder / "HEAD").exists():
            return folder
        scratch = Path(tempfile.mkdtemp(dir=cache, prefix="cloning-"))
        try:
            git(cache, "clone", "--quiet", "--bare", "--filter=blob:none", address, str(scratch), seconds=CLONE_SECONDS)
            scratch.rename(folder)
        except GitFailed as error:
            raise InfrastructureError(f"git cannot clone {address}: {error}") from None
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    return folder


def _read_commits(printed: str) -> list[Commit]:
    rows = (line.split("\x1f", 3) for line in printed.split("\n") if line)
    return [Commit(sha=sha, parents=tuple(up.split()), date=date, subject=text) for sha, up, date, text in rows]
