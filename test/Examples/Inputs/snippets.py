"""Runs each Python snippet of a Markdown file as it stands, in one process each: snippets.py FILE"""

import pathlib
import re
import subprocess
import sys

snippets = re.findall(r"^```python\n(.*?)^```$", pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
for number, text in enumerate(snippets, 1):
    shape = "\nprint('output', tuple(out.shape), bool(out.isfinite().all()))"
    done = subprocess.run([sys.executable, "-c", text + shape], stdout=subprocess.PIPE, text=True)
    print(f"snippet {number}: exit status {done.returncode}, {done.stdout.strip()}")
print(len(snippets), "snippets")
