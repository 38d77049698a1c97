#!/bin/sh
# A release job: push an image, sign its tag, and prove that what was published verifies.
#
#   release_job.sh SOURCE IMAGE
#   release_job.sh oci:./image registry.example/team/app:1.0
#
# SOURCE is anything that skopeo reads. The collection has been begun once, with `trustreg init`. The job needs the key
# of a role that may sign the tag, and its passphrase in TRUSTREG_PASSPHRASE or one of Notary's and Docker's variables,
# and a login for the registry (docker login). Extra arguments for skopeo come from SKOPEO_COPY.
#
# The last line on standard output is the name to deploy, pinned to the digest.
set -eu

source=$1 image=$2

# shellcheck disable=SC2086 # several arguments
skopeo copy --quiet ${SKOPEO_COPY:-} "$source" "docker://$image" >&2
trustreg sign "$image" >&2
trustreg verify "$image" | cut -d ' ' -f 1
