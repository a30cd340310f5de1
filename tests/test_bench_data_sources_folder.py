"""Images in folders: lists of VTAB-1k's kind and class folders, numbered ones among them."""

import string
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.data.sources.folder import class_folders, listed
from bench.data.sources.source import Part, fingerprint
from bench.errors import UserError


def write(root, contents):
    for path, content in contents.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)


def read(source):
    images, labels = source.read(np.arange(len(source)))
    return list(zip(images, labels.tolist(), strict=True))


def test_a_list_gives_its_images_in_its_order(tmp_path):
    write(tmp_path, {"images/train/000001.jpg": b"one", "images/train/000002.jpg": b"two", "images/test/a b  c.jpg": b"three"})
    (tmp_path / "train800.txt").write_text(
        "images/train/000002.jpg 7\n\nimages/train/000001.jpg 0\nimages/test/a b  c.jpg 12\n"
    )
    source = listed(tmp_path, tmp_path / "train800.txt")
    assert read(source) == [(b"two", 7), (b"one", 0), (b"three", 12)]
    assert source.read(np.array([2, 2, 0])).labels.tolist() == [12, 12, 7]
    assert source.where(1) == f"{tmp_path}/images/train/000001.jpg (line 3 of {tmp_path}/train800.txt)"
    source.check()


@pytest.mark.parametrize(
    "text", ["a.jpg 1\r\nb.jpg 2\r\n", "a.jpg\t1\nb.jpg\t2", "\ufeffa.jpg 1\n  b.jpg   2  \n", "./a.jpg 1\nb.jpg 02"]
)
def test_lists_as_other_systems_write_them(tmp_path, text):
    write(tmp_path, {"a.jpg": b"a", "b.jpg": b"b", "list.txt": text.encode()})
    assert read(listed(str(tmp_path), str(tmp_path / "list.txt"))) == [(b"a", 1), (b"b", 2)]


names = st.text(string.ascii_letters + string.digits + "._-é ", min_size=1, max_size=12)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(st.lists(st.tuples(names, st.integers(0, 999)), min_size=1, max_size=6))
def test_any_path_with_spaces_inside_comes_back(tmp_path_factory, items):
    root = tmp_path_factory.mktemp("lists")
    items = [(f"x{name.strip()}.jpg", label) for name, label in items]
    write(root, {name: name.encode() for name, _ in items})
    (root / "list").write_text("".join(f"{name} {label}\n" for name, label in items), encoding="utf-8")
    assert read(listed(root, root / "list")) == [(name.encode(), label) for name, label in items]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a.jpg 1\nb.jpg\n", "line 2: expected 'path label' with a class number from 0, not 'b.jpg'"),
        ("a.jpg 1\na.jpg x\n", "line 2: expected"),
        ("a.jpg -1\n", "line 1: expected"),
        ("a.jpg 1.0\n", "line 1: expected"),
        ("a.jpg \u0661\n", "line 1: expected"),
        ("1\n", "line 1: expected"),
        ("a.jpg 9999999999\n", "line 1: expected"),
        ("", ": the list names no image"),
        ("\n  \n", ": the list names no image"),
        (b"\xff\xfe\x00", ": the list cannot be read"),
    ],
)
def test_lines_that_are_none_of_a_list(tmp_path, text, said):
    write(tmp_path, {"a.jpg": b"a", "list.txt": text if isinstance(text, bytes) else text.encode()})
    with pytest.raises(UserError, match=said) as caught:
        listed(tmp_path, tmp_path / "list.txt")
    assert str(caught.value).startswith(str(tmp_path / "list.txt"))


def test_missing_lists_and_a_wrong_root_are_noticed_at_once(tmp_path):
    with pytest.raises(UserError, match=r"val200\.txt: the list cannot be read: No such file"):
        listed(tmp_path, tmp_path / "val200.txt")
    write(tmp_path / "right", {"a.jpg": b"a", "list.txt": b"a.jpg 1\n"})
    with pytest.raises(UserError, match=r"a\.jpg \(line 1 of .*list\.txt\): cannot be read: No such file"):
        listed(tmp_path / "wrong", tmp_path / "right" / "list.txt")


def test_a_missing_or_empty_file_is_named_with_its_line(tmp_path):
    write(tmp_path, {f"{i}.jpg": b"content" for i in range(9)})
    (tmp_path / "list").write_text("\n" + "".join(f"{i}.jpg {i}\n" for i in range(9)))
    source = listed(tmp_path, tmp_path / "list")
    (tmp_path / "6.jpg").unlink()
    assert source.read(np.array([5])).labels.tolist() == [5]
    missing = rf"^{tmp_path}/6\.jpg \(line 8 of {tmp_path}/list\): cannot be read: No such file or directory; restore"
    for asked in (lambda: source.read(np.array([5, 6])), source.check, Part(source, range(5, 8)).check):
        with pytest.raises(UserError, match=missing):
            asked()
    (tmp_path / "6.jpg").touch()
    for asked in (lambda: source.read(np.array([5, 6])), source.check):
        with pytest.raises(UserError, match=r"6\.jpg \(line 8 of .*\): the file is empty"):
            asked()
    (tmp_path / "6.jpg").write_bytes(b"back")
    source.check()


def test_numbered_folders_are_sorted_as_numbers_and_are_the_labels(tmp_path):
    """ImageNetV2's trap: sorted as words, class 2 of its 1,000 folders would get the label 112."""
    write(tmp_path, {f"{n}/{n}.jpeg": b"%d" % n for n in range(1000)})
    assert read(class_folders(tmp_path)) == [(b"%d" % n, n) for n in range(1000)]
    assert sorted(map(str, range(1000))).index("2") == 112


def test_numbers_with_gaps_and_zeros_in_front_stay_what_they_are(tmp_path):
    write(tmp_path, {"007/a.png": b"seven", "40/a.png": b"forty", "0/a.png": b"zero"})
    assert read(class_folders(tmp_path)) == [(b"zero", 0), (b"seven", 7), (b"forty", 40)]


def test_other_folders_are_numbered_in_alphabetical_order(tmp_path):
    write(tmp_path, {"n02/x.JPEG": b"b", "n01/y.jpg": b"a", "10/z.png": b"ten"})
    assert read(class_folders(tmp_path)) == [(b"ten", 0), (b"a", 1), (b"b", 2)]


def test_only_images_that_show_themselves_belong(tmp_path):
    write(
        tmp_path,
        {
            "cat/b.PNG": b"2",
            "cat/a.JpEg": b"1",
            "cat/sub/c.jpg": b"3",
            "cat/.hidden.jpg": b"",
            "cat/._a.jpg": b"",
            "cat/.cache/x.jpg": b"",
            "cat/Thumbs.db": b"",
            "cat/boxes.txt": b"",
            ".git/x.jpg": b"",
            "readme.jpg": b"",
        },
    )
    source = class_folders(tmp_path)
    assert read(source) == [(b"1", 0), (b"2", 0), (b"3", 0)]
    assert source.where(2) == f"{tmp_path}/cat/sub/c.jpg"


@pytest.mark.parametrize(
    ("contents", "said"),
    [
        ({}, ": no folders in it; one folder a class"),
        ({"a.jpg": b""}, ": no folders in it"),
        ({"cat/a.jpg": b"a", "dog/readme.txt": b""}, r"/dog: no images \(\.jpg, \.jpeg, \.png\) of this class"),
        ({"1/a.jpg": b"a", "01/a.jpg": b"a"}, ": the folders '01' and '1' have the same number"),
        ({"cat/a.jpg": b"a", "cat/b.WebP": b"b"}, r"/cat/b\.WebP: \.webp images are not read: convert"),
    ],
)
def test_folders_that_are_no_classes(tmp_path, contents, said):
    write(tmp_path, contents)
    with pytest.raises(UserError, match=f"^{tmp_path}{said}"):
        class_folders(tmp_path)


def test_a_missing_folder(tmp_path):
    with pytest.raises(UserError, match=r"nowhere: the folder cannot be read: No such file"):
        class_folders(tmp_path / "nowhere")


def test_threads_read_what_one_reads(tmp_path):
    write(tmp_path, {f"{n % 3}/{n:03}.jpg": b"%d" % n * n for n in range(1, 200)})
    source = class_folders(tmp_path)
    expected, start = read(source), threading.Barrier(8)

    def shuffled(seed):
        order = np.random.default_rng(seed).permutation(len(source))
        start.wait()
        images, labels = source.read(order)
        return [(images[i], int(labels[i])) for i in np.argsort(order)]

    with ThreadPoolExecutor(8) as pool:
        assert all(found == expected for found in pool.map(shuffled, range(8)))


def test_the_same_images_in_both_layouts_have_one_fingerprint(tmp_path):
    write(tmp_path, {f"{n % 3}/{n:03}.jpg": b"image %d" % n for n in range(20)})
    folders = class_folders(tmp_path)
    lines = [folders.where(i).removeprefix(f"{tmp_path}/") for i in range(20)]
    (tmp_path / "list").write_text("".join(f"{line} {line[0]}\n" for line in lines))
    assert fingerprint(listed(tmp_path, tmp_path / "list")) == fingerprint(folders)
