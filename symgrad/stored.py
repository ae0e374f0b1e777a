"""`stored`: an array that is computed once, as a whole, and then read."""

from __future__ import annotations

from typing import Any

from symgrad.frontend.scan import scan


def stored(array: Any) -> Any:
    """The same array (Entries, an IndexedBase with a shape, a matrix, a scalar), in memory of its own.

    An expression says what is computed, not how often. Where an entry is read at a gathered index, once for
    each of many elements, its formula is evaluated once for each of them; entries of a stored array are
    evaluated once for each place of the array. Values and derivatives to any order are the same. It is the
    state of a recurrence without steps.

    Raises BadArgument for what is no array.

        >>> import numpy as np, sympy as sp, symgrad as sg
        >>> n, m = sp.symbols("n m", integer=True, positive=True)
        >>> i, j = sp.Symbol("i", integer=True), sp.Symbol("j", integer=True)
        >>> x, which = sp.IndexedBase("x", shape=(n,)), sp.IndexedBase("which", shape=(m,))
        >>> far = stored(sg.Entries((n,), lambda i: sp.Sum(sp.exp(-x[i]*x[j]), (j, 0, n - 1))))
        >>> f = sg.compile(sp.Sum(far[which[i]], (i, 0, m - 1)), args=(x, which))
        >>> f(np.zeros(3), np.array([0, 2, 2, 1]))
        (12.0,)
    """
    return scan(lambda state, _: state, array, 0).final
