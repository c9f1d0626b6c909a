"""The result as one page of text, which can be sent to somebody."""

from typing import Any

_GIB = 2**30


def page(result: dict[str, Any]) -> list[str]:
    """The lines of the page.

    Args:
        result: "about" as `about.about` gives it, and "checks", a list as `checks.results` gives it.
    """
    checks = result["checks"]
    width = max(len(check["name"]) for check in checks)
    lines = [f"{'ok' if check['passed'] else 'FAILED':6}  {check['name']:{width}}  {check['said']}" for check in checks]
    return [*_head(result["about"]), "", *lines, "", verdict(checks)]


def verdict(checks: list[dict[str, Any]]) -> str:
    """One sentence: what failed, or that everything works."""
    failed = [check["name"] for check in checks if not check["passed"]]
    if failed:
        return f"{len(failed)} of {len(checks)} checks failed: {', '.join(failed)}"
    return f"all {len(checks)} checks passed"


def _head(about: dict[str, Any]) -> list[str]:
    versions, machine = about["versions"], about["machine"]
    names = ", ".join(f"{name} {version or '(not installed)'}" for name, version in versions.items())
    load = f", load {machine['load']:.1f}" if machine["load"] is not None else ""
    settings = ", ".join(f"{name}={value}" for name, value in about["settings"].items())
    return [
        names,
        f"{machine['system']}, {machine['processor']}, {machine['cores']} cores "
        f"({machine['physical_cores']} physical){load}, {machine['free_memory'] / _GIB:.1f} GiB of memory free",
        f"device: {about['device_name'] or about['device']}; settings: {settings or 'none'}",
        f"oneDNN: {_onednn(about['onednn'])}",
        f"kernels: {_kernels(about)}",
    ]


def _onednn(onednn: dict[str, Any]) -> str:
    if not onednn["found"]:
        return "not found in this Paddle"
    return f"{onednn['version']} found, with instructions up to {onednn['instructions']}"


def _kernels(about: dict[str, Any]) -> str:
    bfloat16 = "bfloat16 possible" if about["bfloat16"] else "no bfloat16"
    if about["device"] != "cpu":
        return f"Paddle's, on the GPU; {bfloat16}"
    if not about["onednn"]["used"]:
        turned_off = ", because PADDLE_GAN_ONEDNN=0 turns oneDNN off" if about["onednn"]["found"] else ""
        return f"Paddle's own{turned_off}; {bfloat16}"
    large = "; large convolutions by Winograd's method" if about["winograd"] else ""
    return f"this project's, by oneDNN{large}; {bfloat16}"
