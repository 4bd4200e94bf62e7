// REQUIRES: sfa-run

// RUN: not sfa-run %s 2>&1 | FileCheck %s --check-prefix=MANY
// MANY: sfa-run: error: {{.*}} has 2 public functions; choose one with --entry: @first, @second
// RUN: not sfa-run %s --entry=third 2>&1 | FileCheck %s --check-prefix=ABSENT
// ABSENT: sfa-run: error: --entry: {{.*}} has no public function @third; it has @first, @second
// RUN: not sfa-run %s --entry=second 2>&1 | FileCheck %s --check-prefix=TYPE
// TYPE: sfa-run: error: argument 0 of @second has type f32; allowed are ranked tensors
// RUN: not sfa-run %s --entry=first --strategy=dense 2>&1 | FileCheck %s --check-prefix=NONE
// NONE: sfa-run: error: {{.*}} has no sfa.attention for --strategy

// RUN: echo "module {}" > %t.empty.mlir
// RUN: not sfa-run %t.empty.mlir 2>&1 | FileCheck %s --check-prefix=EMPTY
// EMPTY: sfa-run: error: {{.*}}empty.mlir has no public function with a body

func.func @first() { return }
func.func @second(%x: f32) { return }
func.func private @third() { return }
