"""The shape of the code: imports go only downwards, and nothing that runs foreign code is used."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "paddle_gan"

# The rooms of the house, lowest first, and the modules of each, lowest first. A module imports only from rooms below
# its own, and within its room only from modules before it.
ROOMS = {
    "errors": "",
    "system": "runtime installation memory device randomness files cache streams connections parallel signals web "
    "notebook",
    "config": "language names paths sizes options shared train translate results check studies bench selfcheck pack "
    "completion command_line",
    "datasets": "unreadable deep_pixels decode depth fitting found zipped survey duplicates store labels report "
    "image_set resize idx download batches feed folder check grey_sets mixtures pictures pairs bicubic derived "
    "pair_feed holes",
    "metrics": "arrays classes frechet kernel neighbours sliced pairs significance",
    "backend": "values layout dnnl primitive pointwise onednn norm borders winograd "
    "computation activation contraction differentiable kernels adam compiled precision environment",
    "networks": "sizes activations norms layers spectral freezing packing blocks generators mixture style "
    "discriminators residual filling translation restoration",
    "features": "classifier maps inception outlines extractors clusters",
    "objectives": "losses optimizers penalties path_length objective reconstruction contrastive",
    "inference": "images animations contact_sheet sampling npz_files translation truncation steering walks "
    "latents projection folding programs export onnx_graph onnx_operations onnx_file any_size "
    "translator_export web_runtime web_page",
    "training": "pickle_operations pdparams weights transfer task update batch_parts state loop "
    "log callbacks mirror visualdl tensorboard wandb_offline "
    "further_logs progress checkpoint diagnosis augmentation noise_to_image schedule "
    "adversary paired unpaired contrast",
    "evaluation": "real_images records score monitoring translations",
    "runs": "augmentation recipes presets refusals resolve building folder generators card shipping clusters branch "
    "starting session data length execution experiment scoring translation_options translation_data "
    "translation_building translation_measures translation translators translator_card translator_shipping "
    "translation_scoring nearest curves run demo overview board",
    "studies": "results points stacked modes comparison report labelled more_data_report more_data "
    "theory theory_figure",
    "bench": "machine rounds processes counting profiling memory descriptions cases profile_table tables workers",
    "selfcheck": "exactness keeping about checks page",
    "commands": "command outputs check_data train translate sample walk project evaluate export board demo runs "
    "compare modes augment bench selfcheck theory train_classifier pack_for_ai_studio completion",
    "__main__": "",
}
RANK = {
    name: rank
    for rank, name in enumerate(
        part for room, names in ROOMS.items() for part in [*(f"{room}.{name}" for name in names.split()), room]
    )
}


def modules() -> Iterator[tuple[str, Path, ast.Module]]:
    """Name (`room.module`, or `room` for its `__init__`), path and syntax tree of every module."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts[:2]
        name = ".".join(part for part in parts if part != "__init__")
        if name:
            yield name, path, ast.parse(path.read_text(encoding="utf-8"))


def imported(tree: ast.Module) -> set[str]:
    """The modules and rooms of this package that a module imports from, by the names in RANK."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "paddle_gan":
            inner = node.module.split(".")[1:3]
            for alias in node.names:
                longer = ".".join([*inner, alias.name])
                names.add(longer if longer in RANK else ".".join(inner))
    return names - {""}


def test_imports_go_only_downwards():
    seen = set()
    for name, path, tree in modules():
        seen.add(name)
        for other in imported(tree) - {name}:
            assert RANK[other] < RANK[name], f"{path.relative_to(PACKAGE)} imports {other}"
    assert seen - set(RANK) == set(), "a module that ROOMS does not know"
    assert set(RANK) - seen == set(), "a module that is not there"


# What runs, or may run, what a file or another program says. Foreign weights come in through `pdparams` alone,
# which reads a pickle's bytes without that module.
UNSAFE_CALLS = {
    *("eval", "exec", "compile", "__import__", "importlib.import_module"),
    *("paddle.load", "paddle.jit.load", "paddle.static.load", "numpy.load", "torch.load"),
    *("yaml.load", "yaml.load_all", "yaml.full_load", "yaml.unsafe_load"),
    *("os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput", "asyncio.create_subprocess_shell"),
    *("shutil.unpack_archive",),
}
UNSAFE_METHODS = {"extractall"}
UNSAFE_IMPORTS = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "jsonpickle"}


def unsafe(tree: ast.Module) -> list[str]:
    """What a module calls or imports of the above, by whatever name."""
    imports = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    meant, found = {}, []
    for node in imports:
        for alias in node.names:
            full = f"{node.module}.{alias.name}" if isinstance(node, ast.ImportFrom) else alias.name
            if alias.asname or isinstance(node, ast.ImportFrom):
                meant[alias.asname or alias.name] = full
            found += [full] if full.split(".")[0] in UNSAFE_IMPORTS else []
    for node in ast.walk(tree):
        if isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Load):
            first, *rest = ast.unparse(node).split(".")
            name = ".".join([meant.get(first, first), *rest]).removeprefix("builtins.")
            last = node.attr if isinstance(node, ast.Attribute) else ""
            found += [name] if name in UNSAFE_CALLS or last in UNSAFE_METHODS else []
        if isinstance(node, ast.Call):
            found += [keyword.arg for keyword in node.keywords if keyword.arg in ("shell", "allow_pickle")]
    return found


def test_nothing_unsafe_is_called():
    """No pickles, no evaluation, no shell: files from strangers execute nothing."""
    root = PACKAGE.parent
    for path in [*PACKAGE.rglob("*.py"), *(root / "tools").glob("*.py"), *(root / "work").glob("*.py")]:
        assert unsafe(ast.parse(path.read_text(encoding="utf-8"))) == [], path


@pytest.mark.parametrize(
    "code",
    [
        *("import pickle", "from pickle import loads", "import pickle as p", "from _pickle import Unpickler"),
        *("import marshal", "import shelve", "import cloudpickle.cloudpickle"),
        *("eval(x)", "import builtins as b; b.exec(x)", "run = eval", "compile(x, '', 'exec')", "__import__('os')"),
        *(
            "import paddle\npaddle.load(x)",
            "from paddle import load as read; read(x)",
            "import paddle as p; p.jit.load(x)",
        ),
        *(
            "import numpy as n; n.load(x)",
            "from numpy import load; load(x)",
            "import numpy as np; np.f(allow_pickle=1)",
        ),
        *("import yaml; yaml.load(x)", "from yaml import unsafe_load as f; f(x)"),
        *(
            "import os; os.system(x)",
            "from os import popen; popen(x)",
            "import subprocess; subprocess.run(x, shell=True)",
        ),
        *("import tarfile; tarfile.open(x).extractall()", "import shutil; shutil.unpack_archive(x)"),
    ],
)
def test_the_gate_sees_it_by_whatever_name(code):
    assert unsafe(ast.parse(code))


def test_the_gate_lets_by_what_only_looks_so():
    harmless = "import re, json, yaml, pickletools\nre.compile(x); json.load(f); yaml.safe_load(f)\n"
    assert unsafe(ast.parse(harmless + "class C:\n compile: bool = False")) == []


def test_what_help_needs_is_free_of_paddle_and_numpy():
    for name, path, tree in modules():
        if name.split(".")[0] in ("config", "commands", "errors") or name in ("system.runtime", "system.installation"):
            for node in tree.body:  # an import within a function runs later
                found = {alias.name for alias in node.names} if isinstance(node, ast.Import) else set()
                found |= {node.module} if isinstance(node, ast.ImportFrom) else set()
                assert not {one.split(".")[0] for one in found} & {"paddle", "numpy"}, path
