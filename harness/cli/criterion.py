"""The arguments that say what counts as bad, as bisect, blame and probe take them."""

from __future__ import annotations

import argparse

from harness.cli.arguments import Verbs, size
from harness.errors import ConfigError
from harness.search.criterion import Criterion, is_factor


def add_criterion(verb: Verbs, *, factor: bool = True) -> None:
    """Add the arguments; ``factor``: there is a good end to take a multiple of."""
    times = "times the figure of the good end, or an absolute size" if factor else "an absolute size"
    verb.add_argument("--signature", metavar="S", help="only this failure is bad (a rule's name or a whole signature)")
    verb.add_argument("--good-signature", metavar="S", help="this failure counts as good: another one stands behind it")
    verb.add_argument("--metric", metavar="FIGURE", help="bad is what has more of this figure than --above")
    verb.add_argument("--above", metavar="1.5x|8GiB" if factor else "8GiB", help=times)


def read_criterion(options: argparse.Namespace, *, bound: bool = True, ends: bool = True) -> Criterion:
    """Read the arguments.

    Args:
        options: the command line.
        bound: a figure needs a bound; a scan goes without.
        ends: the good end is run, so that a multiple of its figure can be asked for.

    Raises:
        ConfigError: two of them exclude each other, or one means nothing.
    """
    metric, above = options.metric, options.above
    if (above is not None and metric is None) or (metric is not None and above is None and bound):
        raise ConfigError("--metric and --above belong together")
    if metric is not None and (options.signature or options.good_signature):
        raise ConfigError("a signature and --metric are two different questions; keep one")
    factor = is_factor(above) if above else None
    if factor is not None and not ends:
        raise ConfigError(f"--above {above} is measured at the good end, which is not run here")
    return Criterion(
        signature=options.signature,
        good_signature=options.good_signature,
        metric=metric,
        factor=factor,
        limit=_limit(above) if above and factor is None else None,
    )


def _limit(text: str) -> int:
    try:
        return size(text)
    except argparse.ArgumentTypeError:
        raise ConfigError(f"--above {text} is neither a factor (1.5x) nor a size (8GiB)") from None
