"""The version of the package; that of the library is `sfa_runtime_version()`."""

version = "0.1.0"
