"""`python -m sfa.report` on small databases."""

import contextlib
import copy
import html.parser
import io
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

from sfa import errors
from sfa.report import __main__ as report
from sfa.report import charts, database, page

MALICIOUS = '<script>alert("1")</script>\'"><img src=x onerror=alert(2)>&amp;'
CHIPS = pathlib.Path(__file__).parents[2] / "lib/Support/Chip.cpp"
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)


def _measured(*times, **schedule):
    return dict(schedule=dict(dict(strategy="dense", softmax="lazy", q_tile=128, k_tile=128), **schedule), ms=list(times))


def _entry(*, device=None, measured=None, others=(), ties=0, compiler="FlashSFA 0.1.0 aa", throttle=0, winner=None,
           model=None, **key):
    key = dict(dict(operation="attention", dtype="bf16", form="dense", mask="causal", data="any", d=128, dv=128, k=0, window=0,
                    group=1, queries=2048, keys=2048, batch_heads=16, lse=False, sequences=False), **key)
    return dict(
        key=key, device=device or dict(chip="sm_90a", name="NVIDIA H100 80GB HBM3", multiprocessors=132, watts=700),
        measured=measured or dict(batch=1, query_heads=16, queries=2000, keys=2000),
        winner=winner or _measured(0.0391, 0.0401, 0.0411),
        model=model or _measured(0.0502, 0.0502, 0.0502, softmax="online"), others=list(others), ties=ties, compiler=compiler,
        driver="13.0", date="2026-11-27", clock_mhz=1980, throttle=throttle)


def _document():
    return dict(format="sfa-tuning-database", version=1, entries=[
        _entry(others=[_measured(0.0400, 0.0403, 0.0404, stages=3), _measured(0.0600, stages=4)], ties=1),
        _entry(form="codes", k=8, d=64, dv=96, queries=1, keys=16384, group=4, batch_heads=256, mask="none", lse=True,
               measured=dict(batch=8, query_heads=32, queries=1, keys=16000), compiler="FlashSFA 0.1.0 aa",
               winner=_measured(0.1234, strategy="sparse_mma"), model=_measured(0.1234, strategy="sparse_mma"), throttle=4),
        _entry(form="int8 tile", k=8, mask="window", window=512, data="concentrated", compiler="FlashSFA 0.1.0 old"),
        _entry(dtype="f32", device=dict(chip="cpu", name="rocketlake", multiprocessors=8, watts=0),
               winner=_measured(7.125, 8.25), model=_measured(9.5))])


class Tags(html.parser.HTMLParser):
    """Whether all tags are closed in order, what they are and have, and the text between them."""

    def __init__(self, text):
        super().__init__()
        self.open, self.names, self.attributes, self.words = [], set(), [], []
        self.feed(text)
        self.close()
        if self.open:
            raise AssertionError(f"not closed: {self.open}")
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.names.add(tag)
        self.attributes += attrs
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            raise AssertionError(f"</{tag}> closes another one")

    def handle_data(self, data):
        self.words.append(data)


class ReportTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.file, self.output = self.folder / "tuned.json", self.folder / "page.html"

    def _main(self, *arguments):
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            status = report.main([*map(str, arguments), "-o", str(self.output)])
        return status, out.getvalue()

    def _page(self, document, *arguments):
        self.file.write_text(json.dumps(document))
        status, text = self._main(self.file, *arguments)
        self.assertEqual(status, 0, text)
        self.assertEqual(text, f"{self.output}: {len(document['entries'])} entr{'y' if len(document['entries']) == 1 else 'ies'}\n")
        return self.output.read_text()


class PageTest(ReportTest):
    def test_all_tags_are_closed_and_all_numbers_are_there(self):
        tags = Tags(self._page(_document()))
        for part in (
                # Devices, and what is said of all entries.
                "Of tuned.json.", "NVIDIA H100 80GB HBM3 (sm_90a, 132 multiprocessors, 700 W)", "rocketlake (cpu, 8 cores)",
                "Measured 2026-11-27, driver 13.0, at 1980 MHz.", "3 problems: 2 are faster by more than 1%",
                # Times and ratios: 0.0401 / 0.0502 and 0.0401 / 0.0403, 7.6875 / 9.5.
                "0.0401", "0.799", "0.995", "0.1234", "7.6875", "0.809", "20.1% less than the cost model's choice",
                "0.5% less than the second", "as long as the cost model's choice",
                "bf16 dense d=128 causal batch=1 heads=16 n=2000",
                "bf16 codes k=8 d=64 dv=96 none lse group=4 batch=8 heads=32 n=1x16000",
                "bf16 int8 tile k=8 d=128 window<=512 concentrated batch=1 heads=16 n=2000",
                "strategy = dense, softmax = lazy, q_tile = 128, k_tile = 128",
                # Doubts.
                "1 other is not known to be slower", "clocks were held down (bits 0x4)", "of another build, FlashSFA 0.1.0 old",
                "samples spread over 7.3%",
                # Peaks.
                "949 TFLOP/s", "3350 GB/s", "The peaks of cpu are not known here.", "1x16384", "256", "2 entries"):
            self.assertIn(part, tags.text)
        self.assertLessEqual(tags.names, {
            "html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "h3", "p", "div", "table", "caption", "thead",
            "tbody", "tr", "th", "td", "svg", "desc", "g", "rect", "text", "line", "polyline", "polygon", "circle"})

    def test_one_file_without_scripts(self):
        text = self._page(_document())
        tags = Tags(text)
        self.assertLessEqual({name for name, _ in tags.attributes if name.startswith("on")}, set())
        self.assertFalse({"src", "href", "srcset", "xlink:href"} & {name for name, _ in tags.attributes})
        self.assertNotIn("http:", text)
        self.assertNotIn("https:", text)
        self.assertIn(("content", "default-src 'none'; style-src 'unsafe-inline'"), tags.attributes)
        self.assertIn(("name", "viewport"), tags.attributes)

    def test_charts_have_names_and_words(self):
        text = self._page(_document())
        identifiers = re.findall(r' id="([^"]*)"', text)
        self.assertEqual(len(identifiers), len(set(identifiers)))
        named = [name for names in re.findall(r'aria-labelledby="([^"]*)"', text) for name in names.split()]
        self.assertEqual(sorted(named), sorted(identifiers))
        self.assertEqual(text.count("<svg"), 3 * 2 + 1)

    def test_names_are_no_markup(self):
        document = _document()
        for entry in document["entries"]:
            entry["device"]["name"] = entry["compiler"] = entry["driver"] = entry["date"] = MALICIOUS
            entry["winner"]["schedule"] = {"strategy": MALICIOUS, MALICIOUS: MALICIOUS}
            entry["key"].update(dtype=MALICIOUS, form=MALICIOUS, mask=MALICIOUS, data=MALICIOUS)
        text = self._page(document)
        tags = Tags(text)
        self.assertFalse({"script", "img"} & tags.names)
        self.assertNotIn("<script", text)
        self.assertFalse({"onerror", "src"} & {name for name, _ in tags.attributes})
        self.assertIn("&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;", text)
        self.assertIn(" ".join(MALICIOUS.split()), tags.text)

    def test_several_files(self):
        other = self.folder / "<b>other.json"
        other.write_text(json.dumps(dict(_document(), entries=[_entry(d=32, dv=32)])))
        self.file.write_text(json.dumps(_document()))
        status, text = self._main(self.file, other)
        self.assertEqual((status, text), (0, f"{self.output}: 5 entries\n"))
        tags = Tags(self.output.read_text())
        self.assertIn("Of tuned.json, <b>other.json.", tags.text)
        self.assertIn("4 problems", tags.text)
        self.assertIn("file", tags.text)

    def test_the_build_that_counts(self):
        text = Tags(self._page(_document(), "--compiler", "FlashSFA 0.1.0 old")).text
        self.assertIn("of another build, FlashSFA 0.1.0 aa", text)
        self.assertNotIn("of another build, FlashSFA 0.1.0 old", text)

    def test_nothing_to_show(self):
        self.assertIn("There are no entries", Tags(self._page(dict(_document(), entries=[]))).text)
        sure = _entry(winner=_measured(1.0), model=_measured(1.0), sequences=True)
        text = Tags(self._page(dict(_document(), entries=[sure]))).text
        for part in ("Nothing: no ties", "1 problem: 0 are faster", "Of no entry the number of FLOP is known.", "unknown"):
            self.assertIn(part, text)
        # Chips that this version does not know.
        entry = _entry(device=dict(chip="sm_300", name="Future", multiprocessors=1, watts=0))
        self.assertIn("The peaks of sm_300 are not known here.", Tags(self._page(dict(_document(), entries=[entry]))).text)

    def test_many_entries(self):
        document = dict(_document(), entries=[_entry(d=16 * d, dv=64, k=k, form="codes" if k else "dense", batch_heads=2**d)
                                              for d in range(1, 9) for k in (0, 2, 8, 16)])
        text = self._page(document)
        tags = Tags(text)
        self.assertIn("Where most time is saved", tags.text)
        self.assertEqual(len(re.findall("<rect", text)), 2 * 24 + 8 * 4 + 8)

    @unittest.skipIf(BROWSER is None, "no Chromium here")
    def test_in_a_browser(self):
        for document in (_document(), dict(_document(), entries=[])):
            self._page(document)
            done = subprocess.run(
                [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=400,800", "--enable-logging=stderr",
                 f"--user-data-dir={self.folder / 'profile'}", "--dump-dom", self.output.as_uri()],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertNotIn("CONSOLE", done.stderr)
            # The browser has closed and moved nothing.
            given, shown = Tags(self.output.read_text()), Tags(done.stdout)
            self.assertEqual((shown.text, shown.names), (given.text, given.names))


class ErrorsTest(ReportTest):
    def _refuse(self, text, *parts):
        self.file.write_text(text)
        status, message = self._main(self.file)
        self.assertEqual(status, 1)
        self.assertFalse(self.output.exists())
        for part in (f"sfa.report: {self.file} is no tuning database: ", *parts):
            self.assertIn(part, message)

    def test_texts(self):
        self._refuse("", "Expecting value")
        self._refuse("[1]", "the document has to be an object")
        self._refuse("[" * 100000, "recursion")
        self._refuse("{}", 'format is missing; it has to be "sfa-tuning-database"')

    def test_fields(self):
        def remove(place):
            return lambda document: place(document).pop("ms")

        for parts, change in (
                (('version is 2; it has to be 1, the one that this version of flashsfa knows',), lambda x: x.update(version=2)),
                (('format is "other"',), lambda x: x.update(format="other")), (("entries is {}; it has to be a list",),
                                                                               lambda x: x.update(entries={})),
                (("entries[1] has to be an object",), lambda x: x["entries"].__setitem__(1, 3)),
                (("entries[0].key.d is -1; it has to be a positive integer",), lambda x: x["entries"][0]["key"].update(d=-1)),
                (("entries[0].key.lse is 1; it has to be true or false",), lambda x: x["entries"][0]["key"].update(lse=1)),
                (("entries[0].key.k is true",), lambda x: x["entries"][0]["key"].update(k=True)),
                (("entries[0].key is []",), lambda x: x["entries"][0].update(key=[])),
                (("entries[2].winner.ms is missing",), remove(lambda x: x["entries"][2]["winner"])),
                (("entries[0].others[1].ms is [0]; it has to be a list of positive numbers",),
                 lambda x: x["entries"][0]["others"][1].update(ms=[0])),
                (("entries[0].model.ms is [NaN]",), lambda x: x["entries"][0]["model"].update(ms=[float("nan")])),
                (("entries[0].winner.schedule is",), lambda x: x["entries"][0]["winner"].update(schedule={"q_tile": [1]})),
                (("entries[0].ties is 3; it has to be a number of others, 0 to 2",), lambda x: x["entries"][0].update(ties=3)),
                (("entries[0].device.name is null; it has to be text",), lambda x: x["entries"][0]["device"].update(name=None)),
                (("entries[3].measured.batch is 0",), lambda x: x["entries"][3]["measured"].update(batch=0)),
                (("entries[0].date is missing",), lambda x: x["entries"][0].pop("date"))):
            with self.subTest(parts=parts):
                document = copy.deepcopy(_document())
                change(document)
                self._refuse(json.dumps(document), *parts)

    def test_files(self):
        status, text = self._main("/nowhere/tuned.json")
        self.assertEqual(status, 1)
        self.assertIn("/nowhere/tuned.json", text)
        self.file.write_bytes(b"\xff\xfe{}")
        self.assertIn("is no tuning database", self._main(self.file)[1])
        with self.assertRaises(errors.ArgumentValueError):
            database.read(self.file)

    def test_program(self):
        done = subprocess.run([sys.executable, "-m", "sfa.report", str(self.file)], stderr=subprocess.PIPE, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"sfa.report: [Errno 2] No such file or directory: '{self.file}'", done.stderr)


class NumbersTest(ReportTest):
    def _read(self, *entries):
        self.file.write_text(json.dumps(dict(_document(), entries=list(entries))))
        return database.read(self.file)

    def test_flops_and_bytes(self):
        for queries, keys in ((5, 5), (3, 9), (9, 3), (1, 7), (7, 1)):
            for mask, window in (("none", 0), ("causal", 0), ("window", 4), ("window", 16)):
                entry, = self._read(_entry(mask=mask, window=window, d=16, dv=24, measured=dict(
                    batch=2, query_heads=3, queries=queries, keys=keys)))
                pairs = sum(1 for row in range(queries) for key in range(keys)
                            if mask == "none" or (key <= row + keys - queries
                                                  and (not window or key > row + keys - queries - window)))
                with self.subTest(queries=queries, keys=keys, mask=mask, window=window):
                    self.assertEqual(entry.flops, 2 * pairs * (16 + 24) * 2 * 3)
        sizes = dict(batch=2, query_heads=4, queries=10, keys=20)
        for row, key in ((256, dict()), (24, dict(form="codes", k=8)), (16, dict(form="int8 head", k=8)),
                         (32, dict(form="codes", k=8, d=300))):
            entry, = self._read(_entry(measured=sizes, group=2, lse=True, **key))
            self.assertEqual(entry.bytes, 2 * 4 * (10 * (row + 256 + 4) + 20 * (row + 256) / 2))

    def test_the_second(self):
        entry, = self._read(_entry(others=[_measured(0.03, stages=3), _measured(0.02, stages=4)], ties=2))
        self.assertEqual(entry.second.median, 0.02)
        self.assertAlmostEqual(entry.of_second, 0.0401 / 0.02)
        entry, = self._read(_entry())
        self.assertEqual(entry.second.median, 0.0502)
        entry, = self._read(_entry(model=_measured(0.05)))
        self.assertIsNone(entry.second)

    def test_the_newest_build(self):
        entries = self._read(*[dict(_entry(compiler=compiler, d=number), date=date) for number, (compiler, date) in enumerate(
            (("old", "2026-01-02"), ("old", "2026-01-02"), ("new", "2026-11-01"), ("other", "2026-11-01"),
             ("new", "2026-11-01")), 1)])
        self.assertEqual(page.newest_compiler(entries), "new")

    @unittest.skipUnless(CHIPS.is_file(), f"there is no {CHIPS}")
    def test_peaks_are_those_of_the_compiler(self):
        found = {name: database.Peaks(*map(float, numbers)) for name, *numbers in re.findall(
            r'\{"(sm_\w+)", \d+, \w+, [^,]+, \d+, "[^"]+", ([\d.]+), ([\d.]+), ([\d.]+)\}', CHIPS.read_text())}
        self.assertEqual(found, database.PEAKS)
        self.assertEqual(round(database.PEAKS["sm_90a"].tflops(132)), 949)

    def test_ticks(self):
        self.assertEqual(charts._ticks(3, 60), [5, 10, 20, 50])
        self.assertEqual(charts._ticks(0.5, 20000), [1, 10, 100, 1000, 10000])


if __name__ == "__main__":
    unittest.main()
