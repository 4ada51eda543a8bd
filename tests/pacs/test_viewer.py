"""The viewer of the demo: its files, the PACS behind them, and the browser that takes pictures of it."""

import http.client
import io
import json

import numpy as np
import pytest
from PIL import Image

from cmr_planes.phantom.small_study import simple_study
from examples.pacs.browser import CHROMIUM, BrowserError, browsing
from examples.pacs.picture import coloured_share
from examples.pacs.viewer import Viewer, serving
from tests.helpers.dicom_objects import write_stack


@pytest.fixture
def viewer(orthanc, tmp_path) -> Viewer:
    dist = tmp_path / "dist"
    dist.mkdir()
    (tmp_path / "secret.txt").write_text("not for the browser")
    (dist / "index.html").write_text("<title>viewer</title>")
    (dist / "app-config.js").write_text("public servers")
    (dist / "codec.wasm").write_bytes(b"\0asm")
    with serving(dist, orthanc) as viewer:
        yield viewer


def get(viewer: Viewer, path: str, **headers: str) -> tuple[int, str, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", viewer.port, timeout=30)
    connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, answer.headers.get("Content-Type", ""), body


def test_files_and_addresses_within_the_viewer(viewer):
    page = (200, "text/html; charset=utf-8", b"<title>viewer</title>")
    assert get(viewer, "/") == get(viewer, "/viewer?StudyInstanceUIDs=2.25.1") == page
    assert get(viewer, "/codec.wasm") == (200, "application/wasm", b"\0asm")


def test_settings_name_this_server_only(viewer, orthanc):
    status, _, body = get(viewer, "/app-config.js")
    settings = json.loads(body.removeprefix(b"window.config = ").removesuffix(b";"))
    assert status == 200
    assert [source["configuration"]["wadoRoot"] for source in settings["dataSources"]] == ["/dicom-web"]
    assert b"http" not in body
    assert orthanc.password.encode() not in body


def test_the_pacs_answers_through_the_viewer_without_a_password(viewer, orthanc, tmp_path):
    orthanc.store(*write_stack(tmp_path / "files", simple_study(n_slices=1, n_frames=2), "series"))
    status, kind, body = get(viewer, "/dicom-web/studies", Accept="application/dicom+json")
    ((study,),) = [json.loads(body)]
    assert (status, kind) == (200, "application/dicom+json")
    uid = study["0020000D"]["Value"][0]
    status, _, body = get(viewer, f"/dicom-web/studies/{uid}/metadata")
    assert len(json.loads(body)) == 2
    assert orthanc.password.encode() not in body
    status, kind, body = get(viewer, f"/dicom-web/studies/{uid}", Accept='multipart/related; type="application/dicom"')
    assert body.count(b"DICM") == 2


def test_other_sites_get_nothing(viewer):
    assert get(viewer, "/dicom-web/studies", Host=f"evil.example:{viewer.port}")[0] == 403
    assert get(viewer, "/dicom-web/studies", Origin="http://evil.example")[0] == 403
    assert get(viewer, "/dicom-web/studies", Origin=viewer.url.rstrip("/"))[0] == 200


@pytest.mark.parametrize("path", ["/../secret.txt", "/%2e%2e/secret.txt", "/dicom-web/../instances", "/dicom-web/%2E%2e/instances"])
def test_nothing_above_the_viewer_or_dicomweb_is_served(viewer, path):
    assert get(viewer, path)[::2] == (403, b"")
    assert get(viewer, "/instances")[2] == b"<title>viewer</title>"


def test_colour_is_told_from_grey():
    grey = np.full((100, 200, 3), 128, np.uint8)
    assert coloured_share(encoded(grey)) == 0
    grey[40:60, 80:120] = (230, 160, 0)
    assert coloured_share(encoded(grey)) == pytest.approx(20 * 40 / (60 * 100))


def encoded(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the path")
def test_the_browser_opens_clicks_and_photographs(viewer, tmp_path):
    (tmp_path / "dist" / "index.html").write_text(
        "<body style='margin:0'><button style='width:100px;height:50px' onclick='document.body.style.background=\"red\"'>Yes</button>"
    )
    with browsing(200, 150) as page:
        page.open(viewer.url)
        assert page.wait_for("document.querySelector('button').textContent", "the button") == "Yes"
        page.click(50, 25)
        page.wait_for("document.body.style.background === 'red'", "the colour")
        with Image.open(io.BytesIO(page.photograph())) as picture:
            assert picture.size == (200, 150)
            assert picture.convert("RGB").getpixel((150, 120)) == (255, 0, 0)
        assert page.requests == {viewer.url} | {address for address in page.requests if "favicon" in address}
        with pytest.raises(BrowserError, match=r"nothing did not appear in 0 s"):
            page.wait_for("false", "nothing", timeout_s=0.3)
        with pytest.raises(BrowserError, match="ReferenceError"):
            page.evaluate("no_such_name")
