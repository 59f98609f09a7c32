"""What a run records of the code that ran it."""

import re
from pathlib import Path

from tagger import __version__, release


def test_other_files_are_another_code_version(tmp_path, monkeypatch):
    monkeypatch.setattr(release, "__file__", str(tmp_path / "release.py"))
    seen = []
    for name, text in {"a.py": "1", "room/b.py": "", "a.py ": "2", "b.py": "", "a.txt": "9"}.items():
        file = Path(tmp_path, name.strip())
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        release.code_version.cache_clear()
        seen.append(release.code_version())
    release.code_version.cache_clear()
    assert len(set(seen)) == 4 and seen[3] == seen[4]
    assert all(re.fullmatch(re.escape(__version__) + r"\+[0-9a-f]{12}", version) for version in seen)
