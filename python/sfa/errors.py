"""The errors of the package. Each is also the built-in error that a caller would expect."""


class Error(Exception):
    """Base of all errors that are raised on purpose here."""


class ArgumentTypeError(Error, TypeError):
    """An argument is of a kind, or a tensor of a dtype, that the function does not take."""


class ArgumentValueError(Error, ValueError):
    """An argument has the right type, but a shape, a stride, a device or a value that is not allowed."""


class ReadOnlyError(Error, AttributeError):
    """An attribute that is set for good when the object is made is assigned to."""


class UnsupportedError(Error, NotImplementedError):
    """What is asked for is planned, and not there yet."""


class LibraryError(Error, RuntimeError):
    """The compiler library libsfa.so is missing, or is not one."""


class DeviceError(Error, RuntimeError):
    """No CUDA driver, no GPU, or one that cannot run the program."""


class CompileError(Error, RuntimeError):
    """The compiler refused a module, most often because of its schedule. `module` is the text of it."""

    def __init__(self, message: str, module: str = "") -> None:
        super().__init__(message)
        self.module = module


class RunError(Error, RuntimeError):
    """A compiled program could not be run."""


class MemoryExhaustedError(RunError, MemoryError):
    """No memory left, on the host or on the device."""


class KnobError(Error, ValueError):
    """An SFA_* environment variable holds what it must not."""
