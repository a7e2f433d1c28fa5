"""What a search asks where a file is named and no test of it: pure."""

from __future__ import annotations

from collections.abc import Sequence

from harness.search.criterion import Criterion
from harness.store.records import ScenarioInfo

SHOWN = 6  # tests


def whole_file(scenario: str, infos: Sequence[ScenarioInfo], asked: Criterion) -> tuple[str, ...]:
    """Say how several tests are judged as one, and how to ask for one of them; nothing where there is but one.

    ``infos`` are the tests that ``scenario`` (``FILE`` or ``FILE::TEST``) names.
    """
    if "::" in scenario or len(infos) < 2:  # noqa: PLR2004 - several
        return ()
    names = [info.id.partition("::")[2] for info in infos]
    some = f"{', '.join(names[:SHOWN])}{' …' if len(names) > SHOWN else ''}"
    if asked.metric is not None:
        how = f"the largest {asked.metric} of them counts"
    else:
        what = f"fails with {asked.signature}" if asked.signature else "fails"
        how = f"bad is where one of them {what}, good where all can be judged and none does"
    return (f"{scenario} holds {len(names)} tests, judged as one: {how}; {scenario}::{names[0]} asks for one ({some})",)
