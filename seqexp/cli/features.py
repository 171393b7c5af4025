"""`seqexp features`: read every spot of a slide set with a pretrained patch encoder, once."""

from __future__ import annotations

import argparse
from pathlib import Path

EPILOG = """example:
  seqexp features --dataset data/her2st --encoder densenet121 --weights densenet121.pth

Features land in the cache beside the slides.yaml, slide by slide: an interrupted run goes on where it stopped, and a
training whose config names the same encoder and weights finds them:

  data.init_args.feature_encoder:
    class_path: seqexp.histology.encoders.patch.TimmPatchEncoder
    init_args: {name: densenet121, weights: densenet121.pth, is_frozen: true}
"""


def main(argv: list[str]) -> int:
    """Compute and cache features; see ``seqexp features --help``."""
    parser = argparse.ArgumentParser(
        prog="seqexp features",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--dataset", type=Path, required=True, help="slides.yaml or its folder")
    parser.add_argument("--encoder", required=True, help="architecture of timm, such as densenet121")
    parser.add_argument("--weights", type=Path, help="local file with its weights")
    parser.add_argument("--key-path", default="", help="where in the file the weights lie, such as state_dict")
    parser.add_argument("--strip-prefix", default="", help="what the names of the weights begin with")
    parser.add_argument("--allow-random-init", action="store_true", help="features of an untrained encoder, on purpose")
    parser.add_argument("--patch-px", type=int, default=224, help="width at which patches are read (default: 224)")
    parser.add_argument("--patch-um", type=float, help="their width on the tissue (default: 224 px at full resolution)")
    parser.add_argument("--cache-folder", type=Path, help="where features are kept (default: cache beside the dataset)")
    parser.add_argument("--seed", type=int, default=0, help="of an untrained encoder")
    arguments = parser.parse_args(argv)

    import torch
    from rich.progress import Progress

    from seqexp.core.lock import own_folder
    from seqexp.histology.encoders.patch import TimmPatchEncoder
    from seqexp.histology.loaders.inputs import cache_of, encoder_features
    from seqexp.histology.slides import SlideSet

    torch.manual_seed(arguments.seed)
    encoder = TimmPatchEncoder(
        arguments.encoder,
        arguments.weights,
        arguments.key_path,
        arguments.strip_prefix,
        allow_random_init=arguments.allow_random_init,
        is_frozen=True,
    )
    slides = SlideSet.open(arguments.dataset)
    cache = cache_of(slides, arguments.cache_folder)
    with own_folder(cache.folder), Progress() as bar:
        task = bar.add_task("spots", total=len(slides.spots))
        features = encoder_features(
            cache,
            slides.spots,
            slides.slides,
            encoder,
            side_px=arguments.patch_px,
            side_um=arguments.patch_um,
            progress=lambda num_spots: bar.advance(task, num_spots),
        )
        bar.update(task, completed=len(features))
    print(f"{len(features):,} spots, {features.shape[1]:,} features each, in {cache.folder}")
    return 0
