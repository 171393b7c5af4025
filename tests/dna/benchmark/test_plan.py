"""Plans of a discovery benchmark: what is read, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from seqexp.core.errors import ConfigError
from seqexp.core.resources import shipped_folder
from seqexp.dna.benchmark.plan import DiscoveryPlan
from seqexp.dna.genome.alignments import AlignmentSpec

PLAN = """\
name: two
worlds:
  simulated: {simulate: {num_genes: 40}, seeds: [3]}
  real: {dataset: data/real, alignments: reads.bam}
arms:
  own: own.yaml
  gradient: {config: reader.yaml, score: gradient, worlds: [real], flags: ["--model.lr=0.1"], seeds: [7]}
reader: reader.yaml
seeds: [0, 1]
retrain_worlds: [real]
retrain: [own]
"""


def written(folder: Path, text: str = PLAN) -> Path:
    path = folder / "plan.yaml"
    path.write_text(text)
    return path


def test_worlds_arms_and_defaults(tmp_path: Path) -> None:
    plan = DiscoveryPlan.read(written(tmp_path), {"real": Path("elsewhere")})
    simulated, real = plan.worlds
    assert (simulated.dataset, simulated.simulate, simulated.seeds) == (None, {"num_genes": 40}, (3,))
    assert (real.dataset, real.simulate, real.seeds) == (Path("elsewhere"), None, (0, 1))
    assert real.alignments == AlignmentSpec((Path("reads.bam"),))
    assert [arm.name for arm in plan.arms_of(simulated)] == ["own"]
    assert [arm.name for arm in plan.arms_of(real)] == ["own", "gradient"]
    assert plan.arms[1].flags == ("--model.lr=0.1",)
    assert plan.arms[1].seeds == (7,)
    assert plan.budget is None
    assert plan.is_retrained("real", "own")
    assert not plan.is_retrained("real", "gradient")
    assert not plan.is_retrained("simulated", "own")
    assert plan.minutes == 60.0


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("reader: reader.yaml\n", "", "reader"),
        ("score: gradient", "score: attention", "attention"),
        ("seeds: [0, 1]", "seeds: [0, 1]\nbudget: 3", "budget"),
        ("seeds: [0, 1]", "seeds: [0, 1]\nbudgett: 0.1", "budgett"),
        ("{dataset: data/real, alignments: reads.bam}", "{alignments: reads.bam}", "worlds.real"),
        ("own: own.yaml", "own: {score: mask}", "arms.own.config"),
    ],
)
def test_what_cannot_be_is_refused_by_name(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in PLAN
    with pytest.raises(ConfigError, match=message):
        DiscoveryPlan.read(written(tmp_path, PLAN.replace(old, new)))


def test_a_world_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no world 'moon'"):
        DiscoveryPlan.read(written(tmp_path), {"moon": Path("x")})


def test_shipped_plans_name_shipped_configs() -> None:
    folder = shipped_folder("configs")
    plans = sorted((folder / "benchmarks").glob("discovery_*.yaml"))
    assert len(plans) >= 4
    for path in plans:
        plan = DiscoveryPlan.read(path)
        assert all((folder / name).is_file() for arm in plan.arms for name in arm.config)
        assert all((folder / name).is_file() for name in plan.reader)


def test_an_arm_lays_configs_over_each_other(tmp_path: Path) -> None:
    text = PLAN.replace("own: own.yaml", "own: [own.yaml, over.yaml]").replace("config: reader.yaml", "config: [a, b]")
    plan = DiscoveryPlan.read(written(tmp_path, text))
    assert [arm.config for arm in plan.arms] == [("own.yaml", "over.yaml"), ("a", "b")]
    assert plan.reader == ("reader.yaml",)
