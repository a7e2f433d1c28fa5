"""``harness bisect --into``: on from the two releases that were found to the commits between them."""

from __future__ import annotations

import argparse
import shlex
from dataclasses import dataclass

from harness.envs.bundle.manifest import opened_bundle
from harness.envs.cache_dir import CacheDir
from harness.errors import ConfigError
from harness.matrix.git import Repository, open_repository
from harness.matrix.paths import short_path
from harness.reporter import Reporter
from harness.search.commits import links, on_github
from harness.search.descent import CommitResult, Into, read_question, write_question
from harness.search.into import Descent, find_tag
from harness.search.narrowing import Bisect
from harness.search.result import Ending, Result
from harness.search.row import Around, Row
from harness.store.journal import Listener
from harness.store.run_folder import RunFolder

NAMED = 20  # candidates that are named one by one


def add_into(verb: argparse.ArgumentParser) -> None:
    """Add the options of a search among commits."""
    verb.add_argument("--into", metavar="git:URL|FOLDER", help="go on to the commits between the two releases found")
    verb.add_argument("--tags", metavar="PATTERN", help="how that repository tags its releases (rel-{})")
    verb.add_argument("--all-parents", action="store_true", help="where a merge is found, search what it brought too")
    verb.add_argument("--commits", action="store_true", help="--good and --bad are commits there: search no releases")


@dataclass(frozen=True)
class Source:
    """The repository to go on in, opened, and how it was asked for."""

    into: Into
    repository: Repository


def asked_source(options: argparse.Namespace, cache_dir: CacheDir) -> Source | None:
    """Open what ``--into`` names, before anything is probed; None without it.

    Raises:
        ConfigError: it is no repository, or options do not belong together.
        InfrastructureError: the repository does not answer.
    """
    if options.into is None:
        if options.tags is not None or options.all_parents or options.commits:
            raise ConfigError("--tags, --all-parents and --commits belong to --into")
        return None
    if options.scan:
        raise ConfigError("--scan names every change and --into follows one; keep one of the two")
    _check_tags(options.tags)
    if opened_bundle() is not None:
        raise ConfigError("--into builds commits, and a bundle holds releases only")
    return _open(Into(repository=options.into, tags=options.tags, all_parents=options.all_parents), cache_dir)


def kept_source(options: argparse.Namespace, folder: RunFolder, cache_dir: CacheDir) -> Source | None:
    """Return what a run that is gone on with searches beside releases: as it was asked for, or as it is asked now.

    Raises:
        ConfigError: as above.
        InfrastructureError: as above.
    """
    kept = read_question(folder)
    if kept is None or options.into is not None:
        return asked_source(options, cache_dir)
    _check_tags(options.tags)
    changed = {"tags": options.tags or kept.tags, "all_parents": options.all_parents or kept.all_parents}
    return _open(kept.model_copy(update=changed), cache_dir)


def _check_tags(pattern: str | None) -> None:
    if pattern is not None and pattern.count("{}") != 1:
        raise ConfigError(f"--tags {pattern} must hold {{}} once, where the version stands")


def _open(into: Into, cache_dir: CacheDir) -> Source:
    return Source(into, open_repository(into.repository, cache_dir.repositories))


def descend(search: Bisect, result: Result, source: Source, listener: Listener, echo: Reporter) -> CommitResult | None:
    """Search among the commits between the releases of a result; None where it does not name two.

    Raises:
        ConfigError: a release has no tag, or no commit lies between the two.
    """
    _keep(source.into, search.folder)
    releases, asked = search.question.releases, search.question
    older, newer = result.before, result.suspects[-1]
    if result.ending not in {Ending.FOUND, Ending.INCONCLUSIVE} or not _is_border(result, older, newer):
        return None
    before, after = ("bad", "good") if asked.find_fix else ("good", "bad")
    echo(f"{asked.package} {older} is {before} and {newer} is {after}: on to its commits in {source.into.repository}")
    tags = [find_tag(source.repository, asked.package, one, source.into.tags) for one in (older, newer)]
    cells = [search.seen.cell(release).id for release in releases]
    at = releases.index(newer)
    row = Row(
        question=asked,
        base=search.base,
        prober=search.prober,
        repository=source.repository,
        around=Around(tags[0], tags[1], tuple(cells[:at]), tuple(cells[at:])),
        bound=search.seen.bound(search.seen.attempts()),
        listener=listener,
        echo=echo,
    )
    return Descent(row, all_parents=source.into.all_parents).run()


def _keep(into: Into, folder: RunFolder) -> None:
    """Write down what is asked beside the releases, and the command that asks for both."""
    kept, record = read_question(folder), folder.read_record()
    known = kept.words() if kept is not None else ()
    own = record.command[: len(record.command) - len(known)] if known else record.command
    write_question(into, folder)
    folder.write_record(record.model_copy(update={"command": (*own, *into.words())}))


def _is_border(result: Result, older: str, newer: str) -> bool:
    """Tell whether the change lies between two releases; an end that was assumed has no answer of its own."""
    expected = {older: result.find_fix, newer: not result.find_fix}
    return all(one not in result.releases or result.releases[one].bad is bad for one, bad in expected.items())


def last_lines(search: Bisect, result: Result, source: Source, found: CommitResult) -> list[str]:
    """Return what is said last of a search that went on from releases."""
    return commit_lines(found, _again(search, result, source), search.folder)


def commit_lines(found: CommitResult, again: str, folder: RunFolder) -> list[str]:
    """Return what is said last: links and the command ``again`` first, the answer at the end."""
    before, after = ("bad", "good") if found.find_fix else ("good", "bad")
    first, suspects = found.commits[found.before], [found.commits[sha] for sha in found.suspects]
    match found.ending:
        case Ending.FOUND:
            page = on_github(found.address)
            return [
                f"to see the commits again: {again}",
                *(links(page, found.before, suspects[0]) if page else ()),
                f"{suspects[0].full_summary()} is the first {after} commit, {first.short} the last {before} one",
            ]
        case Ending.NOT_REPRODUCED:
            return [f"not reproduced from source: {found.reason}"]
        case Ending.INCONCLUSIVE if found.reason:
            return [f"inconclusive between {found.older} and {found.newer}: {found.reason}"]
        case Ending.INCONCLUSIVE:
            left = [f"  {one.summary()}" for one in suspects[:NAMED]]
            more = [f"  and {len(suspects) - NAMED} more"] if len(suspects) > NAMED else []
            names = ", ".join(one.short for one in suspects[:NAMED])
            rest = f"inconclusive: the first {after} commit of {found.package} is one of {names}"
            return [*left, *more, f"{rest}{' …' if more else ''}; {first.short} is {before}"]
        case Ending.INTERRUPTED:
            place = shlex.quote(str(short_path(folder.path)))
            return [f"interrupted; to go on: harness bisect --resume {place}"]


def _again(search: Bisect, result: Result, source: Source) -> str:
    ends = (result.before, result.suspects[-1])
    good, bad = ends[::-1] if result.find_fix else ends
    return shlex.join((*search.question.command(good, bad), *source.into.words()))
