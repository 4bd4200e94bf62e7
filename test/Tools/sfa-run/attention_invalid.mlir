// REQUIRES: sfa-run
// DEFINE: %{data} = %S/../../data/layer4

// RUN: not sfa-run 2>&1 | FileCheck %s --check-prefix=NO-FILE
// NO-FILE: sfa-run: error: {{.*}}positional

// RUN: not sfa-run %t.absent.mlir 2>&1 | FileCheck %s --check-prefix=ABSENT
// ABSENT: sfa-run: error: cannot open input file

// RUN: echo "func.func @f(" > %t.broken.mlir
// RUN: not sfa-run %t.broken.mlir 2>&1 | FileCheck %s --check-prefix=BROKEN
// BROKEN: broken.mlir:{{.*}}: error:
// BROKEN: sfa-run: error: {{.*}}broken.mlir is not a valid module

// RUN: not sfa-run %s --target=tpu 2>&1 | FileCheck %s --check-prefix=TARGET
// TARGET: sfa-run: error: --target=tpu: unknown target; allowed: cpu, cuda

// RUN: not sfa-run %s --strategy=fast 2>&1 | FileCheck %s --check-prefix=STRATEGY
// STRATEGY: sfa-run: error: --strategy: unknown name 'fast'; allowed are dense, gather, scatter, sparse_mma
// RUN: not sfa-run %s --softmax=fast 2>&1 | FileCheck %s --check-prefix=SOFTMAX
// SOFTMAX: sfa-run: error: --softmax: unknown name 'fast'; allowed are online, lazy
// RUN: not sfa-run %s --q-tile=0 2>&1 | FileCheck %s --check-prefix=TILE
// TILE: sfa-run: error: --q-tile: given is '0'; it has to be a number from 1
// RUN: not sfa-run %s --time=none 2>&1 | FileCheck %s --check-prefix=TIME
// TIME: sfa-run: error: --time: given is 'none'; it has to be a number from 1
// RUN: not sfa-run %s --fast 2>&1 | FileCheck %s --check-prefix=FLAG
// FLAG: sfa-run: error: Unknown command line argument '--fast'

// RUN: not sfa-run %s --arg 2>&1 | FileCheck %s --check-prefix=NO-VALUE
// NO-VALUE: sfa-run: {{.*}}--arg option: requires a value!
// NO-VALUE: sfa-run: error: the command line is not valid; --help says what is

// The query is dense.
// RUN: not sfa-run %s --strategy=gather 2>&1 | FileCheck %s --check-prefix=VERIFY
// VERIFY: error: 'sfa.attention' op cannot use strategy 'gather': it needs the query as codes; sparsify the query
// VERIFY: sfa-run: error: the schedule of the flags does not fit

// RUN: not sfa-run %s --arg %{data}_q.npy 2>&1 | FileCheck %s --check-prefix=COUNT
// COUNT: sfa-run: error: 1 arguments given, 3 wanted: argument 0: 1x2x?x128xf16
// RUN: not sfa-run %s --arg %t.absent.npy 2>&1 | FileCheck %s --check-prefix=ARRAY
// ARRAY: sfa-run: error: {{.*}}absent.npy: cannot open
// RUN: not sfa-run %s --arg %s 2>&1 | FileCheck %s --check-prefix=NPY
// NPY: sfa-run: error: {{.*}}attention_invalid.mlir:
// RUN: not sfa-run %s --arg %{data}_q.npy --arg %{data}_k.npy --arg %{data}_v.npy --out %t.1 --out %t.2 2>&1 \
// RUN:   | FileCheck %s --check-prefix=RESULTS
// RESULTS: sfa-run: error: --out given 2 times, @attention has 1 results
// RUN: not sfa-run %s --arg %{data}_q.npy --arg %{data}_k.npy --arg %{data}_v.npy --out %t.absent/o.npy 2>&1 \
// RUN:   | FileCheck %s --check-prefix=WRITE
// WRITE: sfa-run: error: {{.*}}absent/o.npy

// RUN: env SFA_NUM_THREADS=many not sfa-run %s --arg %{data}_q.npy --arg %{data}_k.npy --arg %{data}_v.npy 2>&1 \
// RUN:   | FileCheck %s --check-prefix=KNOB
// KNOB: sfa-run: error: the environment variable SFA_NUM_THREADS is 'many'; it has to be a number from 1 to 1024
// RUN: not sfa-run %s --cpu=pentagon --arg %{data}_q.npy --arg %{data}_k.npy --arg %{data}_v.npy 2>&1 \
// RUN:   | FileCheck %s --check-prefix=CPU
// CPU: sfa-run: error: unknown processor 'pentagon'

// Tiles that are too large for the scratch memory of a kernel.
// RUN: not sfa-run %s --q-tile=4088 --k-tile=4096 --arg %{data}_q.npy --arg %{data}_k.npy --arg %{data}_v.npy 2>&1 \
// RUN:   | FileCheck %s --check-prefix=SCRATCH
// SCRATCH: sfa-run: error: the compiler failed:
// SCRATCH-NEXT: {{.*}}attention_invalid.mlir:[[#]]:[[#]]: error: {{.*}} tiles that do not fit

func.func @attention(%q: tensor<1x2x?x128xf16>, %k: tensor<1x2x?x128xf16>, %v: tensor<1x2x?x128xf16>)
    -> tensor<1x2x?x128xf16> {
  %o = sfa.attention %q, %k, %v
    : tensor<1x2x?x128xf16>, tensor<1x2x?x128xf16>, tensor<1x2x?x128xf16> -> tensor<1x2x?x128xf16>
  return %o : tensor<1x2x?x128xf16>
}
