"""Where CPython and NumPy keep what a call needs, checked on probes before anything relies on it.

Machine code that reads the fields of a float or an array directly calls a kernel in a fraction of the time
that any interface between languages takes. The offsets below are those of CPython 3.11 and later and of
NumPy 1.20 and later on 64-bit machines; `supported()` reads known objects through them and says no where one
disagrees (other interpreters, free-threaded builds).
"""

from __future__ import annotations

import ctypes
import struct
import sys
from functools import cache

import numpy as np

TYPE = 8  # PyObject.ob_type
TYPE_FLAGS = 168  # PyTypeObject.tp_flags
FLOAT_VALUE = 16  # PyFloatObject.ob_fval
TUPLE_SIZE, TUPLE_ITEMS = 16, 24  # PyTupleObject
DATA, NDIM, DIMS, DESCR, FLAGS = 16, 24, 32, 56, 64  # PyArrayObject_fields
C_CONTIGUOUS, ALIGNED, WRITEABLE = 0x1, 0x100, 0x400  # NPY_ARRAY_*
_NEW_ARRAY = 93  # the place of PyArray_New in NumPy's table of C functions

_FUNCTIONS = (
    "PyFloat_FromDouble", "PyTuple_New", "PyObject_GetAttr", "PyObject_Vectorcall", "PyErr_NoMemory",
    "PyEval_SaveThread", "PyEval_RestoreThread", "Py_IncRef", "Py_DecRef", "PyMem_RawMalloc", "PyMem_RawFree",
    "PyLong_AsLongLongAndOverflow",
)  # fmt: skip


@cache
def supported() -> bool:
    """Whether objects of this interpreter are laid out as this module says."""
    if sys.implementation.name != "cpython" or struct.calcsize("P") != 8 or hasattr(sys, "abiflags") is False:
        return False
    if "t" in sys.abiflags or "d" in sys.abiflags:  # free-threaded and debugging builds have other headers
        return False
    return _type_is_known() and _float_is_known() and _tuple_is_known() and _array_is_known()


def _type_is_known() -> bool:
    probes = (float, np.ndarray, ctypes.Structure)
    return all(ctypes.c_ulong.from_address(id(x) + TYPE_FLAGS).value == x.__flags__ for x in probes)


def _float_is_known() -> bool:
    probe, derived = 1.25, np.float64(2.5)
    return all(
        _pointer(x, TYPE) == id(type(x)) and ctypes.c_double.from_address(id(x) + FLOAT_VALUE).value == x
        for x in (probe, derived)
    )


def _tuple_is_known() -> bool:
    probe = (object(), "x", None)
    items = [_pointer(probe, TUPLE_ITEMS + 8 * k) for k in range(3)]
    return _pointer(probe, TUPLE_SIZE) == 3 and items == [id(x) for x in probe]


def _array_is_known() -> bool:
    probe = np.arange(30.0).reshape(2, 3, 5)
    dims = _pointer(probe, DIMS)
    return (
        _pointer(probe, TYPE) == id(np.ndarray)
        and _pointer(probe, DATA) == probe.__array_interface__["data"][0]
        and ctypes.c_int32.from_address(id(probe) + NDIM).value == 3
        and [ctypes.c_int64.from_address(dims + 8 * k).value for k in range(3)] == [2, 3, 5]
        and _pointer(probe, DESCR) == id(probe.dtype) == id(np.dtype(np.float64))
        and ctypes.c_int32.from_address(id(probe) + FLAGS).value == probe.flags.num
    )


def _pointer(x: object, offset: int) -> int:
    return ctypes.c_uint64.from_address(id(x) + offset).value


@cache
def functions() -> dict[str, int]:
    """Addresses of the C functions of CPython and NumPy that a call needs."""
    found = {name: ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value for name in _FUNCTIONS}
    found["PyArray_New"] = ctypes.c_uint64.from_address(_numpy_table() + 8 * _NEW_ARRAY).value
    return {name: address or 0 for name, address in found.items()}


def _numpy_table() -> int:
    core = getattr(np, "_core", None) or np.core  # NumPy 2 renamed it
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return int(get(core.multiarray._ARRAY_API, None))
