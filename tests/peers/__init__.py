"""
The real peers: servers and clients that trustreg has to get along with.

Servers are context managers. Each listens on a loopback port of its own, keeps
its state in a directory that goes away with it, is ready when the ``with`` block
begins, and puts its log into the error when it is not::

    with notary_server() as server, docker_registry(htpasswd={"bob": "s3cret"}) as registry:
        go = GoNotary(server, tmp_path / "trust")
        go.init("registry.example/app", publish=True)
        Skopeo(registry).push(image("v1"), "app:v1")

Clients are thin wrappers of the unmodified command-line tools; what they print is
parsed into rows, and a non-zero exit raises with everything that was printed.
"""

from tests.peers.authority import Authority, KeyPair
from tests.peers.command import CommandError, Result, missing, require
from tests.peers.docker import DockerTrust, SignedTag, TrustReport, require_docker_trust
from tests.peers.images import DOCKER, OCI, Blob, Image, image, index, write_layout
from tests.peers.notary import Change, DelegationRow, GoNotary, KeyRow, Passphrases, TargetRow
from tests.peers.process import Peer, PeerError, running_peers
from tests.peers.registry import RegistryPeer, docker_registry, write_docker_config
from tests.peers.skopeo import Skopeo
from tests.peers.trust import TrustServerPeer, notary_server, notary_server_with_signer, trustreg_serve
from tests.peers.trustreg import Trustreg

__all__ = [
    "DOCKER",
    "OCI",
    "Authority",
    "Blob",
    "Change",
    "CommandError",
    "DelegationRow",
    "DockerTrust",
    "GoNotary",
    "Image",
    "KeyPair",
    "KeyRow",
    "Passphrases",
    "Peer",
    "PeerError",
    "RegistryPeer",
    "Result",
    "SignedTag",
    "Skopeo",
    "TargetRow",
    "TrustReport",
    "TrustServerPeer",
    "Trustreg",
    "docker_registry",
    "image",
    "index",
    "missing",
    "notary_server",
    "notary_server_with_signer",
    "require",
    "require_docker_trust",
    "running_peers",
    "trustreg_serve",
    "write_docker_config",
    "write_layout",
]
