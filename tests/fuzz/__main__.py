"""``python -m tests.fuzz``: a long run over some or all targets, by numbered inputs or guided by coverage."""

import subprocess
import sys
from pathlib import Path

import click

from tests.fuzz.campaign import Campaign, run
from tests.fuzz.targets import TARGETS


@click.command()
@click.argument("targets", nargs=-1, type=click.Choice(list(TARGETS)))
@click.option("--runs", default=1500, show_default=True, help="Inputs of each target.")
@click.option("--start", default=0, show_default=True, help="Number of the first input.")
@click.option("--seed", default=1, show_default=True, help="Of the inputs.")
@click.option("--seconds", default=0, help="Instead: guided by coverage (atheris), this many seconds a target.")
@click.option(
    "--findings", default=Path(".fuzz"), type=click.Path(path_type=Path), show_default=True, help="Folder of inputs found."
)
def main(targets: tuple[str, ...], runs: int, start: int, seed: int, seconds: int, findings: Path) -> None:
    """Read mutated inputs of TARGETS, all by default; exit code 1 if any does what none may do."""
    n_inputs = n_findings = 0
    for name in targets or TARGETS:
        folder = findings / name
        if seconds:
            folder.mkdir(parents=True, exist_ok=True)
            done = subprocess.run(
                [sys.executable, "-m", "tests.fuzz.guided", name, str(seconds), str(seed), str(folder)], check=False
            )
            n_findings += done.returncode != 0
            continue
        campaign = run(name, seed, range(start, start + runs), is_isolated=True)
        _report(campaign, seed, folder)
        n_inputs += campaign.n_inputs
        n_findings += len(campaign.findings)
    click.echo(f"{n_inputs} inputs, {n_findings} findings")
    sys.exit(bool(n_findings))


def _report(campaign: Campaign, seed: int, folder: Path) -> None:
    words = ", ".join(f"{word} {count}" for word, count in campaign.words.most_common(6))
    click.echo(f"{campaign.target}: {campaign.n_inputs} inputs, {len(campaign.findings)} findings; {words}")
    for number, sentence in campaign.findings:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{seed}-{number}"
        path.write_bytes(TARGETS[campaign.target].input(seed, number))
        click.echo(f"  {path}: {sentence}")


if __name__ == "__main__":
    main()
