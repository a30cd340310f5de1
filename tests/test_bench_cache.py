from bench import cache


def test_where_things_are_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("AUGREG_CACHE", str(tmp_path / "own"))
    assert cache.folder("index") == tmp_path / "own" / "index"
    monkeypatch.delenv("AUGREG_CACHE")
    assert cache.folder("index") == tmp_path / "xdg" / "augreg-bench" / "index"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache.folder("weights") == tmp_path / ".cache" / "augreg-bench" / "weights"
