"""Repeated parts of long straight-line code, found and rolled back into loops.

A formula written out (a sum of a thousand terms, an explicit matrix, a thousand time steps) is straight-line
code of which large parts are equal but for what they read. `rerolled` writes such parts once, as loops:

    code      the statements as arrays, equal instructions under one number
    fills     outputs that hold one number nearly everywhere, as loops that fill them
    sums      long sums as one statement each
    groups    parts that repeat: roles, and which statement has which role in which turn
    schedule  which roles share a loop, in which order loops and the statements left over run
    layout    where what passes between them lies, as indices that are affine in the turn, or in tables
    emit      the loops

Every operation is done on the same numbers as before, and sums keep their order: results are the same to the
bit. What grows with the number of turns is data (tables of constants and places) and memory, not code.
Sources: isomorphic instructions packed together, Larsen & Amarasinghe 2000 (superword level parallelism);
rolling code back into loops as in Rocha et al. 2022 (loop rolling by sequence alignment), here on the graph.
"""

from symgrad.loops.reroll.rolled import rerolled, to_reroll

__all__ = ["rerolled", "to_reroll"]
