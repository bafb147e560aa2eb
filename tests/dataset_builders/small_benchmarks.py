"""Writes each benchmark's annotation files in its official layout, with a handful of videos."""

import csv
import json
import pickle
from pathlib import Path


def touch_videos(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"")


def write_csv(file: Path, header: list[str], *rows: list[str]) -> None:
    with file.open("w", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])


def write_msrvtt(root: Path) -> None:
    splits = {"train": [0, 1, 2], "validate": [3], "test": [4, 5]}
    videos = [{"video_id": f"video{i}", "split": split} for split, ids in splits.items() for i in ids]
    sentences = [{"caption": f"caption {n} of {i}", "video_id": f"video{i}"} for n in range(2) for i in range(6)]
    root.mkdir(parents=True, exist_ok=True)
    (root / "MSRVTT_data.json").write_text(json.dumps({"videos": videos, "sentences": sentences}))
    write_csv(root / "MSRVTT_train.9k.csv", ["video_id"], *[[f"video{i}"] for i in (0, 1, 2, 3)])
    write_csv(root / "MSRVTT_train.7k.csv", ["video_id"], *[[f"video{i}"] for i in (0, 2)])
    header = ["key", "vid_key", "video_id", "sentence"]
    rows = [["ret0", "msr4", "video4", "a test, with comma"], ["ret1", "msr5", "video5", "another"]]
    write_csv(root / "MSRVTT_JSFUSION_test.csv", header, *rows)
    touch_videos(root / "videos", *[f"video{i}.mp4" for i in range(6)])


def write_msvd(root: Path, captions: str = "json") -> None:
    splits = {"train": ["a_1_2", "b_3_4"], "val": ["c_5_6"], "test": ["d_7_8", "e_9_10"]}
    texts = {name: [f"a {name[0]} runs", f"{name[0]} walks"] for names in splits.values() for name in names}
    root.mkdir(parents=True, exist_ok=True)
    for split, names in splits.items():
        (root / f"{split}_list.txt").write_text("".join(f"{name}\n" for name in names))
    if captions == "json":
        (root / "captions_msvd.json").write_text(json.dumps(texts))
    else:
        tokens = {name: [text.split() for text in values] for name, values in texts.items()}
        (root / "raw-captions.pkl").write_bytes(pickle.dumps(tokens, protocol=2))
    touch_videos(root / "YouTubeClips", *[f"{name}.avi" for name in texts])


def write_vatex(root: Path, captions: str = "vatex_data.json", folder: str = "vatex_data") -> None:
    splits = {"train": ["a_0_10", "b_0_10"], "val": ["c_0_10"], "test": ["d_0_10"]}
    texts = {name: [f"{name} {n}" for n in range(10)] for names in splits.values() for name in names}
    target = root / folder
    target.mkdir(parents=True, exist_ok=True)
    for split, names in splits.items():
        (target / f"{split}_list.txt").write_text("".join(f"{name}\n" for name in names))
    data = {name: {"enCap": values, "chCap": []} for name, values in texts.items()}
    (target / captions).write_text(json.dumps(data if captions == "vatex_data.json" else texts))
    touch_videos(root / "videos", *[f"{name}.mp4" for name in texts])


def write_didemo(root: Path, *, lists: bool = True) -> None:
    root.mkdir(parents=True, exist_ok=True)
    for split in ("train", "val", "test"):
        moments = [
            {"video": f"{split}@N1.mov", "description": "first it runs", "times": [[0, 0], [1, 1], [1, 1], [0, 1]]},
            {"video": f"{split}@N2.avi", "description": "a dog", "times": [[5, 5], [5, 5], [4, 5], [4, 5]]},
            {"video": f"{split}@N1.", "description": " then it stops. ", "times": [[2, 3], [2, 3], [2, 3], [2, 2]]},
            {"video": f"{split}@N1.mov", "description": "it runs", "times": [[1, 1]]},
            {"video": f"{split}@N3.mp4", "description": "not listed", "times": [[0, 0]]},
        ]
        (root / f"{split}_data.json").write_text(json.dumps(moments))
        if lists:
            (root / f"{split}_list.txt").write_text(f"{split}@N2.avi\n{split}@N1.mov\n")
        touch_videos(root / "videos", *[f"{split}@N{i}.mp4" for i in (1, 2, 3)])


def write_activitynet(root: Path, *, lists: bool = True) -> None:
    root.mkdir(parents=True, exist_ok=True)
    for name, ids_name, prefix in (("train", "train_ids", "t"), ("val_1", "val_ids", "v")):
        data = {
            f"v_{prefix}1": {
                "duration": 9.5,
                "timestamps": [[0.5, 3], [3, 9.5], [0.5, 3]],
                "sentences": ["A man sits.", " He gets up.", "Someone sits."],
            },
            f"v_{prefix}2": {"duration": 4, "timestamps": [[4, 1]], "sentences": ["It rains."]},
            f"v_{prefix}3": {"duration": 4, "timestamps": [[0, 1]], "sentences": ["Not listed."]},
        }
        (root / f"{name}.json").write_text(json.dumps(data))
        if lists:
            (root / f"{ids_name}.json").write_text(json.dumps([f"v_{prefix}2", f"v_{prefix}1"]))
        touch_videos(root / "videos", f"{prefix}1.mp4", f"v_{prefix}2.mkv", f"{prefix}3.mp4")


def write_multivent2(root: Path, judgements: str = "judgments.jsonl") -> None:
    root.mkdir(parents=True, exist_ok=True)
    for split in ("train", "test"):
        queries = [[f"{split}_q1", "a flood in the north", "base"], [f"{split}_q2", "Wahlen, erster Tag", "base"]]
        write_csv(root / f"multivent_2_{split}_queries.csv", ["Query_id", "query", "query_type"], *queries)
        judged = [(1, "x", 2), (1, "y", 0), (2, "x", 1), (2, "z", 3)]
        lines = [(f"{split}_q{query}", f"{split}{name}", grade) for query, name, grade in judged]
        as_json = [
            json.dumps({"query_id": query, "doc_id": name, "relevance": grade}) + "\n" for query, name, grade in lines
        ]
        as_words = [f"{query} 0 {name} {grade}\n" for query, name, grade in lines]
        text = "".join(as_json if judgements.endswith("jsonl") else as_words)
        (root / f"multivent_2_{split}_{judgements}").write_text(text)
        touch_videos(root / split / "000", *[f"{split}{name}.mp4" for name in ("w", "x", "y", "z")])


def write_spoken_shapes_records(root: Path) -> None:
    root.mkdir(parents=True, exist_ok=True)
    for split in ("train", "validation", "test"):
        contents = {content: f"{content} {split}" for content in ("spoken", "written", "told", "visible")}
        names = [f"{split}_{letter}.mp4" for letter in "ab"]
        lines = [
            {"video": name, "query": f"who {name}", "source": "speech", "partner": other, **contents}
            for name, other in zip(names, names[::-1], strict=True)
        ]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (root / f"spoken_shapes_{split}.jsonl").write_text(text)
        touch_videos(root / split, *names)


WRITERS = {
    "msrvtt": write_msrvtt,
    "msvd": write_msvd,
    "vatex": write_vatex,
    "didemo": write_didemo,
    "activitynet": write_activitynet,
    "multivent2": write_multivent2,
    "spoken_shapes": write_spoken_shapes_records,
}
