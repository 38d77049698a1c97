"""Which certificates a TLS connection trusts, and which it shows. The peer is always verified.

For ``host:port`` these are read, from the most to the least specific:

1. settings of the caller: a CA file stands *instead of* the system's roots (whoever names one pins it);
2. ``$DOCKER_CONFIG/tls/<host:port>/``, where Docker keeps the certificates of trust servers;
3. ``~/.config/containers/certs.d``, ``/etc/containers/certs.d`` and ``/etc/docker/certs.d``, those of registries.

In a folder ``*.crt`` are CAs, *added to* the system's roots as Docker does, from every folder there is; the first
``X.cert`` with its ``X.key`` is shown to servers that ask. The port is left out of the folder's name where an image
reference or URL leaves it out. System roots: ``SSL_CERT_FILE``, ``SSL_CERT_DIR``, ``REQUESTS_CA_BUNDLE`` or
``CURL_CA_BUNDLE`` if set, else those of OpenSSL, else the bundle where distributions keep it.

Sources: docker/docker ``registry.ReadCertsDirectory``; containers/image ``docker_client.go``, ``tlsclientconfig``.
"""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from trustreg.errors import SettingError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Mapping, Sequence


class TlsFiles(NamedTuple):
    """What somebody set for one server: PEM files by path. ``ca`` alone is then trusted, not the system's roots."""

    ca: str | None = None
    cert: str | None = None
    key: str | None = None


class Sources(NamedTuple):
    """Where the trust in one server comes from, mostly files; and the file with the certificate that it is shown."""

    authorities: tuple[str, ...]
    certificate: str | None


class Tls:
    """Makes the TLS context of each server, once.

    Args:
        env: The environment; names the system's roots and ``DOCKER_CONFIG``.
        home: The home directory.
        servers: What was set, by ``host:port``, ``host`` or, for all others, ``*``.
        system: Where the machine keeps certificates of registries.
    """

    def __init__(
        self,
        env: Mapping[str, str],
        home: str,
        servers: Mapping[str, TlsFiles] | None = None,
        system: Sequence[str] = ("/etc/containers/certs.d", "/etc/docker/certs.d"),
    ) -> None:
        config = env.get("XDG_CONFIG_HOME") or f"{home}/.config"
        self._env = env
        self._servers = servers or {}
        self._docker = f"{env.get('DOCKER_CONFIG') or f'{home}/.docker'}/tls"
        self._folders = (self._docker, f"{config}/containers/certs.d", *system)
        self._contexts: dict[tuple[str, int], ssl.SSLContext] = {}
        self._lock = Lock()

    def context(self, host: str, port: int) -> ssl.SSLContext:
        """Return the context for connections to *host* at *port*.

        Raises:
            SettingError: A file that was set, or is in one of the folders, cannot be used.
        """
        with self._lock:
            if (context := self._contexts.get((host, port))) is None:
                context = self._contexts[host, port] = self._make(host, port)
            return context

    def ignoring_names(self, host: str, port: int) -> ssl.SSLContext:
        """Return a context that verifies the chain but not the name: to find out which names a certificate has."""
        context = self._make(host, port)
        context.check_hostname = False
        return context

    def sources(self, host: str, port: int) -> Sources:
        """Return what :meth:`context` is made of; raise what that raises."""
        explicit, found = self._found(host, port)
        added = [path for path in found if path.endswith(".crt")]
        system = next((f"those of {name}" for name in (*_BUNDLE_VARIABLES, "SSL_CERT_DIR") if self._env.get(name)), "")
        authorities = [explicit.ca] if explicit.ca else [system or "those of the system", *added]
        shown = explicit.cert or next((path for path in found if path.endswith(".cert")), None)
        return Sources(tuple(authorities), shown)

    def ca_file(self, host: str, port: int) -> str:
        """Return where a person would put the CA certificate of *host*."""
        return f"{self._docker}/{_folder_names(host, port)[0]}/ca.crt"

    def _make(self, host: str, port: int) -> ssl.SSLContext:
        import ssl

        class Context(ssl.SSLContext):
            def wrap_socket(self, *args: Any, **options: Any) -> ssl.SSLSocket:
                """Tell the end of an answer from a connection that somebody cut."""
                return super().wrap_socket(*args, **{**options, "suppress_ragged_eofs": False})

        context = Context(ssl.PROTOCOL_TLS_CLIENT)  # CERT_REQUIRED, check_hostname, TLS 1.2 or newer
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.hostname_checks_common_name = False  # a subjectAltName is required, as browsers and Go require it
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # any certificate that was put there is an anchor
        context.set_alpn_protocols(["http/1.1"])
        explicit, found = self._found(host, port)
        if explicit.ca:
            _trust(context, explicit.ca)
        else:
            _trust_system(context, self._env)
            for path in found:
                if path.endswith(".crt"):
                    _trust(context, path)
        if explicit.cert or explicit.key:
            _show(context, explicit.cert, explicit.key)
        elif cert := next((path for path in found if path.endswith(".cert")), None):
            _show(context, cert, cert.removesuffix(".cert") + ".key")
        return context

    def _found(self, host: str, port: int) -> tuple[TlsFiles, list[str]]:
        """Return what was set for *host* at *port*, and all files in its folders."""
        keys = (f"{bracketed(host)}:{port}", bracketed(host), "*")
        explicit = next((self._servers[key] for key in keys if key in self._servers), TlsFiles())
        names = _folder_names(host, port)
        return explicit, _listed(f"{folder}/{name}" for folder in self._folders for name in names)


def bracketed(host: str) -> str:
    """Return *host* as a URL spells it: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host


def _folder_names(host: str, port: int) -> tuple[str, ...]:
    name = bracketed(host)
    return (name, f"{name}:{port}") if port == 443 else (f"{name}:{port}",)


def _listed(folders: Iterable[str]) -> list[str]:
    found = []
    for folder in folders:
        try:
            found += sorted(map(str, Path(folder).iterdir()))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as exc:
            raise SettingError(folder, f"the certificates in this folder cannot be read: {exc.strerror}") from exc
    return found


def _trust(context: ssl.SSLContext, path: str, folder: str | None = None) -> None:
    import ssl

    try:
        context.load_verify_locations(path or None, folder)
    except ssl.SSLError as exc:
        raise SettingError(path, "this file holds no CA certificate in PEM form") from exc
    except OSError as exc:
        raise SettingError(path, f"the CA certificate cannot be read: {exc.strerror}") from exc


def _trust_system(context: ssl.SSLContext, env: Mapping[str, str]) -> None:
    import ssl

    bundle = next((env[name] for name in _BUNDLE_VARIABLES if env.get(name)), "")
    if bundle or env.get("SSL_CERT_DIR"):
        directory = bundle != "" and Path(bundle).is_dir()
        _trust(context, "" if directory else bundle, bundle if directory else env.get("SSL_CERT_DIR"))
        return
    context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    paths = ssl.get_default_verify_paths()
    if not (paths.cafile or paths.capath):  # a Python built elsewhere looks where nothing is
        for path in (bundle for bundle in _BUNDLES if Path(bundle).exists()):
            _trust(context, path)
            return


def _show(context: ssl.SSLContext, cert: str | None, key: str | None) -> None:
    import ssl

    if not cert or not key:
        raise SettingError(cert or key or "", "a client certificate and its key have to be set together")
    for path in (cert, key):
        try:
            Path(path).open("rb").close()
        except OSError as exc:
            raise SettingError(path, f"the client certificate or key cannot be read: {exc.strerror}") from exc
    try:
        context.load_cert_chain(cert, key, password=lambda: "")  # without it OpenSSL would ask the terminal
    except ssl.SSLError as exc:
        problem = "these are no certificate and unencrypted key, in PEM form, that belong together"
        raise SettingError(f"{cert}, {key}", problem) from exc


_BUNDLE_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Alpine, Arch
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # Fedora, RHEL
    "/etc/pki/tls/certs/ca-bundle.crt",  # older RHEL
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",  # macOS, BSD
)
