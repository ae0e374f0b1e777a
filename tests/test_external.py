"""SciPy's exported C functions: found by name, called by name, never with the wrong types."""

from __future__ import annotations

import ctypes

import pytest
from scipy import special

from symgrad.errors import IllegalProgram
from symgrad.targets.external import BLAS, LAPACK, SPECIAL, address_for, external, is_external, symbol_of
from symgrad.targets.llvm_build import CodeShape, build

SHAPE = CodeShape(1, 1, 0, False, False)


def module_calling(symbol: str, declared: str, call: str) -> str:
    return f"""
declare {declared}
define void @f(ptr %x, ptr %y) {{
  %a = load double, ptr %x
  %b = call {call}
  store double %b, ptr %y
  ret void
}}
define void @f_call(ptr %x, ptr %y) {{
  ret void
}}
"""


def test_a_special_function_is_called_from_emitted_code_by_its_name():
    symbol = symbol_of(SPECIAL, "psi")
    text = module_calling(symbol, f"double @{symbol}(double, i32)", f"double @{symbol}(double %a, i32 0)")
    loaded = build(text, "f", SHAPE)
    x, y = ctypes.c_double(2.5), ctypes.c_double()
    function = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(loaded.address)
    function(ctypes.addressof(x), ctypes.addressof(y))
    assert y.value == special.psi(2.5)
    assert str(external(symbol).address) not in loaded.source


def test_a_call_with_other_types_is_refused_before_it_runs():
    symbol = symbol_of(SPECIAL, "jv")
    text = module_calling(symbol, f"double @{symbol}(double, i32)", f"double @{symbol}(double %a, i32 0)")
    with pytest.raises(IllegalProgram, match=r"exports it as double \(double, double, i32\)"):
        build(text, "f", SHAPE)


@pytest.mark.parametrize(
    ("module", "function", "called_as"),
    [
        (SPECIAL, "airy", "void (double, ptr, ptr, ptr, ptr)"),
        (SPECIAL, "betainc", "double (double, double, double, i32)"),
        (LAPACK, "dpotrf", "void (ptr, ptr, ptr, ptr, ptr)"),
        (LAPACK, "ssyevd", "void (" + ", ".join(["ptr"] * 11) + ")"),
        (BLAS, "ddot", "double (ptr, ptr, ptr, ptr, ptr)"),
        (BLAS, "sdot", "float (ptr, ptr, ptr, ptr, ptr)"),
    ],
)
def test_functions_of_several_types_are_the_ones_in_double_precision(module, function, called_as):
    assert is_external(symbol_of(module, function))
    assert (
        address_for(symbol_of(module, function), called_as) == external(symbol_of(module, function)).address
    )


def test_a_function_that_is_not_exported_is_refused_by_name():
    with pytest.raises(IllegalProgram, match=r"no function .lambertw. in scipy\.special"):
        external(symbol_of(SPECIAL, "lambertw"))


def test_other_names_are_not_taken_for_externals():
    assert not is_external("erf")
    assert not is_external("llvm.exp.f64")
    assert not is_external("os.path.join")
