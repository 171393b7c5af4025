"""Strand-symmetric motif filters, and their start from words enriched where the chromatin is open.

A motif works on either strand, so each filter reads both and reports the better; that halves what must be learned.
Gradient descent alone finds weak motifs slowly or never. The words that stand out in open bins of the training
windows are a far better start, and need no label.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from seqexp.core.errors import ConfigError


class MotifStem(nn.Module):
    """Bases to the best match of each filter in each bin, on either strand.

    Parameters
    ----------
    num_filters : int
        Filters F.
    bin_bp : int
        Bases per bin.
    kernel_bp : int
        Length of the filters, odd.
    """

    def __init__(self, num_filters: int, bin_bp: int, kernel_bp: int = 15) -> None:
        super().__init__()
        if kernel_bp % 2 == 0:
            raise ConfigError(f"kernel_bp {kernel_bp}", expected="an odd length, so that matches stay in place")
        self.bin_bp, self.kernel_bp = bin_bp, kernel_bp
        self.filters = nn.Parameter(0.15 * torch.randn(num_filters, 4, kernel_bp))
        self.norm = nn.BatchNorm1d(num_filters)
        nn.init.constant_(self.norm.bias, -1.0)  # silent unless a match stands out

    def forward(self, one_hot: Tensor) -> Tensor:
        """Bases (B, L, 4) to matches (B, L / bin_bp, F), at least 0."""
        centred = self.filters - self.filters.mean(dim=1, keepdim=True)  # an N scores 0, the average base
        both = torch.cat([centred, centred.flip(1, 2)])  # A,C,G,T backwards is the complement
        match = functional.conv1d(one_hot.transpose(1, 2), both, padding=self.kernel_bp // 2)
        forward, reverse = functional.max_pool1d(match, self.bin_bp).chunk(2, dim=1)
        return functional.relu(self.norm(torch.maximum(forward, reverse))).transpose(1, 2)

    @torch.no_grad()
    def start_from(self, motifs: Tensor) -> None:
        """Set the first filters to log-odds matrices (M, 4, K) of enriched motifs, padded or cut to the filter length."""
        for number, motif in enumerate(motifs[: len(self.filters)]):
            width = motif.shape[1]
            cut = max(0, width - self.kernel_bp) // 2
            motif = motif[:, cut : cut + self.kernel_bp]
            left = (self.kernel_bp - motif.shape[1]) // 2
            self.filters[number] = 0.0
            self.filters[number, :, left : left + motif.shape[1]] = motif.to(self.filters)


def enriched_motifs(
    codes: Tensor, is_open: Tensor, num_motifs: int = 16, word_bp: int = 7, width_bp: int = 15, num_rounds: int = 3
) -> Tensor:
    """Motifs over-represented in open sequence, found one after the other.

    The most enriched word (both strands counted as one) seeds a matrix; the matrix is matched everywhere, its cut-off
    chosen where open exceeds closed sequence most, and re-estimated from the matches in open sequence less those
    expected by chance; then its matches are removed and the search goes on.

    Parameters
    ----------
    codes : uint8 Tensor (R, L)
        Bases 0..3 of training windows, anything else 4.
    is_open : bool Tensor (R, L)
        Bases with a signal.
    num_motifs : int
        At most this many; fewer when nothing more stands out.
    word_bp, width_bp : int
        Length of seed words and of matrices.
    num_rounds : int
        Re-estimations per motif.

    Returns
    -------
    float32 Tensor (M, 4, width_bp)
        Log-odds against the base frequencies of closed sequence.
    """
    codes = codes.long()
    words, is_forward = _canonical_words(codes, word_bp)
    offset = word_bp // 2
    open_words = is_open[:, offset : offset + words.shape[1]]
    counted = words >= 0
    closed_count = torch.bincount(words[counted & ~open_words], minlength=4**word_bp).double()
    base = torch.bincount(codes[(codes < 4) & ~is_open], minlength=4)[:4].double() + 1
    base = base / base.sum()
    live = counted & open_words
    found: list[Tensor] = []
    if int(live.sum()) < 1000 or closed_count.sum() < 1000:
        return torch.zeros(0, 4, width_bp)
    for _ in range(num_motifs):
        open_count = torch.bincount(words[live], minlength=4**word_bp).double()
        expected = (closed_count + 2) * open_count.sum() / closed_count.sum()
        seed = int(((open_count - expected) / (expected + 1).sqrt()).argmax())
        places = (live & (words == seed)).nonzero()
        matrix = _log_odds(_count_bases(codes, places, is_forward, offset, width_bp) + 2 * base[:, None], base)
        matches = None
        for _ in range(num_rounds):
            matrix, matches, excess = _refine(codes, is_open, matrix, base)
            if excess < 6.0:
                break
        live = live & (words != seed)
        if matches is None or excess < 6.0:
            if len(found) and excess < 3.0:
                break
            continue
        found.append(matrix.float())
        covered = functional.max_pool1d(matches.float().unsqueeze(1), width_bp, 1, width_bp // 2).squeeze(1) > 0
        live = live & ~covered[:, offset : offset + words.shape[1]]
        if int(live.sum()) < 1000:
            break
    return torch.stack(found) if found else torch.zeros(0, 4, width_bp)


def _canonical_words(codes: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Number of the word at each position or of its reverse complement, the smaller; -1 where it holds an N."""
    num = codes.shape[1] - size + 1
    forward = torch.zeros(codes.shape[0], num, dtype=torch.long)
    reverse = torch.zeros_like(forward)
    unknown = torch.zeros_like(forward, dtype=torch.bool)
    for place in range(size):
        base = codes[:, place : place + num]
        unknown |= base > 3
        base = base.clamp(max=3)
        forward = forward * 4 + base
        reverse = reverse + ((3 - base) << (2 * place))
    return torch.where(unknown, -1, torch.minimum(forward, reverse)), forward <= reverse


def _count_bases(codes: Tensor, places: Tensor, is_forward: Tensor, offset: int, width: int) -> Tensor:
    """Counts (4, width) of bases round word places, turned to the strand of the canonical word."""
    padded = functional.pad(codes, (width, width), value=4)
    start = places[:, 1] + offset - width // 2 + width
    around = padded[places[:, :1], start[:, None] + torch.arange(width)]
    flipped = torch.tensor([3, 2, 1, 0, 4])[around.flip(1)]
    around = torch.where(is_forward[places[:, 0], places[:, 1], None], around, flipped)
    return torch.stack([(around == base).sum(0) for base in range(4)]).double()


def _log_odds(counts: Tensor, base: Tensor) -> Tensor:
    return (counts / counts.sum(0, keepdim=True) / base[:, None]).log()


def _refine(codes: Tensor, is_open: Tensor, matrix: Tensor, base: Tensor) -> tuple[Tensor, Tensor, float]:
    """Matrix re-estimated from its matches in open sequence, those matches (R, L), and their excess in sigmas."""
    width = matrix.shape[1]
    table = torch.cat([matrix, torch.zeros(1, width)]).float() if matrix.shape[0] == 4 else matrix.float()
    one_hot = functional.one_hot(codes, 5).float().transpose(1, 2)
    both = torch.stack([table, table[[3, 2, 1, 0, 4]].flip(1)])
    scores = functional.conv1d(one_hot, both, padding=width // 2)[:, :, : codes.shape[1]]
    best, strand = scores.max(dim=1)
    share = float(is_open.float().mean()) / max(float((~is_open).float().mean()), 1e-9)
    cut_offs = torch.linspace(3.0, 11.0, 17)
    num_open = torch.stack([(best[is_open] > c).sum() for c in cut_offs]).double()
    num_chance = torch.stack([(best[~is_open] > c).sum() for c in cut_offs]).double() * share
    excess = (num_open - num_chance) / (num_chance + 5).sqrt()
    at = int(excess.argmax())
    is_match = best > cut_offs[at]
    counts = []
    for where in (is_match & is_open, is_match & ~is_open):
        places = where.nonzero()
        counts.append(_count_bases(codes, places, strand == 0, 0, width))
    counts_open = (counts[0] - share * counts[1]).clamp_min(0)
    return _log_odds(counts_open + 3 * base[:, None], base), is_match & is_open, float(excess[at])
