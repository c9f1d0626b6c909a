"""The shape of the code: imports go only downwards, and nothing that runs foreign code is used."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "paddle_gan"

# Lowest first; a module may import those of lower layers and, within a package, its neighbours.
LAYERS = [
    {"errors"},
    {"runtime", "files", "config", "records"},
    {"blocks", "optimizers", "datasets", "images", "cli", "metrics", "mixtures"},
    {"objectives", "networks", "classifier", "inception"},
    {"training", "resolve", "sampling", "extractors"},
    {"checkpoint", "callbacks", "signals", "evaluation", "theory"},
    {"diagnosis", "theory_figure"},
    {"experiment"},
    {"scoring", "modes"},
    {"comparison"},
    {"report"},
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}


def modules():
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if name != "__init__":
            yield name, path, ast.parse(path.read_text(encoding="utf-8"))


def imported(tree: ast.Module) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("paddle_gan"):
            parts = node.module.split(".")
            names |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
    return names


def test_imports_go_only_downwards():
    seen = set()
    for name, path, tree in modules():
        seen.add(name)
        for other in imported(tree) - {name}:
            assert RANK[other] < RANK[name], f"{path.name} imports {other}"
    assert seen == set(RANK)


def test_nothing_unsafe_is_called():
    """No pickles, no evaluation, no shell: files from strangers execute nothing."""
    forbidden = {
        "eval",
        "exec",
        "paddle.load",
        "pickle",
        "yaml.load",
        "np.load",
        "numpy.load",
        "extractall",
        "os.system",
    }
    root = PACKAGE.parent
    for path in [*PACKAGE.rglob("*.py"), *(root / "tools").glob("*.py"), *(root / "work").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                assert name not in forbidden and not name.endswith(".extractall"), f"{path}:{node.lineno} calls {name}"
                assert not any(keyword.arg == "shell" for keyword in node.keywords), f"{path}:{node.lineno}"
            if isinstance(node, ast.Import):
                assert not {alias.name for alias in node.names} & {"pickle", "marshal", "shelve"}, path


def test_config_is_free_of_paddle():
    for name, path, tree in modules():
        if name in ("config", "cli", "errors"):
            top = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
            assert "paddle" not in ast.unparse(ast.Module(top, [])).replace("paddle_gan", ""), path
