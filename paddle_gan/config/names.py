"""The names that options take: objectives, networks, optimisers, presets and so on, in one place.

Plain tuples and dicts, free of Paddle, so that `--help` is quick. The things themselves stand in tables of their own
packages (`objectives.OBJECTIVES`, `networks.GENERATORS`, ...), and `tests/test_config.py` holds both equal: a new
objective is one entry there and its name here.

An alias is another name of the same thing: a name that other projects use, or one that this project used before.
"""

OBJECTIVES = (
    "gan",
    "gan-minimax",
    "lsgan",
    "lsgan-sigmoid",
    "lsgan-tanh",
    "wgan",
    "wgan-gp",
    "wgan-lp",
    "dragan",
    "hinge",
    "gan-r1",
    "gan-r1-r2",
    "rpgan-r1-r2",
)
LOSS_ALIASES = {"bce": "gan", "mse": "lsgan", "wgan_gp": "wgan-gp", "r3gan": "rpgan-r1-r2"}

GENERATORS = ("pixelshuffle", "upsample", "dcgan", "residual", "style", "tutorial", "mlp", "mlp-plain", "mlp-shallow")
GENERATOR_ALIASES = {"writeup": "tutorial"}
DISCRIMINATORS = ("strided", "residual", "tutorial", "mlp", "mlp-shallow")
DISCRIMINATOR_ALIASES = {"writeup": "tutorial"}
NORMS = ("batch", "layer", "none")
INITIALISERS = ("paddle", "kaiming", "dcgan", "he")
CHANNELS = {1: "grey", 3: "colour", 4: "colour with transparency"}
FITS = {"crop": "cut off what is too much", "pad": "add white", "stretch": "distort"}

AUGMENTATIONS = {
    "auto": "translation colour cutout for fewer than 10,000 images",
    "none": "",
    "flip": "left and right exchanged",
    "translation": "",
    "colour": "",
    "cutout": "",
}
AUGMENTATION_ALIASES = {"color": "colour"}

OPTIMIZERS = ("adam", "rmsprop")
SCHEDULES = {"constant": "", "linear": "", "cosine": "", "late": "constant for half of the run, then linear"}
PRECISIONS = ("float32", "bfloat16", "float16")
PRESETS = {"small": "for digits", "folder": "for a folder of images", "full": "for a GPU"}
RECIPES = ("tuned", "paper")

# The benchmarks of mode coverage, what the speed is measured against, and how it grows.
BENCHMARKS = ("ring8", "grid25", "stacked-mnist")
PEERS = ("torch", "tutorial")
PEER_ALIASES = {"writeup": "tutorial"}
# What the speed is measured of: images from noise, and the tasks from images to images.
FROM_NOISE = "noise"
MEASURED_TASKS = {
    FROM_NOISE: "images from noise",
    "pairs": "a U-Net against a discriminator of patches",
    "super-resolution": "its first part, the distance to the target alone",
    "super-resolution-gan": "its second part, against the discriminator",
    "inpaint": "a U-Net that fills boxes, against a discriminator of patches",
    "cyclegan": "without pairs, there and back again",
    "cut": "without pairs, one way",
    "fastcut": "cut without its loss on target images",
}
GROWTHS = ("batch", "width", "image-size", "data")
FORMATS = {
    "paddle": "a program for paddle.inference",
    "onnx": "for onnxruntime and others",
    "web": "a page for browsers",
    "safetensors": "weights and options",
}
LANGUAGES = ("en", "zh")
# Programs that show a run, for which it is logged beside its own log.
NO_LOG = "none"
LOGS = {
    "visualdl": "",
    "tensorboard": "needs tensorboardX",
    "wandb-offline": "Weights & Biases, as files that are never sent; needs wandb",
    NO_LOG: "",
}

# Image-to-image: the tasks, their generators, the objectives that a discriminator of patches trains by, and the ways to
# learn from images without pairs.
TRANSLATIONS = {
    "pairs": "inputs and targets from --pairs",
    "unpaired": "two sets of images from --unpaired",
    "colorize": "colours for the grey values of --images",
    "edges": "pictures from the outlines of --images",
    "super-resolution": "larger pictures with the detail of --images",
    "inpaint": "what is missing in holes of --images",
}
# Those whose inputs are made of the targets.
DERIVED = ("colorize", "edges", "super-resolution", "inpaint")
MASKS = ("box", "brush")
TRANSLATORS = {
    "unet": "with skips, after pix2pix",
    "residual": "residual blocks, after CycleGAN",
    "subpixel": "residual blocks at the small size, for super-resolution",
}
PATCH_LOSS_ALIASES = {"bce": "gan", "mse": "lsgan", "r3gan": "rpgan-r1-r2"}
PATCH_OBJECTIVES = ("gan", "lsgan", "hinge", "gan-r1", "gan-r1-r2", "rpgan-r1-r2")
METHODS = {
    "cyclegan": "there and back again comes to the same image",
    "cut": "patches stay recognisable; one direction, less work",
    "fastcut": "cut without its loss on target images, less work still",
}
