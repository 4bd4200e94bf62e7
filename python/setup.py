"""The part of the build that pyproject.toml cannot say: SFA_LIBRARY, the libsfa.so that goes into the
wheel, and the wheel's tag. There is no extension module, so one wheel serves every CPython."""

import os
import pathlib
import shutil
import sysconfig

from setuptools import setup
from setuptools.command.build_py import build_py

try:
    from setuptools.command.bdist_wheel import bdist_wheel
except ImportError:  # before setuptools 70
    from wheel.bdist_wheel import bdist_wheel


class BuildWithLibrary(build_py):
    def run(self):
        super().run()
        library = os.environ.get("SFA_LIBRARY")
        if not library or not pathlib.Path(library).is_file():
            raise SystemExit(f"SFA_LIBRARY is {library!r}; it has to name the libsfa.so that goes into "
                             "the wheel, such as build/lib/libsfa.so")
        shutil.copy2(library, pathlib.Path(self.build_lib) / "sfa" / "libsfa.so")


class PlatformWheel(bdist_wheel):
    def finalize_options(self):
        super().finalize_options()
        self.root_is_pure = False

    def get_tag(self):
        platform = os.environ.get("SFA_WHEEL_PLATFORM") or sysconfig.get_platform()
        return "py3", "none", platform.replace("-", "_").replace(".", "_")


setup(cmdclass={"build_py": BuildWithLibrary, "bdist_wheel": PlatformWheel})
