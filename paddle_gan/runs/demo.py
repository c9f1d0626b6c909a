"""A page where a trained run can be played with, made with Gradio: samples of a generator, or translations of pictures.

What the page shows is a pure function of what was chosen on it, so people who use it at the same time do not disturb
each other; one lock keeps the networks to one request at a time. The page is for this machine only, loads nothing from
elsewhere and sends nothing: Gradio's telemetry, its history and its links are off, and a policy lets browsers ask no
other host. Not about pages that need no server: see `inference.web_page`.
"""

import logging
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from paddle_gan.config.language import chinese
from paddle_gan.config.results import DemoConfig
from paddle_gan.config.translate import ApplyConfig
from paddle_gan.datasets.holes import read_mask
from paddle_gan.datasets.pictures import as_image, read_picture
from paddle_gan.errors import GanError, UsageError
from paddle_gan.inference.images import grid
from paddle_gan.inference.sampling import labels_of
from paddle_gan.inference.walks import frame, keyframe, steered_network
from paddle_gan.runs.folder import NOISE_TO_IMAGE, task_of
from paddle_gan.runs.run import Run, load
from paddle_gan.runs.translators import Translator, load_translator, translate_one
from paddle_gan.system import web

Result = TypeVar("Result")

TEXTS = {
    "en": {
        "seed": "Seed",
        "other": "Second seed",
        "way": "Interpolation, from the first seed to the second",
        "truncation": "Truncation: 1 changes nothing, less makes samples less odd and more alike",
        "samples": "Samples",
        "upload": "Picture",
        "mask": "Mask, white in the hole; without one, transparent pixels are filled",
        "before": "Given",
        "after": "Result",
    },
    "zh": {
        "seed": "种子",
        "other": "第二个种子",
        "way": "插值，从第一个种子到第二个",
        "truncation": "截断：1 不改变；越小，失真的样本越少，样本也越相似",
        "samples": "样本",
        "upload": "图片",
        "mask": "掩码，空洞处为白色；不给出时填补透明的像素",
        "before": "原图",
        "after": "结果",
    },
}
_LABEL = "Class 类别"  # Gradio does not translate the labels of choices
_SAMPLES, _COLUMNS = 16, 4
_MOST_SEED = 2**31 - 1
# Names of classes in the choice that stands for all of them.
_NAMED = 3
_MOST_UPLOADED = "64mb"
# Pictures as they are, pixel by pixel; without Gradio's button that sends them elsewhere.
_SHOWN: dict[str, Any] = {
    "format": "png",
    "image_mode": None,
    "interactive": False,
    "buttons": ["download", "fullscreen"],
}
# The page is made by scripts within it. Its pictures come from this server, and as `blob:` from what was uploaded.
_CONTENT_POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:"


def serve(folder: Path, config: DemoConfig, say: Callable[[str], None]) -> None:
    """Show the page of a run until a signal ends the process; arguments and errors as for `opened`."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # so that what was uploaded is removed
    with opened(folder, config, say) as address:
        say(f"demo: {address}  (Ctrl-C ends it)")
        threading.Event().wait()


@contextmanager
def opened(folder: Path, config: DemoConfig, say: Callable[[str], None]) -> Iterator[str]:
    """The page of a run, served by threads of this process within the block; yields its address.

    Args:
        folder: of a run of any task.
        config: which weights, port, and whether to share.
        say: takes one line for the user at a time.

    Raises:
        UsageError: not a run folder; the port is in use; no public address can be had. CheckpointError: no checkpoint.
    """
    port = _free_port(config.port)
    build = _page_of(folder, config, say)
    with tempfile.TemporaryDirectory() as uploads:
        page = _launch(build, folder.absolute().name, uploads, port, config.share)
        try:
            if config.share and not page.share_url:
                raise UsageError("--share: no public address can be had; is this machine connected to the internet?")
            yield f"http://127.0.0.1:{port}"
        finally:
            page.close(verbose=False)


def _page_of(folder: Path, config: DemoConfig, say: Callable[[str], None]) -> Callable[[], None]:
    """What makes the components of the page of a run."""
    if task_of(folder) != NOISE_TO_IMAGE:
        translator = load_translator(folder, say, raw=config.raw, best=config.best, reverse=config.reverse)
        return partial(_translations_page, translator)
    if config.reverse:
        raise UsageError(f"--reverse: {folder} makes images from noise; only translations have a way back")
    return partial(_samples_page, load(folder, raw=config.raw, best=config.best, say=say))


def _gradio() -> Any:
    """The package, which need not be there when this module is imported; without its types."""
    import gradio  # type: ignore[import-not-found]

    return gradio


def _free_port(port: int) -> int:
    """A port where the page can be, `port` itself unless that is 0."""
    try:
        with web.listen(web.parse_address("localhost"), port) as listener:
            return listener.getsockname()[1]
    except web.PortInUse as error:
        raise UsageError(f"port {port} is in use, maybe by another demo; --port {error.free} is free") from error


def _launch(build: Callable[[], None], title: str, uploads: str, port: int, share: bool) -> Any:
    """Start Gradio's server in threads of its own.

    Args:
        build: makes the components of the page.
        title: of the page.
        uploads: folder for files of the page.
        port: free.
        share: also open a public address, which is then the `share_url` of the result.
    """
    own = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1", "GRADIO_TEMP_DIR": uploads}
    # Gradio asks its own server whether it has started, which must not go through a proxy.
    os.environ.update(own, no_proxy=",".join(filter(None, [os.environ.get("no_proxy"), "127.0.0.1"])))
    logging.getLogger("httpx").setLevel(logging.WARNING)  # no line for each of these requests
    gradio = _gradio()
    from starlette.middleware import Middleware  # type: ignore[import-not-found]
    from starlette.middleware.trustedhost import TrustedHostMiddleware  # type: ignore[import-not-found]

    # See `web.accepted_hosts`. A public address has a name that is not known before.
    hosts = ["*"] if share else ["127.0.0.1", "localhost"]
    guards = [Middleware(TrustedHostMiddleware, allowed_hosts=hosts), Middleware(_Policy)]
    with gradio.Blocks(title=title, analytics_enabled=False) as page:
        gradio.Markdown(f"# {title}")
        build()
    page.launch(
        server_name="127.0.0.1",
        server_port=port,
        share=share,
        quiet=True,
        inline=False,
        prevent_thread_lock=True,
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        max_file_size=_MOST_UPLOADED,
        app_kwargs={"middleware": guards},
        i18n=gradio.I18n(**TEXTS, **{f"zh-{place}": TEXTS["zh"] for place in ("CN", "TW")}),
    )
    return page


class _Policy:
    """An ASGI application that adds the Content-Security-Policy to every answer of another one."""

    def __init__(self, app: Callable):
        self.app = app

    async def __call__(self, scope: dict[str, Any], receive: Callable, send: Callable) -> None:
        async def with_policy(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                policy = (b"content-security-policy", _CONTENT_POLICY.encode())
                message = {**message, "headers": [*message.get("headers", []), policy]}
            await send(message)

        await self.app(scope, receive, with_policy)


def _one_at_a_time(draw: Callable[..., Result]) -> Callable[..., Result]:
    """`draw`, which may be called from many threads; an error for the user becomes a sentence on the page.

    The first argument of the result is the browser's request, which Gradio gives because of its type.
    """
    lock, gradio = threading.Lock(), _gradio()

    def drawn(request: Any, *chosen: Any) -> Result:
        try:
            with lock:
                return draw(*chosen)
        except GanError as error:
            wants_chinese = request.headers.get("accept-language", "").lower().startswith("zh")
            message = chinese(str(error)) if wants_chinese else str(error)
            raise gradio.Error(message, print_exception=False) from error

    drawn.__annotations__["request"] = gradio.Request
    return drawn


def _samples_page(run: Run) -> None:
    """The components of the page of a generator."""
    gradio = _gradio()
    text, names = gradio.I18n(**TEXTS), run.classes
    every = ", ".join(names[:_NAMED]) + (", …" if len(names) > _NAMED else "")
    with gradio.Row():
        with gradio.Column():
            numbers = {"precision": 0, "minimum": 0, "maximum": _MOST_SEED}
            seeds = [
                gradio.Number(number, label=text(name), **numbers) for number, name in enumerate(("seed", "other"))
            ]
            way = gradio.Slider(0, 1, 0, step=0.01, label=text("way"))
            truncation = gradio.Slider(0, 1, 1, step=0.01, label=text("truncation"))
            choices = [(every, -1), *((name, number) for number, name in enumerate(names))]
            label = gradio.Radio(choices, value=-1, label=_LABEL, visible=bool(names))
        # Above the picture its label would cover the first sample.
        sheet = gradio.Image(label=text("samples"), show_label=False, **_SHOWN)
    _update(_one_at_a_time(partial(samples, run)), [*seeds, way, truncation, label], [sheet], "samples")


def samples(run: Run, seed: int, other: int, way: float, truncation: float, label: int) -> np.ndarray:
    """A sheet of sixteen samples, or of what lies between two seeds; see `walks.frame`.

    Args:
        run: of a generator.
        seed: of the samples, which are the first of `tools/sample.py --seed`.
        other: the seed to whose samples `way` leads.
        way: 0 for the samples of `seed`, 1 for those of `other`.
        truncation: see `steering.Steered`.
        label: the class of all; -1 for every class in turn.

    Returns:
        uint8 [height, width, 3].
    """
    classes = len(run.classes)
    labels = labels_of(np.arange(_SAMPLES), classes, None if label < 0 else label) if classes else None
    before, after = (keyframe(run.generator, number, labels, _SAMPLES) for number in (seed, other))
    return grid(frame(steered_network(run.generator, truncation), before, after, way), _COLUMNS)


def _translations_page(translator: Translator) -> None:
    """The components of the page of a translator."""
    gradio = _gradio()
    text = gradio.I18n(**TEXTS)
    with gradio.Row():
        chosen = [
            gradio.File(label=text(name)) for name in (["upload", "mask"] if translator.config.mask else ["upload"])
        ]
    with gradio.Row():
        shown = [gradio.Image(label=text(name), **_SHOWN) for name in ("before", "after")]
    _update(_one_at_a_time(partial(translations, translator)), chosen, shown, "translate")


def translations(translator: Translator, upload: str | None, mask: str | None = None) -> list[Image.Image | None]:
    """A picture and its translation, as `tools/translate.py apply` makes it.

    Args:
        translator: in use.
        upload: path of the picture; None as long as there is none.
        mask: path of the mask of in-painting; None for the transparent pixels.

    Raises:
        GanError: a file cannot be used. Files are called by their names only.
    """
    if upload is None:
        return [None, None]
    try:
        picture, hole = read_picture(Path(upload)), None if mask is None else read_mask(Path(mask))
        made = translate_one(translator, Path(upload), picture, hole, ApplyConfig.tile)
    except GanError as error:
        message = str(error)
        for path in filter(None, (upload, mask)):
            message = message.replace(path, Path(path).name)
        raise type(error)(message) from error
    return [as_image(picture), as_image(made)]


def _update(draw: Callable, chosen: list[Any], shown: list[Any], name: str) -> None:
    """Draw when the page is opened and after each change; of changes while it draws, the last one counts."""
    gradio = _gradio()
    page = gradio.context.Context.root_block
    triggers = [page.load, *(component.change for component in chosen)]
    gradio.on(triggers, draw, chosen, shown, api_name=name, trigger_mode="always_last", concurrency_limit=None)
