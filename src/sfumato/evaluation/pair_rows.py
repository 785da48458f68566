"""Spell out paired tests as rows of a table; nothing is tested here."""

from collections.abc import Sequence

from sfumato.evaluation.report import spell
from sfumato.evaluation.statistics import Paired

PAIR_COLUMNS = ("first", "second", "first less second", "p (Holm)")


def pair_rows(pairs: Sequence[Paired], digits: int = 3) -> list[list[str]]:
    """Return a row for each two models: their names, the difference with its interval, and how likely it is by chance.

    >>> from sfumato.evaluation.statistics import Interval
    >>> pair_rows([Paired("a", "b", Interval(0.1, 0.0, 0.2), 0.0004, 40)])
    [['a', 'b', '0.100 [0.000, 0.200]', '< 0.001']]
    """
    return [
        [
            pair.first,
            pair.second,
            spell(pair.difference, digits),
            "< 0.001" if pair.p < 0.001 else f"{pair.p:.3f}",
        ]
        for pair in pairs
    ]
