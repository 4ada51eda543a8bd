"""DICOMweb, by dicomweb-client: connections, and what their errors mean."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests
from dicomweb_client.web import DICOMwebClient
from requests.auth import AuthBase, HTTPBasicAuth

from cmr_planes.errors import PacsError
from cmr_planes.pacs.access import Access, Login, Token
from cmr_planes.pacs.addresses import DicomWebAddress
from cmr_planes.pacs.transfer import BusyError, DeniedError, GoneError, InterruptedTransferError

CONNECT_SECONDS = 20.0
"""How long a connection may take to be made."""

_BUSY = (408, 425, 429, 500, 502, 503, 504)


class _BearerAuth(AuthBase):
    """Sends a token; requests does not pass it on to other hosts."""

    def __init__(self, token: Token) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token.value}"
        return request


class _Session(requests.Session):
    """A session whose authorities are those that it was given, whatever REQUESTS_CA_BUNDLE says."""

    def merge_environment_settings(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  # requests' signature
        """Return the settings of a request."""
        settings = super().merge_environment_settings(*args, **kwargs)
        return {**settings, "verify": self.verify} if isinstance(self.verify, str) else settings


def open_session(access: Access) -> requests.Session:
    """Return a session with the credentials and the authorities of an access; the caller closes it."""
    session = _Session()
    match access.credentials:
        case Token():
            session.auth = _BearerAuth(access.credentials)
        case Login(user, password):
            session.auth = HTTPBasicAuth(user, password)
    if access.ca is not None:
        session.verify = str(access.ca)
    return session


def connect(address: DicomWebAddress, access: Access, session: requests.Session) -> DICOMwebClient:
    """Return a client that never repeats a request by itself and accepts UIDs that break the standard."""
    timeout = (min(CONNECT_SECONDS, access.timeout_seconds), access.timeout_seconds)
    client = DICOMwebClient(address.url, session=session, permissive_uid=True, timeout=timeout)
    client.set_http_retry_params(retry=False)
    return client


@contextmanager
def explained(address: DicomWebAddress) -> Iterator[None]:
    """Turn what goes wrong in a request into an error that says what to do, and holds no UID.

    Raises
    ------
    BusyError
        The server asks to wait, or fails for the moment.
    InterruptedTransferError
        The connection broke, or the answer is not whole.
    DeniedError
        The credentials or the certificate are not accepted.
    GoneError
        There is nothing under the URL.
    PacsError
        Asking again would not help.
    """
    try:
        yield
    except requests.HTTPError as error:
        if error.response is not None:
            error.response.close()  # its body may not have been read
        raise _explain_status(address, error.response) from None
    except requests.exceptions.SSLError as error:
        raise DeniedError(_explain_tls(address, error)) from None
    except requests.ConnectionError:
        raise InterruptedTransferError(
            f"{address.url} does not answer, or broke the connection; check that the server runs and can be reached from here"
        ) from None
    except requests.Timeout:
        raise InterruptedTransferError(f"{address.url} took longer to answer than the time allowed for it") from None
    except (requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError):
        raise InterruptedTransferError(f"{address.url} broke off in the middle of an answer") from None
    except (requests.exceptions.InvalidURL, requests.exceptions.MissingSchema, requests.exceptions.InvalidSchema):
        raise PacsError("the address of the server cannot be used as a URL; check its host and port") from None
    except requests.exceptions.JSONDecodeError:
        raise PacsError(f"{address.url} answers, but not with DICOM JSON; check the path of the DICOMweb service") from None
    except requests.RequestException as error:
        raise PacsError(f"the request to {address.url} failed ({type(error).__name__}); check the address") from None


def _explain_status(address: DicomWebAddress, response: requests.Response | None) -> PacsError:
    """Say what a status means."""
    if response is None:
        return InterruptedTransferError(f"{address.url} broke off in the middle of an answer")
    status = response.status_code
    if status in _BUSY:
        sentence = f"{address.url} is busy or fails (HTTP status {status}); try again later, or ask its administrator"
        return BusyError(sentence, _retry_after(response))
    if status in (401, 407):
        files = "the file of the token, that of user and password, or .netrc"
        return DeniedError(f"{address.url} wants other credentials (HTTP status {status}); check {files}")
    if status == 403:
        return PacsError(f"{address.url} forbids this user what was asked (HTTP status 403); ask its administrator")
    if status in (404, 410):
        return GoneError(f"{address.url} has nothing under the path that was asked (HTTP status {status}); check the path")
    return PacsError(f"{address.url} refuses what was asked (HTTP status {status}); check that it is a DICOMweb service")


def _retry_after(response: requests.Response) -> float:
    """Return the seconds that a server asks to wait, 0 if it does not say."""
    try:
        return max(0.0, float(response.headers.get("Retry-After", "0")))
    except ValueError:
        return 0.0


def _explain_tls(address: DicomWebAddress, error: Exception) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return (
            f"the certificate of {address.url} is not trusted (or is another host's, or out of date); give the file of the "
            "authority that signed it"
        )
    return f"no encrypted connection to {address.url}; check whether it speaks https"
