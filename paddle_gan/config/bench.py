"""The options of the benchmark of speed. Options that are not here come from each objective's recipe."""

from dataclasses import dataclass

from paddle_gan.config import names, shared
from paddle_gan.config.options import flag, option, settle
from paddle_gan.config.sizes import ImageSize
from paddle_gan.errors import UsageError


@dataclass(frozen=True)
class BenchConfig:
    """Options of `tools/bench.py`."""

    task: tuple[str, ...] = option((names.FROM_NOISE,), "what", "tasks whose step is measured", names.MEASURED_TASKS)
    loss: tuple[str, ...] | None = shared.loss(
        "what", None, help="the objectives", unset="lsgan; with --against tutorial gan"
    )
    generator: tuple[str, ...] | None = shared.generator(
        "what", "generators, each with its partner", unset="pixelshuffle; with --against tutorial"
    )
    against: str | None = option(
        None,
        "what",
        "measure in turn with ours, and give the ratio: the same in PyTorch, or the tutorial's own step",
        names.PEERS,
        aliases=names.PEER_ALIASES,
    )
    grow: str | None = option(
        None,
        "what",
        "how the time grows with the batch size, the width of both networks, the pixels, or the images in the set",
        names.GROWTHS,
    )
    profile: bool = option(False, "what", "the time of a round by operation, and the rates that are reached")
    memory: bool = option(False, "what", "the peak memory of a step in colour, alone or with --against torch")
    recipe: str | None = shared.recipe("what")
    repeats: int = option(7, "what", "measurements of each case", more_than=0)

    width: int | None = shared.width("sizes")
    discriminator_width: int | None = shared.discriminator_width("sizes")
    batch_size: int | None = option(
        None, "sizes", "real images in a step", unset="64; from images to images 4", more_than=0, at_most=2**16
    )
    image_size: ImageSize | None = shared.image_size(
        "sizes", unset="the network's, or 28; with --memory 64 and 128; from images to images 64"
    )
    channels: int | None = shared.channels("sizes", unset="1")
    dataset: str | None = option(None, "sizes", "mnist, or a folder of images", unset="2,048 images of noise")
    classes: int | None = option(
        None, "sizes", "labels for both networks, as of --conditional and --clusters", unset="none", at_least=2
    )

    device: str = shared.device("run")
    precision: str = shared.precision("run", "type in which the networks multiply")
    compile: bool = option(False, "run", "run the networks as static graphs, for a GPU")
    json: str | None = option(None, "run", "write the machine and every repetition to this file")

    def __post_init__(self) -> None:
        settle(self)
        if self.against and self.grow:
            raise UsageError("--against and --grow are two questions; ask them one after the other")
        if self.profile and (self.against or self.grow or self.compile):
            other = "against" if self.against else "grow" if self.grow else "compile"
            raise UsageError(f"--profile with --{other}: it divides a round of ours as it stands; leave one out")
        if self.memory and (self.profile or self.grow or self.against == "tutorial"):
            other = "profile" if self.profile else "grow" if self.grow else "against tutorial"
            raise UsageError(f"--memory with --{other}: ask one after the other")
        if self.dataset and (self.against or self.grow or self.memory):
            raise UsageError("--dataset with --against, --grow or --memory: these use images of noise; leave it out")
        if self.against and (self.precision != "float32" or self.compile):
            raise UsageError(
                "--against with --precision or --compile: the others are measured in float32, without compilation"
            )
        if self.classes and self.dataset:
            raise UsageError("--classes with --dataset: the labels are of images of noise; leave one of them out")
        if self.grow == "image-size" and self.image_size:
            raise UsageError("--image-size with --grow image-size: that measures all sizes; leave it out")
        if self.against == "tutorial":
            self._refuse_another_than_the_tutorials()
        self._refuse_what_is_for_noise()

    def _refuse_what_is_for_noise(self) -> None:
        """A task from images to images has its own networks and images; it is measured as it stands."""
        task = next((task for task in self.task if task != names.FROM_NOISE), None)
        if task is None:
            return
        for name in ("generator", "recipe", "channels", "dataset", "classes", "grow", "compile"):
            if getattr(self, name):
                raise UsageError(f"{flag(name)} with --task {task}: it is for --task {names.FROM_NOISE}; leave it out")
        if self.against == "tutorial":
            raise UsageError(f"--against tutorial with --task {task}: its step is one from noise; use --against torch")

    def _refuse_another_than_the_tutorials(self) -> None:
        """The tutorial's step exists for one objective, one generator and one size."""
        only = {"loss": ("gan",), "generator": ("tutorial",), "image_size": 32, "channels": 1}
        for name in (*only, "width", "discriminator_width", "classes"):
            given = getattr(self, name)
            if given and given != only.get(name):
                raise UsageError(f"{flag(name)} with --against tutorial: that is one GAN of one size; leave it out")
