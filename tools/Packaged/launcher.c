/*===- launcher.c - A tool of a package, which is inside libsfa.so -*- C -*-===*\
|*                                                                            *|
|* Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.      *|
|* See LICENSE for license information.                                       *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

/* Defined in ToolMain.cpp. */
int sfa_tool_main(const char *name, int argc, char **argv);

int main(int argc, char **argv) { return sfa_tool_main(SFA_TOOL, argc, argv); }
