"""What LLVM is told about processors: vectors of numbers from many addresses, loaded one by one."""

from __future__ import annotations

import llvmlite.binding as llvm
import pytest

from symgrad.targets.host import processor, tuning

GATHERS = """
define void @f(ptr noalias %x, ptr noalias %which, ptr noalias %y) {
entry:
  br label %loop
loop:
  %i = phi i64 [0, %entry], [%next, %loop]
  %p = getelementptr i64, ptr %which, i64 %i
  %k = load i64, ptr %p
  %q = getelementptr double, ptr %x, i64 %k
  %v = load double, ptr %q
  %w = fmul double %v, %v
  %z = fdiv double %w, 3.0
  %r = getelementptr double, ptr %y, i64 %i
  store double %z, ptr %r
  %next = add i64 %i, 1
  %more = icmp ult i64 %next, 4096
  br i1 %more, label %loop, label %done
done:
  ret void
}
"""


def assembly(name: str, features: str) -> str:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_default_triple()
    machine = target.create_target_machine(cpu=name, features=features, opt=2)
    module = llvm.parse_assembly(GATHERS)
    module.triple, module.data_layout = machine.triple, str(machine.target_data)
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    options.loop_vectorization = True
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    return machine.emit_assembly(module)


@pytest.mark.skipif("x86" not in llvm.get_default_triple(), reason="LLVM here lacks this target")
def test_zen_puts_vectors_together_of_single_loads() -> None:
    (word,) = tuning("znver5")
    with_gather, without = assembly("znver5", ""), assembly("znver5", word)
    assert "vgather" in with_gather
    assert "vgather" not in without
    assert "vdivpd" in without  # it is still a loop over vectors


def test_other_processors_are_left_alone() -> None:
    assert tuning("skylake-avx512") == tuning("apple-m1") == ()


def test_it_is_among_the_features_of_this_one() -> None:
    name, features = processor()
    assert set(tuning(name)) <= set(features.split(","))
