"""A data set of your own: sums of two labelled lengths, with one parquet file per split.

python examples/own_data.py [FOLDER]     (default: data/own)
python -m data_prep inspect data/own --model assets/tiny-qwen2.5-vl
"""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path

from datasets import Dataset
from PIL import Image, ImageDraw


def picture(label: str) -> dict[str, bytes]:
    """A PNG that shows the label; pictures are stored in the parquet file, not as paths."""
    image = Image.new("RGB", (90, 70), "white")
    ImageDraw.Draw(image).text((10, 20), label, fill="black")
    file = BytesIO()
    image.save(file, "PNG")
    return {"bytes": file.getvalue()}


def split(lengths: range) -> Dataset:
    """The three required columns; one `<image>` in the problem for each picture."""
    return Dataset.from_dict(
        {
            "problem": ["<image> and <image> show two lengths. How long are they together?"] * len(lengths),
            "images": [[picture(f"a = {n}"), picture(f"b = {n + 1}")] for n in lengths],
            "answer": [str(2 * n + 1) for n in lengths],
        }
    )


def main(folder: Path) -> None:
    split(range(2, 8)).to_parquet(folder / "train.parquet")
    split(range(8, 11)).to_parquet(folder / "validation.parquet")
    print(f"wrote {folder}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "data/own"))
