"""Objects that Python calls through machine code: the base class of kernels.

A subclass defines `_call`, the whole meaning of a call. After one it may set a record of what such a
call looks like (`run.records`); calls that look the same then never reach Python code. Where the
interpreter is not one that `run.cpython` knows, every call is `_call`.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

import numpy as np

from symgrad.run import cpython
from symgrad.run.records import RECORD

_VECTORCALL, _SIZE = 16, 32  # fields of an instance, after the header of every object; RECORD is between
_HAS_VECTORCALL = 1 << 11
_FLAGS = (1 << 9) | (1 << 10) | _HAS_VECTORCALL | (1 << 18)  # heap type, base type, default
_SLOT_CALL, _SLOT_MEMBERS = 50, 72
_PYSSIZET, _READONLY = 19, 1


class _Member(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("kind", ctypes.c_int),
        ("offset", ctypes.c_ssize_t),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    ]


class _Slot(ctypes.Structure):
    _fields_ = [("slot", ctypes.c_int), ("function", ctypes.c_void_p)]


class _TypeSpec(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("basicsize", ctypes.c_int),
        ("itemsize", ctypes.c_int),
        ("flags", ctypes.c_uint),
        ("slots", ctypes.POINTER(_Slot)),
    ]


class Plain:
    """Where objects cannot be called through machine code."""

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        return self._call(*args, **keywords)

    def _call(self, *args: Any, **keywords: Any) -> Any:
        raise NotImplementedError


def _native_type() -> type:
    """A class of objects with a vectorcall function (PEP 590) and a record."""
    members = (_Member * 2)()
    members[0] = _Member(b"__vectorcalloffset__", _PYSSIZET, _VECTORCALL, _READONLY, None)
    call = ctypes.cast(ctypes.pythonapi.PyVectorcall_Call, ctypes.c_void_p)
    slots = (_Slot * 3)()
    slots[0] = _Slot(_SLOT_MEMBERS, ctypes.cast(members, ctypes.c_void_p))
    slots[1] = _Slot(_SLOT_CALL, call)
    spec = _TypeSpec(b"symgrad.run.fastcall.Native", _SIZE, 0, _FLAGS, slots)
    make = ctypes.pythonapi.PyType_FromSpec
    make.restype, make.argtypes = ctypes.py_object, [ctypes.c_void_p]
    made: type = make(ctypes.addressof(spec))
    return made


if TYPE_CHECKING:
    _Base = Plain
else:
    _Base = _native_type() if cpython.supported() else Plain


class FastCallable(_Base):
    """Calls go to `_call`; once a record is set, those that look like it go to machine code."""

    def __init_subclass__(cls, **keywords: Any) -> None:
        """Subclasses are called through their vectorcall function, too.

        CPython 3.11 hands that down only to classes that cannot be changed: all others get arguments packed
        into a tuple and a dict, which are taken apart again. Subclasses with their own `__call__` keep to it.
        """
        super().__init_subclass__(**keywords)
        if _Base is not Plain and cls.__call__ is _Base.__call__:
            flags = ctypes.c_ulong.from_address(id(cls) + cpython.TYPE_FLAGS)
            flags.value |= _HAS_VECTORCALL

    def __init__(self) -> None:
        self._record: np.ndarray | None = None
        if _Base is not Plain:
            from symgrad.run import trampoline  # needs LLVM: not on import

            _write(self, _VECTORCALL, trampoline.address())

    def _set_record(self, record: np.ndarray | None) -> None:
        """What fast calls look like from now on; None for no fast calls. Call with the GIL held."""
        if _Base is not Plain and record is not self._record:
            _write(self, RECORD, 0 if record is None else record.ctypes.data)
            self._record = record


def _write(x: object, offset: int, value: int) -> None:
    ctypes.c_uint64.from_address(id(x) + offset).value = value
