"""From a PACS and back, on synthetic studies: ``python -m examples.pacs.demo DIR``, or ``make pacs-demo``.

Starts Orthanc with a few studies, trains a small network on others, pulls, extracts, predicts, pushes the segmentations and reports
back, and serves OHIF beside Orthanc until Ctrl-C. Everything stays on this machine.
"""

import argparse
import json
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from cmr_planes.system.whole_file import write_whole
from examples.pacs.browser import BrowserError
from examples.pacs.picture import picture_of
from examples.pacs.servers import HAS_ORTHANC, Orthanc, running_orthanc
from examples.pacs.viewer import serving

SCANS = ["--slices", "8", "--frames", "12"]
COARSE = ["--rows", "96", "--columns", "112", "--spacing", "3"]
FINE = ["--rows", "144", "--columns", "160", "--spacing", "2.1"]
NETWORK = ["--mode", "scratch", "--preset", "quick", "--iterations", "300", "--base-channels", "8", "--levels", "3"]
SHOWN = "SAX ED 4 of 8"
"""The segmentation of which a picture is taken."""


class DemoError(Exception):
    """The demo cannot go on; the text says why."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[2])
    parser.add_argument("folder", metavar="DIR", type=Path, help="a new folder for what the demo makes")
    parser.add_argument("--viewer", metavar="DIST", type=Path, help="the folder dist of the npm package @ohif/app")
    parser.add_argument("--run", metavar="RUN", type=Path, help="a run of cmr-train finetune to predict with  [default: train one]")
    parser.add_argument("--port", type=int, default=0, help="port of the viewer  [default: a free one]")
    parser.add_argument("--picture", metavar="FILE.png", type=Path, help="take a picture of the viewer in Chromium, and end")
    options = parser.parse_args(arguments)
    if options.picture and not options.viewer:
        parser.error("--picture needs --viewer")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that Orthanc's folder goes too
    try:
        run(options.folder, options.run, options.viewer, options.port, options.picture)
    except (DemoError, BrowserError) as error:
        sys.exit(f"Error: {error}")
    except KeyboardInterrupt:
        print("\nEnded; Orthanc and what it held are gone.")


def run(folder: Path, network: Path | None, dist: Path | None, port: int, picture: Path | None) -> None:
    """Run all steps in a new folder."""
    if not HAS_ORTHANC:
        raise DemoError("Orthanc is not installed; install it with: apt-get install orthanc orthanc-dicomweb")
    if folder.exists():
        raise DemoError(f"{str(folder)!r} exists; name a new folder")
    folder.mkdir(parents=True)
    network = network or train_network(folder)
    say("Three studies in a PACS on this machine")
    planes("phantom", folder / "hospital", "-n", 3, "--seed", 8, *SCANS, *FINE)
    with ExitStack() as stack:
        orthanc = stack.enter_context(running_orthanc())
        print(f"{orthanc.store_folder(folder / 'hospital' / 'dicom'):,} images stored in Orthanc: {orthanc.url}", flush=True)
        login = write_login(folder / "login", orthanc)
        say("From the PACS, and back")
        planes("pull", orthanc.url, "-o", folder / "studies", "--login-file", login)
        planes("extract", folder / "studies", folder / "studies.h5")
        train("predict", network, folder / "studies", "-o", folder / "segmented", "--format", "seg", "--largest-component")
        planes("push", folder / "segmented", orthanc.url, "--login-file", login)
        if dist is None:
            print("\nNo viewer was given (--viewer): the demo ends here.")
            return
        viewer = stack.enter_context(serving(dist, orthanc, port))
        if picture is not None:
            write_whole(picture, picture_of(viewer, first_study(orthanc), SHOWN))
            print(f"{picture} is written")
            return
        say(f"Look at it: {viewer.url}")
        print(f"First study: {viewer.study(first_study(orthanc))}")
        print("Double-click a segmentation (SEG) on the left, and answer 'Yes'. Ctrl-C ends the demo.", flush=True)
        while True:
            time.sleep(3600)


def train_network(folder: Path) -> Path:
    """Train a small network on synthetic studies in a folder; return its run."""
    say("A network, trained on synthetic studies (a small one that knows phantoms only)")
    planes("phantom", folder / "training", "-n", 8, "--seed", 3, *SCANS, *COARSE)
    planes(
        "extract", folder / "training" / "dicom", folder / "training.h5", "--annotations", folder / "training" / "truth" / "cvi42"
    )
    train("finetune", "--data", folder / "training.h5", "--out", folder / "run", *NETWORK)
    return folder / "run"


def write_login(path: Path, orthanc: Orthanc) -> Path:
    """Write user and password to a file that only its owner may read."""
    path.touch(0o600)
    path.write_text(f"{orthanc.user}:{orthanc.password}\n", encoding="utf-8")
    return path


def first_study(orthanc: Orthanc) -> str:
    """Return the StudyInstanceUID of the first synthetic patient."""
    studies = json.loads(orthanc.ask("/studies?expand"))
    first = min(studies, key=lambda study: study["PatientMainDicomTags"]["PatientID"])
    return str(first["MainDicomTags"]["StudyInstanceUID"])


def say(title: str) -> None:
    """Print the title of the next steps."""
    print(f"\n# {title}", flush=True)


def planes(*arguments: object) -> None:
    """Run a command of ``cmr-planes``."""
    call("cmr-planes", arguments)


def train(*arguments: object) -> None:
    """Run a command of ``cmr-train``."""
    call("cmr-train", arguments)


def call(program: str, arguments: Sequence[object]) -> None:
    """Print a command and run it."""
    words = [str(word) for word in arguments]
    print(f"\n$ {shlex.join([program, *words])}", flush=True)
    if subprocess.run([str(Path(sys.executable).parent / program), *words], check=False).returncode:
        raise DemoError(f"'{program} {words[0]}' failed")


if __name__ == "__main__":
    main()
