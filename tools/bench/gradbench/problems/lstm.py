"""The loss of a network of LSTM layers with diagonal weights, on a text, and its gradient.

Layer k needs what layer k - 1 says at the same time, so all layers advance together if each is two steps
behind the one below: in step s, layer k is at letter s - 2*k, and what it hears was said one step before. The
units of all layers are one axis.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp

import symgrad as sg
from problems.common import Prepared, kernel, numbers

_l, _c, _b = sp.symbols("l c b", integer=True, positive=True)  # layers, letters, bits
_t, _i, _j = sp.symbols("t i j", integer=True)
_weight, _bias = sp.IndexedBase("weight", shape=(4, _l * _b)), sp.IndexedBase("bias", shape=(4, _l * _b))
_extra = sp.IndexedBase("extra", shape=(3, _b))  # input weight, output weight, output bias
_state = sp.IndexedBase("state", shape=(2, _l * _b))  # hidden, cell
_start = sp.IndexedBase("start", shape=(_l * _b,))  # the step in which a letter reaches a unit
_letters = sp.IndexedBase("letters", shape=(_c, _b))
_FORGET, _IN, _OUT, _CHANGE = range(4)


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + sp.exp(-x))


def _letter(s: Any, z: Any) -> Any:
    return sg.Where(s < _c, _letters[s, z] * _extra[0, z], 0)


def _step(states: Any, s: Any) -> Any:
    """All layers by one letter; those that no letter has reached yet stay as they are."""
    heard, hidden, cell = states

    def gate(g: int, z: Any, x: Any) -> Any:
        return x[z] * _weight[g, z] + _bias[g, z]

    def next_heard(z: Any) -> Any:
        return sg.Where(z >= _b, hidden[z - _b], _letter(s + 1, z))

    def next_cell(z: Any) -> Any:
        change = sp.tanh(gate(_CHANGE, z, hidden))
        return cell[z] * _sigmoid(gate(_FORGET, z, heard)) + _sigmoid(gate(_IN, z, hidden)) * change

    def next_hidden(z: Any) -> Any:
        return _sigmoid(gate(_OUT, z, heard)) * sp.tanh(next_cell(z))

    def reached(after: Any, before: Any) -> Any:
        return _units(lambda z: sg.Where(_start[z] <= s, after(z), before[z]))

    return _units(next_heard), reached(next_hidden, hidden), reached(next_cell, cell)


def _units(entry: Any) -> sg.Entries:
    return sg.Entries((_l * _b,), entry)


def _loss() -> sp.Expr:
    heard = _units(lambda z: sg.Where(z >= _b, 0, _letter(0, z)))
    hidden, cell = _units(lambda z: _state[0, z]), _units(lambda z: _state[1, z])
    _, said, _ = sg.scan(_step, (heard, hidden, cell), _c + 2 * _l - 3).trajectory

    def predicted(t: Any, i: Any) -> Any:
        return said[t + 2 * _l - 1, (_l - 1) * _b + i] * _extra[1, i] + _extra[2, i]

    norm = sp.log(2 + sp.Sum(sp.exp(predicted(_t, _j)), (_j, 0, _b - 1)))
    agreement = sp.Sum(_letters[_t + 1, _i] * (predicted(_t, _i) - norm), (_i, 0, _b - 1), (_t, 0, _c - 2))
    return -agreement / ((_c - 1) * _b)


_program = sg.program(
    _loss(), args=(_weight, _bias, _extra, _state, _start, _letters), wrt=(_weight, _bias, _extra)
)
_value = kernel(_program, outputs="value")
_gradient = kernel(_program, outputs="grad")


def _arguments(data: dict[str, Any]) -> tuple[np.ndarray, ...]:
    """Weights and biases by gate; within a gate, and in a state, layer by layer."""
    main, extra = numbers(data["main_params"]), numbers(data["extra_params"])
    state, letters = numbers(data["state"]), numbers(data["sequence"])
    bits = letters.shape[1]
    weight, bias = main.reshape(-1, 2, 4, bits).transpose(1, 2, 0, 3).reshape(2, 4, -1)
    start = 2 * (np.arange(weight.shape[1]) // bits)
    return weight, bias, extra, state.reshape(-1, 2, bits).transpose(1, 0, 2).reshape(2, -1), start, letters


def _objective(data: dict[str, Any]) -> Prepared:
    arguments = _arguments(data)
    return Prepared(lambda: _value(*arguments), float)


def _jacobian(data: dict[str, Any]) -> Prepared:
    arguments = _arguments(data)
    bits = arguments[-1].shape[1]

    def output(parts: Any) -> list[float]:
        weight, bias, extra = parts
        main = np.stack([weight, bias]).reshape(2, 4, -1, bits).transpose(2, 0, 1, 3)
        return [*main.ravel().tolist(), *extra.ravel().tolist()]

    return Prepared(lambda: _gradient(*arguments), output)


FUNCTIONS = {"objective": _objective, "jacobian": _jacobian}
