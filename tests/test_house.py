"""The rules of the house, as tests: who may import whom, how long things are, what is documented, what is not named."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

import bgcamd
from bgcamd.cli import COMMANDS, main

CHECKOUT = Path(bgcamd.__file__).resolve().parent.parent
MODULES = {
    ".".join(path.relative_to(CHECKOUT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((CHECKOUT / "bgcamd").rglob("*.py"))
    if "_data" not in path.parts
}

FLOORS = [
    {"bgcamd", "atomic", "errors", "frame", "protocols", "paths", "tables", "wheels"},
    {"scene", "values", "toml_file", "settings", "assets", "cuda", "web"},
    {"video", "matting", "canvas"},
    {"decoding", "prepare", "pipeline", "effort", "gaze", "graphs", "stats", "quality"},
    {"live"},
    {"service"},
    {"wiring", "networks", "streams", "preview", "process", "doctor"},
    {"cli", "__main__", "start"},
]
"""From the ground up. A room imports from its own floor and those below."""
STRANGERS = {"video", "matting", "canvas"}
"""They never import each other."""
ALWAYS_LIGHT = ["completion", "edge", "live", "options", "page"]
"""The modules of cli/ that the live commands load."""
LIGHT = FLOORS[0] | FLOORS[1] - {"assets"} | {"stats", "cli", "service.client", "service.varlink"}
"""What those may import when they are loaded."""

MODULE_LINES = 300
FUNCTION_LINES = 50


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else "bgcamd"


def floor(module: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS) if room(module) in rooms)


def statements(body: list[ast.stmt], *, deep: bool) -> Iterator[ast.stmt]:
    """Every statement that runs: not what is there for the type checker; within functions only if ``deep``."""
    for statement in body:
        if isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.unparse(statement.test):
            continue
        yield statement
        if deep or not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            children = [child for child in ast.walk(statement) if child is not statement]
            yield from (child for child in children if isinstance(child, ast.Import | ast.ImportFrom))


def imports(module: str, *, deep: bool = True) -> set[str]:
    """The modules of ours that ``module`` imports."""
    found = set()
    for statement in statements(ast.parse(MODULES[module].read_text()).body, deep=deep):
        if isinstance(statement, ast.Import):
            found |= {alias.name for alias in statement.names}
        elif isinstance(statement, ast.ImportFrom) and statement.module:
            name = statement.module
            found |= {f"{name}.{a.name}" if f"{name}.{a.name}" in MODULES else name for a in statement.names}
    return {name for name in found if name.split(".")[0] == "bgcamd"}


def definitions(module: str) -> Iterator[tuple[str, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Every class, function and method with its dotted name."""

    def within(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.ClassDef | ast.FunctionDef]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                yield prefix + child.name, child  # type: ignore[misc]
                yield from within(child, f"{prefix}{child.name}.")

    return within(ast.parse(MODULES[module].read_text()), "")


def documented_elsewhere(owner: ast.AST | None) -> bool:
    """What is inside a function is its own affair; the methods of a class with a base, that base's."""
    return isinstance(owner, ast.FunctionDef) or (isinstance(owner, ast.ClassDef) and bool(owner.bases))


@pytest.mark.parametrize("module", MODULES)
class TestModule:
    def test_has_its_place_in_the_house(self, module: str) -> None:
        assert room(module) in set().union(*FLOORS), "write it into FLOORS and docs/architecture.md"

    def test_imports_only_downward(self, module: str) -> None:
        assert [name for name in imports(module) if floor(name) > floor(module)] == []

    def test_of_video_matting_and_canvas_does_not_import_the_others(self, module: str) -> None:
        others = STRANGERS - {room(module)} if room(module) in STRANGERS else set()
        assert [name for name in imports(module) if room(name) in others] == []

    def test_is_no_longer_than_it_may_be(self, module: str) -> None:
        assert len(MODULES[module].read_text().splitlines()) <= MODULE_LINES

    def test_has_no_long_function(self, module: str) -> None:
        lengths = {
            name: (node.end_lineno or 0) - node.lineno + 1
            for name, node in definitions(module)
            if not isinstance(node, ast.ClassDef)
        }
        assert {name: lines for name, lines in lengths.items() if lines > FUNCTION_LINES} == {}

    def test_documents_its_public_names(self, module: str) -> None:
        tree = ast.parse(MODULES[module].read_text())
        known = dict(definitions(module))
        bare = [
            name
            for name, node in known.items()
            if not any(part.startswith("_") for part in name.split("."))
            and not documented_elsewhere(known.get(name.rpartition(".")[0]))
            and ast.get_docstring(node) is None
        ]
        assert (ast.get_docstring(tree) is None, bare) == (False, [])


@pytest.mark.parametrize("module", ["bgcamd.cli", *(f"bgcamd.cli.{name}" for name in ALWAYS_LIGHT)])
def test_the_live_commands_load_only_what_is_light(module: str) -> None:
    loaded = {name.removeprefix("bgcamd.") for name in imports(module, deep=False)}
    assert [name for name in loaded if name not in LIGHT and name.split(".")[0] not in LIGHT] == []


@pytest.mark.parametrize("command", ["set", "status", "watch", "pause", "resume", "snapshot", "stop"])
def test_live_commands_import_neither_numpy_nor_cv2(command: str) -> None:
    code = (
        f"import sys, atexit; sys.argv = ['bgcam', '{command}', '--help']\n"
        "atexit.register(lambda: print({'numpy', 'cv2'} & set(sys.modules) or 'light'))\n"
        "from bgcamd.cli import main; main(prog_name='bgcam')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert f"Usage: bgcam {command} " in done.stdout
    assert done.stdout.endswith("\nlight\n")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_where_the_table_says(command: str) -> None:
    shown = CliRunner().invoke(main, [command, "--help"])
    assert shown.exit_code == 0
    assert shown.output.startswith(f"Usage: bgcam {command} ")


def test_versions_agree() -> None:
    changes = (CHECKOUT / "CHANGELOG.md").read_text()
    newest = re.search(r"^## \[([^]]+)\]", changes, re.MULTILINE)
    assert newest is not None
    assert newest[1] == bgcamd.__version__


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    return [path for name in listed.stdout.split("\0") if name and (path := CHECKOUT / name).is_file()]


@pytest.mark.parametrize(
    "unwanted",
    [
        "pypi." + "org",
        "python" + "hosted.org",
        "conda." + "anaconda.org",
        "npm" + "js.",
        "/" + "work/",
        "/" + "tmp/w/",
        "/" + "root/",
    ],
)
def test_no_file_names_a_registrys_host_or_a_path_of_one_machine(unwanted: str) -> None:
    assert [path.name for path in tracked() if unwanted.encode() in path.read_bytes()] == []
