"""Read a git history: a repository that is here, or a bare copy of one that is not, never written by us."""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from harness.errors import ConfigError, InfrastructureError
from harness.matrix.gitcommand import GitFailed, git
from harness.search.commits import Commit, Line, line_of

CLONE_SECONDS = 1800.0  # a long history over a slow line
FIELDS = "--format=%H%x1f%P%x1f%aI%x1f%s"
URL = re.compile(r"[a-z][a-z+]*://")
SCP = re.compile(r"([\w.-]+@[\w.-]+):(?!//)(.+)")  # git@github.com:owner/name, which no installer reads


@dataclass(frozen=True)
class Repository:
    """A repository: git reads it in ``folder``, an installer gets ``address``; ``subfolder`` holds the package.

    Nothing is ever checked out in ``folder``: an installer makes its own copy of a commit.
    """

    folder: Path
    address: str
    subfolder: str = ""
    remote: bool = False

    def tags(self) -> tuple[str, ...]:
        """Return all tags, oldest first."""
        return tuple(git(self.folder, "tag", "--list", "--sort=creatordate").splitlines())

    def commit(self, ref: str) -> Commit:
        """Return the commit that a tag, a branch or a name means.

        Raises:
            ConfigError: there is none.
        """
        try:
            return _read(git(self.folder, "log", "--max-count=1", FIELDS, f"{ref}^{{commit}}", "--"))[0]
        except GitFailed as error:
            raise ConfigError(f"{self.address} has no commit {ref} ({error})") from None

    def line(self, older: str, newer: str) -> Line:
        """Return the row of commits that ``newer`` has and ``older`` lacks, along first parents.

        Raises:
            ConfigError: there are none, or the two have no common history.
        """
        limits = ("--first-parent", "--reverse", f"{older}..{newer}", "--")
        chain = _read(git(self.folder, "log", FIELDS, *limits, seconds=CLONE_SECONDS))
        if not chain:
            raise ConfigError(f"{newer} has no commit that {older} has not: they stand in the wrong order")
        if not chain[0].parents:
            raise ConfigError(f"{older} and {newer} have no common commit (is {self.address} a shallow clone?)")
        return line_of(self.commit(older), chain, self.commit(chain[0].parents[0]))

    def origin(self) -> str:
        """Return the address that people know it by: the one it was cloned from, else its own."""
        try:
            return git(self.folder, "config", "--get", "remote.origin.url").strip() or self.address
        except GitFailed:
            return self.address

    def fetch(self) -> None:
        """Bring the copy of a remote repository up to date; a local one is as its owner wants it.

        Raises:
            InfrastructureError: it does not answer.
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
    """Open what ``--into`` names: ``git:<url or folder>``, with ``#subdirectory=…`` where the package lies deeper.

    Args:
        text: An ``https``, ``ssh`` or ``file`` address is copied (bare, without file contents) and kept; a folder is
            used as it is.
        cache: The folder of the copies.

    Raises:
        ConfigError: it does not begin with ``git:``, or the folder is no repository.
        InfrastructureError: git is missing, or the address does not answer.
    """
    kind, colon, rest = text.partition(":")
    place, _, fragment = rest.partition("#")
    if kind != "git" or not colon or not place:
        raise ConfigError(f"--into {text} must be git:URL or git:FOLDER")
    subfolder = fragment.removeprefix("subdirectory=").strip("/")
    place = _spelled_out(place)
    if URL.match(place):
        return Repository(_copy(place, cache), place, subfolder, remote=True)
    return _local(place, subfolder)


def _local(place: str, subfolder: str) -> Repository:
    folder = Path(place).expanduser().absolute()
    try:
        bare = git(folder, "rev-parse", "--is-bare-repository").strip() == "true"
        if bare:
            return Repository(folder, address_of(folder), subfolder)
        top = Path(git(folder, "rev-parse", "--show-toplevel").strip())
        inside = git(folder, "rev-parse", "--show-prefix").strip().strip("/")
    except (GitFailed, NotADirectoryError) as error:
        raise ConfigError(f"--into git:{place} is no git repository ({error})") from None
    return Repository(top, address_of(top), subfolder or inside)


def address_of(folder: Path) -> str:
    """Return where an installer gets the commits of a local repository.

    That is the repository itself; or, where it is a partial clone (``--filter=blob:none``), the remote that has what it
    lacks, for git serves no commit whose contents are not there.
    """
    try:
        remote = git(folder, "config", "--get-regexp", r"^remote\..*\.promisor$").split()[0].removesuffix(".promisor")
        address = _spelled_out(git(folder, "config", "--get", f"{remote}.url").strip())
    except GitFailed:
        return folder.as_uri()
    return address if URL.match(address) else (folder / address).resolve().as_uri()


def _spelled_out(address: str) -> str:
    """Return an address as installers read it: what is written as for scp gets its ``ssh://``."""
    scp = SCP.fullmatch(address)
    return f"ssh://{scp[1]}/{scp[2]}" if scp else address


def _copy(address: str, cache: Path) -> Path:
    """Return the bare copy of a remote repository, made now if there is none."""
    folder = cache.absolute() / hashlib.sha256(address.encode()).hexdigest()[:16]
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if (folder / "HEAD").exists():
            return folder
        half = Path(tempfile.mkdtemp(dir=cache, prefix="cloning-"))
        try:
            git(cache, "clone", "--quiet", "--bare", "--filter=blob:none", address, str(half), seconds=CLONE_SECONDS)
            half.rename(folder)
        except GitFailed as error:
            raise InfrastructureError(f"git cannot clone {address}: {error}") from None
        finally:
            shutil.rmtree(half, ignore_errors=True)
    return folder


def _read(printed: str) -> list[Commit]:
    rows = (line.split("\x1f", 3) for line in printed.split("\n") if line)
    return [Commit(sha=sha, parents=tuple(up.split()), date=date, subject=text) for sha, up, date, text in rows]
