"""The annotations of what is public: all of it has them, they can be read, and the package says so."""

import inspect
import pathlib
import typing
import unittest

import sfa


def _functions():
    for function in (sfa.attention, sfa.cat, sfa.densify, sfa.explain, sfa.get_num_threads, sfa.quantize, sfa.record,
                     sfa.set_num_threads, sfa.sparsify, sfa.tune):
        yield function
    for owner in (sfa.Codes, sfa.Explanation, sfa.Problems, sfa.errors.CompileError):
        for name, member in vars(owner).items():
            if name == "__init__" or not name.startswith("_"):
                member = member.fget if isinstance(member, property) else member
                if inspect.isfunction(member):
                    yield member


class TypesTest(unittest.TestCase):
    def test_all_have_them(self):
        names = []
        for function in _functions():
            with self.subTest(function=function.__qualname__):
                hints = typing.get_type_hints(function)
                self.assertEqual(set(hints) - {"return"}, set(inspect.signature(function).parameters) - {"self"})
                self.assertIn("return", hints)
            names.append(function.__qualname__)
        for name in ("attention", "Codes.to", "Codes.dense", "CompileError.__init__"):
            self.assertIn(name, names)

    @unittest.skipUnless(hasattr(typing, "get_overloads"), "Python before 3.11")
    def test_what_depends_on_a_flag(self):
        for function, count in ((sfa.attention, 3), (sfa.sparsify, 3)):
            overloads = typing.get_overloads(function)
            self.assertEqual(len(overloads), count)
            for overload in overloads:
                given, all_ = inspect.signature(overload).parameters, inspect.signature(function).parameters
                self.assertEqual(list(given), list(all_))
                for name, parameter in given.items():
                    if parameter.default is not inspect.Parameter.empty:
                        self.assertEqual(parameter.default, all_[name].default, name)

    def test_marker(self):
        self.assertTrue(pathlib.Path(sfa.__file__).with_name("py.typed").is_file())


if __name__ == "__main__":
    unittest.main()
