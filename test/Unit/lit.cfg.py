"""The GoogleTest binaries of test/unittests as lit tests: every TEST counts as one."""

import os

import lit.formats

config.name = "FlashSFA-Unit"
config.test_source_root = os.path.join(config.sfa_binary_dir, "test", "unittests")
config.test_exec_root = config.test_source_root
config.suffixes = []
# The only knob of the environment that is passed on: how many cases run.
config.environment["SFA_TEST_FULL"] = os.environ.get("SFA_TEST_FULL") or "0"
config.test_format = lit.formats.GoogleTest(".", "Tests")
