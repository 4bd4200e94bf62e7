/*===- HeaderIsC.c - The C interface is C99 --------------------------------===*\
|*                                                                            *|
|* Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.      *|
|* See LICENSE for license information.                                       *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#include "sfa/runtime.h"

int32_t sfaTestCountFromC(void);

int32_t sfaTestCountFromC(void) {
  int64_t shape[1] = {1};
  sfa_tensor tensor = {NULL, SFA_DTYPE_F32, 1, NULL, NULL};
  int32_t count = 0;
  tensor.shape = shape;
  return sfa_device_count(&count) == SFA_SUCCESS ? count : -tensor.rank;
}
