"""The figures of bench.py, to be read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

KERNELS = ("take", "shrink", "refine", "compose")
TRANSFERS = ("upload", "download")
ORDER = ("upload", "take", "shrink", "infer", "refine", "compose", "download")
GOAL_WHOLE_MS = {"1920x1080": 2.5, "3840x2160": 6.0}  # from bytes to bytes, with rvm
GOAL_REST_MS, GOAL_FLOORS, GOAL_CPU = 0.25, 1.5, 10.0

Figures = dict[str, Any]


def page(result: Figures) -> str:
    """All of it."""
    ceilings, cpu, driver = result["ceilings_gb_s"], result["cpu"], result["driver"]
    card = f"{result['card']}, compute capability {result['capability']}, CUDA {driver // 1000}.{driver % 1000 // 10}"
    ways = f"{ceilings['device']:.0f} within the device, {ceilings['upload']:.1f} up, {ceilings['download']:.1f} down"
    busy = f"{cpu['percent_of_a_core']:.1f} % of one core"
    lines = ["A GPU that is none: these times mean nothing."] if result["fake"] else []
    lines += [f"{card}; {result['date']}; frames of {result['frames_of']}", f"ceilings, GB/s: {ways}"]
    for each in result["sizes"]:
        lines += ["", *_of_size(each)]
    lines += ["", f"the daemon's loop at {cpu['size']}, {cpu['fps']:.1f} frames per second: {busy}"]
    return "\n".join([*lines, _goal("the CPU", cpu["percent_of_a_core"], GOAL_CPU, "%")])


def _of_size(each: Figures) -> list[str]:
    kinds, without = each["backgrounds"], each["no_tensorrt"]
    scenes = list(kinds.values())
    lines = [f"{each['size']}: {each['network']}, {each['input']} {'FP16' if each['half'] else 'FP32'}"]
    if without:
        lines.append(f"No TensorRT runs here ({without}). These are parts; no figure is one of the whole.")
    lines.append(_row("ms on the GPU, p50 (floor)", kinds))
    lines += [_row(_called(stage, without), (_stage(scene, stage) for scene in scenes)) for stage in ORDER]
    lines.append(_row("all but the network", (_sum(scene, KERNELS + TRANSFERS) for scene in scenes)))
    lines.append(_row("  its kernels alone", (_sum(scene, KERNELS) for scene in scenes)))
    lines.append(_row("  times their floor", (f"{times_floor(scene):.2f}" for scene in scenes)))
    lines.append(_row("the graph, replayed", (f"{_ms(scene, 'infer', 'replayed'):.3f}" for scene in scenes)))
    lines.append(_row("ms wall clock, p50 / p99", ["without a network" if without else "bytes to bytes"] * len(kinds)))
    for way in ("replayed", "plain"):
        lines.append(_row(way, (_wall(scene[way]["wall_ms"]) for scene in scenes)))
        lines.append(_row("  frames per second", (f"{scene[way]['fps']:.0f}" for scene in scenes)))
    return [*lines, *_goals(each)]


def rest_ms(scene: Figures) -> float:
    """What is not inference, transfers included, ms."""
    return sum(_ms(scene, stage) for stage in KERNELS + TRANSFERS)


def times_floor(scene: Figures) -> float:
    """How many times their floor the kernels take."""
    return sum(_ms(scene, stage) for stage in KERNELS) / sum(scene["floors_ms"][stage] for stage in KERNELS)


def _goals(each: Figures) -> list[str]:
    """What was to be reached with a picture behind, and whether it was."""
    scene, size, goals = each["backgrounds"]["picture"], each["size"], []
    if size == "1920x1080":
        goals.append(_goal("all but the network", rest_ms(scene), GOAL_REST_MS, "ms"))
        goals.append(_goal("its kernels", times_floor(scene), GOAL_FLOORS, "times their floor"))
    if size in GOAL_WHOLE_MS and not each["no_tensorrt"]:
        goals.append(_goal("bytes to bytes", scene["replayed"]["wall_ms"]["p50"], GOAL_WHOLE_MS[size], "ms"))
    return goals


def _goal(name: str, value: float, goal: float, unit: str) -> str:
    return f"goal: {name} under {goal:g} {unit}: {'reached' if value < goal else 'missed'}, {value:.3g}"


def _ms(scene: Figures, stage: str, way: str = "plain") -> float:
    """A stage's median; 0 where there is none, as of transfers where the GPU shares the host's memory."""
    return float(scene[way]["gpu_ms"].get(stage, {"p50": 0.0})["p50"])


def _called(stage: str, without: str) -> str:
    return "infer (a stand-in)" if stage == "infer" and without else stage


def _stage(scene: Figures, stage: str) -> str:
    floor = scene["floors_ms"].get(stage)
    return f"{_ms(scene, stage):.3f}" + (f" ({floor:.3f})" if floor is not None else "")


def _sum(scene: Figures, stages: tuple[str, ...]) -> str:
    took, floor = (sum(each) for each in zip(*((_ms(scene, s), scene["floors_ms"][s]) for s in stages), strict=True))
    return f"{took:.3f} ({floor:.3f})"


def _wall(wall: dict[str, float]) -> str:
    return f"{wall['p50']:.3f} / {wall['p99']:.3f}"


def _row(name: str, values: Iterable[str]) -> str:
    return f"{name:<28}" + "".join(f"{value:>20}" for value in values)
