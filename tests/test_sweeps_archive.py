"""`augreg archive`: the records of a sweep in one file, and what is drawn from them, checked."""

import gzip
import json

import numpy as np
import pytest
from made import accept
from PIL import Image

from bench.errors import UserError
from bench.points import Checkpoint
from sweeps import archive, cli, results, upstream_scores
from sweeps.given import Given
from sweeps.layout import Workdir
from sweeps.named import find

POINTS = find("smoke").points
DRAWN = ["table.csv", "cells.csv", "heatmap.png", "selection.png", "recommended.md"]
GIVEN = Checkpoint("ViT-mu", "mine", "0123456789abcdef")


def made(folder, points=POINTS):
    """Returns the folder of the sweep `smoke` with records that nobody trained for."""
    workdir = Workdir(folder)
    workdir.claim("smoke")
    for config in points:
        accept(workdir, config)
    return workdir


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    return made(tmp_path_factory.mktemp("workdir"))


@pytest.fixture(scope="module")
def packed(workdir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("packed")
    archive.pack(workdir.path, folder)
    return folder


@pytest.fixture
def kept(packed, tmp_path):
    """Returns a copy that a test may damage."""
    for path in packed.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def lines(folder):
    return [json.loads(line) for line in gzip.decompress((folder / archive.FILE).read_bytes()).splitlines()]


def rewrite(folder, values):
    text = "\n".join(map(json.dumps, values))
    (folder / archive.FILE).write_bytes(gzip.compress(text.encode()))


def test_what_is_read_is_what_was_packed(workdir, packed):
    found = archive.read(packed)
    assert found == archive.of_workdir(workdir)
    assert (found.sweep, list(found.records)) == ("smoke", list(workdir.records()))
    assert len(found.records) == 12
    assert sorted(path.name for path in packed.iterdir()) == sorted([archive.FILE, *DRAWN])


def test_the_files_are_those_that_the_sweep_leaves(workdir, packed):
    results.write_results(find("smoke"), workdir, {})
    for name in DRAWN:
        assert (packed / name).read_bytes() == (workdir.path / name).read_bytes(), name


def test_equal_records_are_equal_bytes_in_whatever_order_they_came(packed, tmp_path):
    other = made(tmp_path, reversed(POINTS))
    assert archive.of_workdir(other).to_bytes() == (packed / archive.FILE).read_bytes()
    # Bytes 4 to 7 of gzip are the time (RFC 1952, section 2.3), and flag 8 says that a file's name follows.
    head = (packed / archive.FILE).read_bytes()[:8]
    assert (head[3] & 8, head[4:8]) == (0, b"\0\0\0\0")


def test_a_folder_may_be_its_own_archive(tmp_path):
    workdir = made(tmp_path)
    archive.pack(workdir.path, tmp_path)
    assert archive.differences(tmp_path) == []
    (tmp_path / "report.html").write_text("of no interest")
    assert archive.differences(tmp_path) == []


def test_an_archive_is_drawn_anew_where_no_folder_of_a_sweep_is_left(kept):
    before = (kept / archive.FILE).read_bytes()
    (kept / "table.csv").write_text("of an older code\n")
    (kept / "heatmap.png").unlink()
    archive.pack(kept, kept)
    assert archive.differences(kept) == []
    assert (kept / archive.FILE).read_bytes() == before


def test_what_is_known_of_given_checkpoints_is_kept_and_where_they_lay_is_not(tmp_path):
    workdir = made(tmp_path)
    upstream_scores.note(workdir, [Given(GIVEN, "/home/somebody/a.npz")], {GIVEN.name: 0.75})
    archive.pack(workdir.path, tmp_path / "packed")
    assert archive.read(tmp_path / "packed").accuracies == {GIVEN.name: 0.75}
    assert b"somebody" not in gzip.decompress((tmp_path / "packed" / archive.FILE).read_bytes())


def test_nothing_differs_where_nothing_was_changed(packed):
    assert archive.differences(packed) == []


def test_a_changed_number_is_found(kept):
    text = (kept / "table.csv").read_text().splitlines(keepends=True)
    (kept / "table.csv").write_text("".join([*text[:3], text[3].replace("1234.0", "1235.0"), *text[4:]]))
    assert archive.differences(kept) == [f"{kept / 'table.csv'}: differs from line 4 on; 9 lines, drawn again 9"]


def test_a_missing_end_is_found(kept):
    text = (kept / "cells.csv").read_text().splitlines(keepends=True)
    (kept / "cells.csv").write_text("".join(text[:-1]))
    [found] = archive.differences(kept)
    assert f"from line {len(text)} on; {len(text) - 1} lines, drawn again {len(text)}" in found


def test_a_picture_is_judged_by_its_pixels(kept):
    image = Image.open(kept / "heatmap.png")
    image.save(kept / "heatmap.png", compress_level=1)
    assert archive.differences(kept) == []
    pixels = np.array(image.convert("RGBA"))
    pixels[5, 7, 0] ^= 1
    Image.fromarray(pixels).save(kept / "heatmap.png")
    [found] = archive.differences(kept)
    assert found == f"{kept / 'heatmap.png'}: 1 of {pixels.shape[0] * pixels.shape[1]} pixels differ"
    Image.fromarray(pixels[:-1]).save(kept / "heatmap.png")
    assert f"is {pixels.shape[1]} x {pixels.shape[0] - 1} pixels" in archive.differences(kept)[0]
    (kept / "heatmap.png").write_bytes(b"\x89PNG\r\n\x1a\nnonsense")
    assert "no picture" in archive.differences(kept)[0]


def test_files_too_few_and_too_many_are_found(kept):
    (kept / "selection.png").unlink()
    (kept / "scores.csv").write_text("filename\n")
    scores, selection = archive.differences(kept)
    assert scores.startswith(f"{kept / 'scores.csv'}: not drawn from records.jsonl.gz")
    assert selection == f"{kept / 'selection.png'}: missing; records.jsonl.gz gives it"


def test_other_records_give_other_files(kept):
    head, *records = lines(kept)
    upstream = next(record for record in records if record["kind"] == "upstream")
    upstream["measurements"][0]["value"] = 0.125
    rewrite(kept, [head, *records])
    assert {line.split(":")[0].rpartition("/")[2] for line in archive.differences(kept)} >= {"table.csv", "cells.csv"}


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda _: [], "line 1: not readable as JSON"),
        (lambda v: [[1], *v[1:]], "line 1: holds list"),
        (lambda v: [{**v[0], "version": 2}, *v[1:]], "no archive of version 1"),
        (lambda v: v[:1], "holds no record"),
        (lambda v: [{**v[0], "sweep": 7}, *v[1:]], "'sweep'"),
        (lambda v: [{**v[0], "sweep": "smok"}, *v[1:]], "no sweep 'smok'; .*smoke"),
        (lambda v: [{**v[0], "accuracies": {"a": "b"}}, *v[1:]], "accuracies.a"),
        (lambda v: [*v[:2], {**v[2], "digest": "0" * 16}], "line 3: .* results of two codes"),
        (lambda v: [*v[:2], {"version": 1}], "line 3: not a valid record"),
        (lambda v: [*v, v[-1]], "two records of"),
    ],
)
def test_an_altered_archive_is_refused(kept, change, match):
    rewrite(kept, change(lines(kept)))
    with pytest.raises(UserError, match=match):
        archive.differences(kept)


@pytest.mark.parametrize("damage", [lambda b: b[:-20], lambda b: b"x" + b, lambda b: b[:40] + bytes(8) + b[48:]])
def test_a_damaged_archive_is_refused(kept, damage):
    path = kept / archive.FILE
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match="damaged"):
        archive.read(kept)


def test_folders_without_anything(tmp_path):
    with pytest.raises(UserError, match="no such file; `augreg archive WORKDIR -o"):
        archive.read(tmp_path)
    with pytest.raises(UserError, match="holds no sweep"):
        archive.of_workdir(Workdir(tmp_path))
    Workdir(tmp_path).claim("smoke")
    with pytest.raises(UserError, match="no run of smoke is finished"):
        archive.of_workdir(Workdir(tmp_path))
    (tmp_path / "sweep.json").write_text('{"sweep": "made-up"}')
    with pytest.raises(UserError, match="no sweep 'made-up'"):
        archive.of_workdir(Workdir(tmp_path))


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        cli.main(["archive", *map(str, arguments)])
    return ended.value.code, *capsys.readouterr()


def test_the_command(workdir, tmp_path, capsys):
    code, out, err = run(capsys, workdir.path, "-o", tmp_path / "a")
    assert (code, out, err) == (0, "", f"{tmp_path / 'a' / archive.FILE}: 12 records of smoke\n")
    assert run(capsys, "--check", tmp_path / "a") == (0, "", f"{tmp_path / 'a'}: as its records say\n")
    (tmp_path / "a" / "recommended.md").write_text("none\n")
    code, out, err = run(capsys, "--check", tmp_path / "a")
    assert (code, out.count("\n"), "recommended.md: differs from line 1 on" in out) == (2, 1, True)
    assert err == f"augreg: {tmp_path / 'a'}: 1 of its files is not what the records give\n"


@pytest.mark.parametrize("options", [[], ["--check", "-o", "a"]])
def test_the_command_needs_one_of_its_options(workdir, options, capsys):
    code, _, err = run(capsys, workdir.path, *options)
    assert (code, "give either -o FOLDER" in err) == (2, True)
