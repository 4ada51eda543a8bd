"""A picture of OHIF that shows a segmentation on its images, taken in headless Chromium."""

import io
import time

import numpy as np
from PIL import Image

from examples.pacs.browser import PATIENCE_S, BrowserError, Page, browsing
from examples.pacs.viewer import Viewer

WIDTH, HEIGHT = 1440, 900
COLOURED = 0.002
"""Share of the window that is coloured by a segmentation, at least."""
SKIP_TOUR = "[...document.querySelectorAll('button, a, span')].find((one) => one.textContent.trim() === 'Skip all')"
LABELS = "document.querySelector('[data-cy=\"panelSegmentation-btn\"]')"
THUMBNAILS = "[...document.querySelectorAll('[data-cy=\"study-browser-thumbnail-no-image\"]')]"
YES = "[...document.querySelectorAll('button')].find((one) => one.textContent.trim() === 'Yes')"
LOADED = "window.services.segmentationService.getSegmentations().length > 0"


def picture_of(viewer: Viewer, study_uid: str, description: str) -> bytes:
    """Open a study and one of its segmentations; return what the viewer shows, as PNG.

    Parameters
    ----------
    viewer
        Where OHIF is served.
    study_uid
        The study.
    description
        What the SeriesDescription of the segmentation begins with.

    Raises
    ------
    BrowserError
        There is no browser, or the viewer does not show the segmentation, or asks another host for anything.
    """
    with browsing(WIDTH, HEIGHT) as page:
        page.open(viewer.study(study_uid))
        page.wait_for(f"{THUMBNAILS}.length > 0", "the list of segmentations")
        _click(page, SKIP_TOUR, "the tour")
        thumbnail = f"{THUMBNAILS}.find((one) => one.textContent.includes({description!r}))"
        _click(page, thumbnail, f"the segmentation {description!r}", times=2)
        _click(page, YES, "the question whether to open the segmentation")
        page.wait_for(LOADED, "the segmentation")
        _click(page, LABELS, "the button for the list of structures")
        png = _settled(page)
        elsewhere = sorted(address for address in page.requests if not address.startswith((viewer.url, "data:", "blob:")))
    if elsewhere:
        raise BrowserError(f"the viewer asked other hosts: {elsewhere}")
    return png


def coloured_share(png: bytes) -> float:
    """Return the share of pixels in the middle of a picture that are strongly coloured: the images themselves are grey."""
    with Image.open(io.BytesIO(png)) as image:
        pixels = np.asarray(image.convert("RGB"), dtype=int)
    height, width, _ = pixels.shape
    middle = pixels[height // 5 : -height // 5, width // 4 : -width // 4]
    return float((np.ptp(middle, axis=2) > 60).mean())


def _click(page: Page, element: str, what: str, times: int = 1) -> None:
    """Click at the middle of an element, once it is there."""
    page.wait_for(f"!!{element}", what)
    page.evaluate(f"{element}.scrollIntoView({{block: 'center'}})")
    time.sleep(0.5)
    box = page.evaluate(
        f"(() => {{ const box = {element}.getBoundingClientRect(); return [box.x, box.y, box.width, box.height]; }})()"
    )
    x, y, width, height = box
    page.click(x + width / 2, y + height / 2, times)


def _settled(page: Page) -> bytes:
    """Return a picture that is coloured and no longer changes."""
    until = time.monotonic() + PATIENCE_S
    before = b""
    while time.monotonic() < until:
        now = page.photograph()
        if now == before and coloured_share(now) > COLOURED:
            return now
        before = now
        time.sleep(1)
    raise BrowserError("the viewer did not come to show the segmentation")
