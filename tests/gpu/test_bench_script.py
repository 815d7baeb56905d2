"""The scripts for a machine with a GPU, tried on one without: what they print, and what they say of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ceilings import Ceilings, floors_ms
from tables import rest_ms, times_floor

from bgcamd.frame import InputSpec, Size

HERE = Path(__file__).resolve().parent


def started(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *map(str, words)]
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "BGCAMD_TEST_GPU")}
    kept["BGCAMD_GPU_WHEELS"] = os.devnull  # whatever was packed here stays out of it
    return subprocess.run(command, env=kept | environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict]:
    """What the measurement prints, and its JSON, of three tiny frames on a GPU that is none."""
    folder = tmp_path_factory.mktemp("bench")
    options = ["--size", "32x24", "--frames", 3, "--model", "selfie", "--cpu-at", "32x24", "--seconds", 0.3]
    done = started(HERE / "run", "--fake", "bench", *options, "--json", folder / "b.json", TMPDIR=str(folder))
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads((folder / "b.json").read_text())


def test_the_table_names_every_stage_and_the_whole(bench: tuple[str, dict]) -> None:
    rows = [line[:28].strip() for line in bench[0].splitlines()]
    stages = ["upload", "take", "shrink", "infer (a stand-in)", "refine", "compose", "download", "all but the network"]
    start = rows.index("upload")
    assert rows[start : start + 8] == stages
    assert [row for row in rows if row in ("replayed", "plain", "the graph, replayed")] == [
        "the graph, replayed",
        "replayed",
        "plain",
    ]


def test_what_ran_on_no_gpu_and_without_tensorrt_says_so(bench: tuple[str, dict]) -> None:
    text, figures = bench
    assert text.startswith("A GPU that is none: these times mean nothing.\n")
    assert "No TensorRT runs here (a fake GPU has none). These are parts; no figure is one of the whole." in text
    assert "bytes to bytes" not in text
    assert (figures["fake"], figures["sizes"][0]["no_tensorrt"]) == (True, "a fake GPU has none")


def test_the_json_holds_every_figure(bench: tuple[str, dict]) -> None:
    figures = bench[1]
    assert figures["ceilings_gb_s"].keys() == {"device", "upload", "download"}
    (size,) = figures["sizes"]
    assert (size["size"], size["input"], size["half"]) == ("32x24", "256x256", True)
    assert size["backgrounds"].keys() == {"picture", "colour", "blur"}
    for scene in size["backgrounds"].values():
        stages = {"upload", "take", "shrink", "infer", "refine", "compose", "download"}
        assert scene["plain"]["gpu_ms"].keys() == stages
        assert scene["replayed"]["gpu_ms"].keys() == {"upload", "take", "infer", "download"}
        assert scene["floors_ms"].keys() == stages - {"infer"}
        assert all(scene[way]["wall_ms"]["p99"] >= scene[way]["wall_ms"]["p50"] > 0 for way in ("plain", "replayed"))
    assert figures["cpu"]["seconds"] == 0.3
    assert figures["cpu"]["percent_of_a_core"] > 0


def test_the_floor_of_a_stage_is_its_bytes_at_the_ceilings_rate() -> None:
    spec, ceilings = InputSpec(Size(256, 256), half=True), Ceilings(device=1000, upload=10, download=20)
    floors = floors_ms(Size(1000, 1000), spec, "picture", ceilings)
    assert floors["upload"] == pytest.approx(0.2)  # 2 MB at 10 GB/s
    assert floors["download"] == pytest.approx(0.075)  # 1.5 MB at 20 GB/s
    assert floors["take"] == pytest.approx(0.0035)  # 3.5 MB at 1 TB/s
    assert floors["compose"] == pytest.approx(0.0055)


def test_what_is_not_inference_is_all_but_inference() -> None:
    ms = {"upload": 1, "take": 2, "shrink": 3, "infer": 100, "refine": 4, "compose": 5, "download": 6}
    scene = {
        "plain": {"gpu_ms": {stage: {"p50": value} for stage, value in ms.items()}},
        "floors_ms": dict.fromkeys(ms, 2),
    }
    assert (rest_ms(scene), times_floor(scene)) == (21, 14 / 8)


class TestWithoutAGpu:
    @pytest.mark.parametrize("word", ["probe", "test", "bench"])
    def test_a_step_says_so_in_one_line_and_fails(self, tmp_path: Path, word: str) -> None:
        done = started(HERE / "run", word, TMPDIR=str(tmp_path), LD_LIBRARY_PATH=str(tmp_path))
        if done.returncode == 0:
            pytest.skip("there is a GPU")
        assert (done.returncode, done.stdout) == (69, "")
        assert done.stderr in (
            "there is no NVIDIA GPU, or no driver for it\n",
            "cuda-python is not installed\n",
        )

    def test_the_measurement_by_itself_does_too(self, tmp_path: Path) -> None:
        done = started(HERE / "bench.py", PYTHONPATH=str(HERE.parents[1]))
        if done.returncode == 0:
            pytest.skip("there is a GPU")
        assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)


def test_an_unknown_step_is_refused() -> None:
    done = started(HERE / "run", "tset")
    assert (done.returncode, done.stdout) == (64, "tset is none of probe, test, bench and keep\n")
